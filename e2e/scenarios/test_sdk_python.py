"""The official Python SDK works through the gateway as it does with Azure OpenAI itself."""

import openai
import pytest
from openai import AzureOpenAI, OpenAI

from e2e.harness import Backend
from e2e.mock_azure_openai import Action, Rule, SseError
from e2e.scenarios import calls

MESSAGES = [{"role": "user", "content": "Say hello."}]
TEXT = "Hello from the mock: naïve café, 漢字 🙂🚀 end…"
CHAT_TOOL = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}},
}
TOOL = {"type": "function", "name": "weather", "parameters": {}, "strict": False}
ARGUMENTS = '{"location":"München 🥖"}'
KINDS = ("openai", "azure")


def make_client(kind, gateway, **more):
    """Return a client as an application makes it.

    `azure-v1` is Azure's client on the v1 routes: there it knows Responses and models only.
    """
    given = {"api_key": gateway.key, **more}
    if kind == "openai":
        return OpenAI(base_url=f"{gateway.url}/openai/v1", **given)
    if kind == "azure":
        return AzureOpenAI(azure_endpoint=gateway.url, api_version="2024-10-21", **given)
    return AzureOpenAI(base_url=f"{gateway.url}/openai/v1", api_version="preview", **given)


@pytest.fixture
def backends(mocks):
    return mocks(2)


@pytest.fixture
def running(backends, gateway):
    first, second = backends
    return gateway([Backend(first, priority=10), Backend(second, priority=5)])


@pytest.fixture(params=KINDS)
def client(request, running):
    with make_client(request.param, running) as made:
        yield made


@pytest.fixture(params=["openai", "azure", "azure-v1"])
def account_client(request, running):
    with make_client(request.param, running) as made:
        yield made


@pytest.fixture
def impatient(running):
    with make_client("azure", running, max_retries=0) as made:
        yield made


def test_chat(client):
    answer = client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
    assert answer.choices[0].message.content == TEXT
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_chat_stream_without_options_shows_no_usage(client):
    stream = client.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True)
    with stream:
        chunks = list(stream)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == TEXT
    assert not any(chunk.usage for chunk in chunks)


def test_chat_stream_with_options_shows_usage_once(client):
    stream = client.chat.completions.create(
        model="gpt-4o", messages=MESSAGES, stream=True, stream_options={"include_usage": True}
    )
    with stream:
        usages = [chunk.usage for chunk in stream if chunk.usage]
    assert len(usages) == 1
    assert usages[0].completion_tokens > 0


def test_chat_tools(client):
    answer = client.chat.completions.create(model="gpt-4o", messages=MESSAGES, tools=[CHAT_TOOL])
    (call,) = answer.choices[0].message.tool_calls
    assert (call.function.name, call.function.arguments) == ("weather", ARGUMENTS)
    assert answer.choices[0].finish_reason == "tool_calls"


def test_chat_tools_stream(client):
    with client.chat.completions.stream(
        model="gpt-4o", messages=MESSAGES, tools=[CHAT_TOOL]
    ) as stream:
        answer = stream.get_final_completion()
    (call,) = answer.choices[0].message.tool_calls
    assert (call.function.name, call.function.arguments) == ("weather", ARGUMENTS)


def test_completions(client):
    answer = client.completions.create(model="gpt-35-turbo-instruct", prompt="Say hello.")
    assert answer.choices[0].text == TEXT
    with client.completions.create(
        model="gpt-35-turbo-instruct", prompt="Say hello.", stream=True
    ) as stream:
        assert "".join(chunk.choices[0].text for chunk in stream) == TEXT


def test_embeddings(client):
    # the SDK asks for base64 on its own and decodes it
    answer = client.embeddings.create(model="text-embedding-3-small", input=["one", "two"])
    assert [item.index for item in answer.data] == [0, 1]
    assert all(isinstance(number, float) for number in answer.data[0].embedding)
    assert answer.usage.prompt_tokens > 0


def test_responses(account_client):
    answer = account_client.responses.create(model="gpt-4o", input="Say hello.")
    assert answer.output_text == TEXT
    assert answer.usage.total_tokens > 0


def test_responses_stream(account_client):
    with account_client.responses.stream(model="gpt-4o", input="Say hello.") as stream:
        deltas = [event.delta for event in stream if event.type == "response.output_text.delta"]
        final = stream.get_final_response()
    assert "".join(deltas) == final.output_text == TEXT


def test_responses_tools(account_client):
    answer = account_client.responses.create(model="gpt-4o", input="Say hello.", tools=[TOOL])
    (call,) = answer.output
    assert (call.name, call.arguments) == ("weather", ARGUMENTS)


