"""The official SDK against the mock itself: what the SDK accepts from Azure, it accepts here."""

import asyncio

import openai
import pytest

from e2e.mock_azure_openai import Action, MockAzureOpenAI, SseError, Usage

MESSAGES = [{"role": "user", "content": "What is the weather in München?"}]
WEATHER = {"type": "object", "properties": {"location": {"type": "string"}}}
CHAT_TOOL = {"type": "function", "function": {"name": "weather", "parameters": WEATHER}}


@pytest.fixture
def azure(mock):
    with openai.AzureOpenAI(
        azure_endpoint=mock.url, api_key=mock.key, api_version="2024-10-21", max_retries=0
    ) as client:
        yield client


@pytest.fixture
def v1(mock):
    with openai.OpenAI(base_url=f"{mock.url}/openai/v1", api_key=mock.key, max_retries=0) as client:
        yield client


@pytest.fixture(params=["azure", "v1"])
def client(request):
    return request.getfixturevalue(request.param)


def test_chat_answers_with_usage_that_adds_up(client):
    answer = client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
    assert "🙂" in answer.choices[0].message.content
    assert answer.choices[0].finish_reason == "stop"
    usage = answer.usage
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens > 0


def test_chat_streams_the_text_that_json_has(client):
    whole = client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
    chunks = list(client.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True))
    assert chunks[0].choices == []
    assert chunks[0].model_extra["prompt_filter_results"]
    assert chunks[1].choices[0].delta.role == "assistant"
    assert all(chunk.usage is None for chunk in chunks)
    assert chunks[-1].choices[0].finish_reason == "stop"
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == whole.choices[0].message.content


def test_chat_streams_usage_when_asked(client, mock):
    mock.script(Action(usage=Usage(prompt=11, completion=7, cached=3, reasoning=2)))
    chunks = list(
        client.chat.completions.create(
            model="gpt-4o", messages=MESSAGES, stream=True, stream_options={"include_usage": True}
        )
    )
    assert [chunk.usage for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
    assert chunks[-1].choices == []
    assert chunks[-1].usage.total_tokens == 18
    assert chunks[-1].usage.prompt_tokens_details.cached_tokens == 3
    assert chunks[-1].usage.completion_tokens_details.reasoning_tokens == 2


def test_chat_calls_a_tool_in_json_and_stream(client):
    asked = {"model": "gpt-4o", "messages": MESSAGES, "tools": [CHAT_TOOL]}
    choice = client.chat.completions.create(**asked).choices[0]
    assert choice.finish_reason == "tool_calls"
    assert choice.message.tool_calls[0].function.name == "weather"
    parts = []
    with client.chat.completions.stream(**asked) as stream:
        parts += [event.arguments for event in stream if event.type.endswith("arguments.done")]
    assert parts == [choice.message.tool_calls[0].function.arguments]


def test_chat_stops_at_max_tokens(client):
    answer = client.chat.completions.create(model="gpt-4o", messages=MESSAGES, max_tokens=2)
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage.completion_tokens == 2


def test_reasoning_deployments_report_reasoning_tokens(client):
    usage = client.chat.completions.create(model="o3-mini", messages=MESSAGES).usage
    assert 0 < usage.completion_tokens_details.reasoning_tokens < usage.completion_tokens


def test_completions_in_json_and_stream(client):
    asked = {"model": "gpt-35-turbo-instruct", "prompt": "Once upon a time"}
    answer = client.completions.create(**asked)
    assert answer.usage.prompt_tokens == 4
    chunks = list(
        client.completions.create(**asked, stream=True, stream_options={"include_usage": True})
    )
    assert chunks[-1].usage == answer.usage
    text = "".join(c.choices[0].text for c in chunks if c.choices)
    assert text == answer.choices[0].text


def test_embeddings_as_base64_and_as_floats_are_the_same(client):
    asked = {"model": "text-embedding-3-small", "input": ["one", "two"], "dimensions": 6}
    packed = client.embeddings.create(**asked)
    floats = client.embeddings.create(**asked, encoding_format="float")
    assert len(packed.data) == 2
    assert len(packed.data[0].embedding) == 6
    assert [d.embedding for d in packed.data] == [d.embedding for d in floats.data]
    assert packed.usage.total_tokens == packed.usage.prompt_tokens == 2


def test_responses_in_json(v1):
    answer = v1.responses.create(model="gpt-4o", input="Hello")
    assert "漢字" in answer.output_text
    assert answer.usage.total_tokens == answer.usage.input_tokens + answer.usage.output_tokens


def test_responses_as_events(v1, mock):
    mock.script(Action(usage=Usage(prompt=9, completion=8, cached=4, reasoning=5)))
    events = list(v1.responses.create(model="gpt-4o", input="Hello", stream=True))
    kinds = [event.type for event in events]
    assert kinds[:4] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
    ]
    assert kinds[-1] == "response.completed"
    assert [event.sequence_number for event in events] == list(range(len(events)))
    usage = events[-1].response.usage
    assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (9, 8, 17)
    assert usage.input_tokens_details.cached_tokens == 4
    assert usage.output_tokens_details.reasoning_tokens == 5
    assert b"[DONE]" not in mock.wait_done(1)[0].sent


