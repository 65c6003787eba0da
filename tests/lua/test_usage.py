import json

import pytest

from .host import fixture_bytes, raw


@pytest.fixture(scope="module")
def usage(shared_host):
    return shared_host.require("usage")


def read(usage, text: bytes):
    result = usage.read(raw(text))
    tokens, model = result if isinstance(result, tuple) else (result, None)
    return counts(tokens), model


def counts(tokens):
    return {k: v for k, v in tokens.items() if k != "raw"} if tokens else None


def tokens(**counts):
    return (
        dict.fromkeys(["prompt", "completion", "total", "cached", "reasoning", "audio"], 0) | counts
    )


@pytest.mark.parametrize(
    ("name", "expected", "model"),
    [
        (
            "chat.json",
            tokens(prompt=11, completion=5, total=16, cached=4, reasoning=2),
            "gpt-4o-2024-11-20",
        ),
        ("embeddings.json", tokens(prompt=11, total=11), "text-embedding-3-large"),
        (
            "responses.json",
            tokens(prompt=11, completion=5, total=16, cached=4, reasoning=2),
            "gpt-4.1-2025-04-14",
        ),
    ],
)
def test_usage_and_model_of_whole_answers(usage, name, expected, model):
    assert read(usage, fixture_bytes(name)) == (expected, model)


@pytest.mark.parametrize(
    ("reported", "expected"),
    [
        ({}, tokens()),
        ({"prompt_tokens": 3}, tokens(prompt=3, total=3)),
        ({"prompt_tokens": 3, "completion_tokens": 4}, tokens(prompt=3, completion=4, total=7)),
        ({"input_tokens": 3, "output_tokens": 4}, tokens(prompt=3, completion=4, total=7)),
        ({"prompt_tokens": 3, "total_tokens": 9}, tokens(prompt=3, total=9)),
        ({"prompt_tokens": None, "completion_tokens": 4}, tokens(completion=4, total=4)),
        ({"prompt_tokens": -1}, tokens()),
        ({"prompt_tokens": "rubbish"}, tokens()),
        ({"prompt_tokens": [1]}, tokens()),
        ({"prompt_tokens_details": None, "prompt_tokens": 1}, tokens(prompt=1, total=1)),
        ({"prompt_tokens_details": 5}, tokens()),
        (
            {
                "prompt_tokens_details": {"cached_tokens": 1, "audio_tokens": 2},
                "completion_tokens_details": {"reasoning_tokens": 3, "audio_tokens": 4},
            },
            tokens(cached=1, reasoning=3, audio=6),
        ),
        (
            {
                "input_tokens_details": {"cached_tokens": 1},
                "output_tokens_details": {"reasoning_tokens": 3},
            },
            tokens(cached=1, reasoning=3),
        ),
    ],
)
def test_every_spelling_comes_to_one_shape(usage, reported, expected):
    assert read(usage, json.dumps({"usage": reported}).encode())[0] == expected


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[DONE]",
        b"[]",
        b"{}",
        b'{"usage":null}',
        b'{"usage":[]}',
        b'{"usage":"x"}',
        b'{"usage":{"prompt_tokens":}}',
        b'{"usage":{"prompt_tokens":1}',
        b'{"choices":[{"usage":{"prompt_tokens":1}}]}',
        b'{"message":"\\"usage\\":{\\"prompt_tokens\\":1}"}',
        b'{"response":null}',
        b'{"response":{"usage":null}}',
        b'{"response":{"output":[{"usage":{"prompt_tokens":1}}]}}',
        b'{"response":{"usage":{"prompt_tokens":1}',
    ],
)
def test_what_is_not_a_usage_object_is_no_usage(usage, text):
    assert read(usage, text)[0] is None


def test_an_event_of_the_responses_api_tells_usage_and_model_inside_response(usage):
    text = b'{"type":"response.completed","response":{"model":"m","usage":{"input_tokens":1}}}'
    assert read(usage, text) == (tokens(prompt=1, total=1), "m")


@pytest.mark.parametrize(
    ("text", "mentioned"),
    [
        ('"usage":{', True),
        ('"usage" :\n {', True),
        ('"usage":null', False),
        ('\\"usage\\":{', False),
        ("usage", False),
        ('"usage":null,"usage":{', True),
    ],
)
def test_a_cheap_test_tells_whether_usage_can_be_there(usage, text, mentioned):
    assert usage.mentioned(text) is mentioned


def test_a_response_that_is_no_object_does_not_hide_the_usage(usage):
    text = b'{"response":"text","usage":{"prompt_tokens":1},"model":"m"}'
    assert read(usage, text) == (tokens(prompt=1, total=1), "m")