def test_models(account_client):
    assert "gpt-4o" in [model.id for model in account_client.models.list()]


async def ask_async(gateway):
    async with openai.AsyncOpenAI(
        base_url=f"{gateway.url}/openai/v1", api_key=gateway.key
    ) as client:
        stream = await client.chat.completions.create(
            model="gpt-4o", messages=MESSAGES, stream=True
        )
        return "".join([c.choices[0].delta.content or "" async for c in stream if c.choices])


def test_the_asynchronous_client(running):
    import asyncio  # noqa: PLC0415

    assert asyncio.run(ask_async(running)) == TEXT


@pytest.mark.parametrize("kind", KINDS)
def test_a_wrong_key_is_an_authentication_error(running, kind):
    client = make_client(kind, running, api_key="wrong", max_retries=0)
    with client, pytest.raises(openai.AuthenticationError) as raised:
        client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
    assert raised.value.status_code == 401
    assert raised.value.code


def test_a_missing_deployment_is_a_not_found_error(impatient, backends):
    for mock in backends:
        mock.script(Action(error="DeploymentNotFound"))
    with pytest.raises(openai.NotFoundError) as raised:
        impatient.chat.completions.create(model="py-not-there", messages=MESSAGES)
    assert raised.value.code == "DeploymentNotFound"


@pytest.mark.parametrize("stream", [False, True], ids=["json", "stream"])
def test_a_filtered_prompt_is_a_bad_request_error(impatient, backends, stream):
    backends[0].script(Action(error="content_filter"))
    with pytest.raises(openai.BadRequestError) as raised:
        impatient.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=stream)
    assert raised.value.code == "content_filter"
    assert raised.value.body["innererror"]["code"] == "ResponsibleAIPolicyViolation"
    assert not backends[1].journal


@pytest.mark.parametrize("stream", [False, True], ids=["json", "stream"])
def test_throttled_everywhere_is_a_rate_limit_error_that_says_when(impatient, backends, stream):
    for mock in backends:
        mock.script(Action(error="429", retry_after_ms=20_000))
    with pytest.raises(openai.RateLimitError) as raised:
        impatient.chat.completions.create(
            model=f"py-throttled-{stream}", messages=MESSAGES, stream=stream
        )
    headers = raised.value.response.headers
    assert (headers["retry-after"], headers["retry-after-ms"]) == ("20", "20000")
    assert "retry after 20 seconds" in raised.value.message


def test_the_default_retries_of_the_sdk_wait_for_a_throttle_that_heals(running, backends):
    for mock in backends:
        mock.script(Rule(times=1, action=Action(error="429", retry_after_ms=50)))
    with make_client("azure", running) as client:
        answer = client.chat.completions.create(model="py-heals", messages=MESSAGES)
    assert answer.choices[0].message.content == TEXT
    assert sum(len(mock.journal) for mock in backends) == 3


def test_a_stream_that_is_cut_in_the_middle_raises(impatient, backends):
    backends[0].script(Action(content="Hello world", deltas=2, hold_after_events=3))
    stream = impatient.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True)
    seen = []

    def read():
        for chunk in stream:
            seen.extend(choice.delta.content for choice in chunk.choices)
            if seen and seen[-1]:
                backends[0].stop()

    with stream, pytest.raises(openai.APIError, match="interrupted"):
        read()
    assert "".join(text or "" for text in seen) == "Hello "
    assert not backends[1].journal


def test_an_error_event_of_the_backend_in_the_middle_raises(impatient, backends):
    backends[0].script(Action(sse_error=SseError(code="429", after_events=4)))
    stream = impatient.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True)
    with stream, pytest.raises(openai.APIError, match="Rate limit"):
        list(stream)


def test_a_client_that_stops_reading_closes_the_backend(impatient, backends):
    backends[0].script(Action(hold_after_events=4))
    stream = impatient.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True)
    with stream:
        next(chunk for chunk in stream if chunk.choices and chunk.choices[0].delta.content)
    backends[0].wait_gone()


def test_raw_responses_carry_the_headers_of_gateway_and_backend(impatient, backends):
    raw = impatient.chat.completions.with_raw_response.create(model="gpt-4o", messages=MESSAGES)
    assert raw.headers["x-gateway-backend"] == backends[0].name
    assert raw.headers["x-ratelimit-remaining-tokens"]
    assert raw.headers["apim-request-id"]


def test_fail_over_is_invisible_to_the_sdk(impatient, backends):
    backends[0].script(Action(error="500"))
    answer = impatient.chat.completions.create(model="gpt-4o", messages=MESSAGES)
    assert answer.choices[0].message.content == TEXT
    assert calls.CHAT not in {entry.path for mock in backends for entry in mock.journal}
