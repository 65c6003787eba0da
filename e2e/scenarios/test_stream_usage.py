"""Usage of streams: asked for by the gateway where that is possible, and taken out again."""

import json

import pytest

from e2e.harness import Backend, RawConnection
from e2e.mock_azure_openai import Action, Rule, Usage
from e2e.scenarios import calls

USAGE = Usage(prompt=1234, completion=56, cached=1024, reasoning=32, audio_prompt=3)
KINDS = {"prompt": 1234, "completion": 56, "cached": 1024, "reasoning": 32, "audio": 3}
BODIES = {"chat": calls.chat(), "completions": {"model": "gpt-4o", "prompt": "Say hello."}}
V1 = {"chat": calls.CHAT, "completions": calls.COMPLETIONS}
LEGACY = {"chat": "chat/completions", "completions": "completions"}
OPERATIONS = pytest.mark.parametrize("operation", ["chat", "completions"])
OLD = ["2024-06-01", "2024-08-01-preview", "2023-12-01-preview"]
NEW = ["2024-09-01-preview", "2024-10-21", "2025-04-01-preview"]


def one(mocks, gateway, **action):
    (mock,) = mocks(1)
    mock.script(Action(usage=USAGE, **action))
    return mock, gateway([Backend(mock)], env=calls.LONG_HOLD)


@OPERATIONS
def test_usage_that_only_the_gateway_asked_for_is_counted_and_removed(mocks, gateway, operation):
    mock, gw = one(mocks, gateway, crlf=operation == "chat")
    name = f"injected-{operation}"
    answer = gw.request(
        "POST", V1[operation], body=BODIES[operation] | {"model": name, "stream": True}
    )
    (entry,) = mock.wait_done(1)
    assert entry.json()["stream_options"] == {"include_usage": True}
    assert entry.usage == USAGE
    assert answer.body == calls.without_usage(entry.sent)
    assert answer.complete
    gw.wait_for_metric(calls.tokens_of(name, **KINDS))


@OPERATIONS
def test_usage_that_the_client_asked_for_is_counted_and_kept(mocks, gateway, operation):
    mock, gw = one(mocks, gateway)
    name = f"asked-{operation}"
    asked = {"stream": True, "stream_options": {"include_usage": True}}
    body = calls.encoded(BODIES[operation] | {"model": name} | asked)
    answer = gw.request(
        "POST", V1[operation], body=body, headers={"content-type": "application/json"}
    )
    (entry,) = mock.wait_done(1)
    assert entry.body == body
    assert answer.body == entry.sent
    gw.wait_for_metric(calls.tokens_of(name, **KINDS))


def test_nothing_but_the_option_changes_in_the_body(mocks, gateway):
    mock, gw = one(mocks, gateway)
    body = (
        b'{ "messages" : [\n{"role":"user","content":"{\\"stream_options\\":1} \xc3\xa9\\u00e9"}],'
        b'"empty":{}, "none":[], "big":12345678901234567, "float":1.0, "stream":true ,'
        b'"model":"gpt-4o"}'
    )
    gw.request("POST", calls.CHAT, body=body, headers={"content-type": "application/json"})
    (entry,) = mock.wait_done(1)
    added = b'"stream_options":{"include_usage":true}'
    assert entry.json() == json.loads(body) | json.loads(b"{%b}" % added)
    assert entry.body.replace(added + b",", b"") == body


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"include_usage": False}, {"include_usage": True}),
        ({"include_obfuscation": False}, {"include_obfuscation": False, "include_usage": True}),
        (
            {"a": [1, {}], "include_usage": False, "b": None},
            {"a": [1, {}], "include_usage": True, "b": None},
        ),
        ({}, {"include_usage": True}),
        (None, {"include_usage": True}),
    ],
)
def test_other_stream_options_are_kept_and_usage_not_asked_for_is_removed(
    mocks, gateway, given, sent
):
    mock, gw = one(mocks, gateway)
    request = calls.chat(stream=True, stream_options=given)
    answer = gw.request("POST", calls.CHAT, body=request)
    (entry,) = mock.wait_done(1)
    assert entry.json() == request | {"stream_options": sent}
    assert answer.body == calls.without_usage(entry.sent)