def test_responses_call_a_tool(v1):
    tool = {"type": "function", "name": "weather", "parameters": WEATHER, "strict": False}
    with v1.responses.stream(model="gpt-4o", input="Weather?", tools=[tool]) as stream:
        answer = stream.get_final_response()
    assert answer.output[0].name == "weather"


def test_responses_on_the_legacy_surface(azure):
    # The SDK's AzureOpenAI calls /openai/responses; gateways also route the deployment form.
    answer = azure.post(
        "/deployments/gpt-4o/responses", body={"input": "Hello"}, cast_to=dict, options={}
    )
    assert answer["object"] == "response"


def test_models_lists_the_deployments():
    with (
        MockAzureOpenAI(deployments=["a", "b"]) as mock,
        openai.OpenAI(base_url=f"{mock.url}/openai/v1", api_key=mock.key) as client,
    ):
        assert [model.id for model in client.models.list()] == ["a", "b"]
        assert client.models.retrieve("b").id == "b"
        with pytest.raises(openai.NotFoundError):
            client.models.retrieve("c")
        with pytest.raises(openai.NotFoundError) as raised:
            client.chat.completions.create(model="c", messages=MESSAGES)
        assert raised.value.code == "DeploymentNotFound"


@pytest.mark.parametrize(
    ("error", "kind", "code"),
    [
        ("401", openai.AuthenticationError, "401"),
        ("403", openai.PermissionDeniedError, "403"),
        ("DeploymentNotFound", openai.NotFoundError, "DeploymentNotFound"),
        ("content_filter", openai.BadRequestError, "content_filter"),
        ("context_length_exceeded", openai.BadRequestError, "context_length_exceeded"),
        ("422", openai.UnprocessableEntityError, "UnprocessableEntity"),
        ("429", openai.RateLimitError, "429"),
        ("429_requests", openai.RateLimitError, "429"),
        ("429_capacity", openai.RateLimitError, "429"),
        ("500", openai.InternalServerError, "InternalServerError"),
        ("503", openai.InternalServerError, "ServiceUnavailable"),
    ],
)
def test_canned_errors_map_to_the_sdks_errors(client, mock, error, kind, code):
    mock.script(Action(error=error))
    with pytest.raises(kind) as raised:
        client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
    assert raised.value.code == code


def test_a_filtered_prompt_carries_the_inner_error(azure, mock):
    mock.script(Action(error="content_filter"))
    with pytest.raises(openai.BadRequestError) as raised:
        azure.chat.completions.create(model="gpt-4o", messages=MESSAGES)
    inner = raised.value.body["innererror"]
    assert inner["code"] == "ResponsibleAIPolicyViolation"
    assert inner["content_filter_result"]["violence"]["filtered"] is True


def test_a_429_tells_when_to_come_back(azure, mock):
    mock.script(Action(error="429", retry_after_ms=44_200))
    with pytest.raises(openai.RateLimitError) as raised:
        azure.chat.completions.create(model="gpt-4o", messages=MESSAGES)
    headers = raised.value.response.headers
    assert headers["retry-after"] == "45"
    assert headers["retry-after-ms"] == "44200"
    assert headers["x-ratelimit-reset-tokens"] == "45"
    assert "retry after 45 seconds" in raised.value.message


def test_an_error_event_in_a_stream_raises(client, mock):
    mock.script(Action(sse_error=SseError(code="429", after_events=2)))
    with pytest.raises(openai.APIError):
        list(client.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True))


def test_gzip_is_read_by_the_sdk(client, mock):
    mock.script(Action(gzip=True))
    assert client.chat.completions.create(model="gpt-4o", messages=MESSAGES).usage
    assert list(client.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True))


def test_a_wrong_key_is_refused_as_azure_does(mock):
    with (
        openai.AzureOpenAI(
            azure_endpoint=mock.url, api_key="wrong", api_version="2024-10-21"
        ) as client,
        pytest.raises(openai.AuthenticationError) as raised,
    ):
        client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
    assert "invalid subscription key" in raised.value.message


async def _hundreds(url, key):
    async with openai.AsyncOpenAI(base_url=f"{url}/openai/v1", api_key=key) as client:

        async def one():
            stream = await client.chat.completions.create(
                model="gpt-4o", messages=MESSAGES, stream=True
            )
            return len([chunk async for chunk in stream])

        return await asyncio.gather(*(one() for _ in range(100)))


def test_a_hundred_streams_at_once_through_the_sdk(mock):
    counts = asyncio.run(_hundreds(mock.url, mock.key))
    assert len(set(counts)) == 1
    assert mock.totals()["by_end"] == {"completed": 100}