@pytest.mark.parametrize("version", OLD)
def test_api_versions_that_do_not_know_the_option_are_left_alone(mocks, gateway, version):
    mock, gw = one(mocks, gateway)
    body = calls.encoded(calls.chat(stream=True))
    target = calls.legacy("gpt-4o", version=version)
    answer = gw.request("POST", target, body=body, headers={"content-type": "application/json"})
    (entry,) = mock.wait_done(1)
    assert entry.body == body
    assert answer.status == 200
    assert answer.body == entry.sent


@pytest.mark.parametrize("version", NEW)
@OPERATIONS
def test_api_versions_that_know_the_option_get_it(mocks, gateway, version, operation):
    mock, gw = one(mocks, gateway)
    target = calls.legacy("gpt-4o", LEGACY[operation], version)
    answer = gw.request("POST", target, body=BODIES[operation] | {"stream": True})
    (entry,) = mock.wait_done(1)
    assert entry.json()["stream_options"] == {"include_usage": True}
    assert answer.body == calls.without_usage(entry.sent)


@pytest.mark.parametrize(
    ("target", "body"),
    [
        (calls.RESPONSES, {"model": "gpt-4o", "input": "Say hello.", "stream": True}),
        (calls.RESPONSES, {"model": "gpt-4o", "input": "Say hello."}),
        (calls.legacy("gpt-4o", "responses"), {"input": "Say hello.", "stream": True}),
        (
            "/openai/responses?api-version=2025-03-01-preview",
            {"model": "gpt-4o", "input": "Say hello.", "stream": True},
        ),
        (calls.CHAT, calls.chat(stream=False)),
        (calls.CHAT, calls.chat()),
        (calls.EMBEDDINGS, {"model": "gpt-4o", "input": "Say hello."}),
    ],
    ids=[
        "responses-stream",
        "responses",
        "legacy-responses",
        "responses-without-deployment",
        "stream-false",
        "chat",
        "embeddings",
    ],
)
def test_the_option_goes_to_chat_and_completions_streams_only(mocks, gateway, target, body):
    mock, gw = one(mocks, gateway)
    sent = calls.encoded(body)
    headers = {"content-type": "application/json"}
    answer = gw.request("POST", target, body=sent, headers=headers)
    (entry,) = mock.wait_done(1)
    assert entry.body == sent
    assert answer.status == 200
    assert answer.body == entry.sent


def test_a_backend_that_refuses_the_option_is_asked_again_without_it_and_remembered(mocks, gateway):
    mock, gw = one(mocks, gateway)
    refusal = Rule(times=1, action=Action(error="stream_options"))
    mock.script([refusal, Action(usage=USAGE)])
    body = calls.encoded(calls.chat("refuses-the-option", stream=True))
    # one connection, one worker: the memory is a worker's own
    with RawConnection(gw.url) as connection:
        calls.post(connection, gw, calls.CHAT, body)
        first = connection.read_response()
        calls.post(connection, gw, calls.CHAT, body)
        second = connection.read_response()
    refused, retried, remembered = mock.wait_done(3)
    assert "stream_options" in refused.json()
    assert retried.body == remembered.body == body
    assert (first.status, second.status) == (200, 200)
    assert first.body == retried.sent
    assert len(mock.journal) == 3


def test_an_option_that_the_client_sent_itself_and_the_backend_refuses_is_its_400(mocks, gateway):
    mock, gw = one(mocks, gateway, error="stream_options")
    asked = calls.chat(stream=True, stream_options={"include_usage": True})
    answer = gw.request("POST", calls.CHAT, body=asked)
    (entry,) = mock.wait_done(1)
    assert answer.status == 400
    assert answer.body == entry.sent
    assert len(mock.journal) == 1


def test_a_stream_without_usage_is_counted_as_unknown(mocks, gateway):
    _, gw = one(mocks, gateway)
    name = "usage-unknown"
    target = calls.legacy(name, version=OLD[0])
    gw.request("POST", target, body=calls.chat(stream=True))
    gw.wait_for_metric(lambda m: m.value("gateway_usage_unknown_total", deployment=name) == 1)
