"""Streams reach the client byte for byte, whichever way the bytes arrive."""

import base64
import hashlib
from concurrent.futures import ThreadPoolExecutor

import pytest

from e2e.harness import Backend, RawConnection
from e2e.mock_azure_openai import Action, Match, Rule, Split, Usage
from e2e.scenarios import calls

CONNECTIONS = 8
BATCH = 64
USAGE = Usage(prompt=7, completion=5)
EVENTS = (
    ": ping 漢字\n\n",
    'data: {"choices":[],"prompt_filter_results":[]}\n\n',
    'data: {"choices":[{"delta":{"role":"assistant","content":""}}]}\n\n',
    'event: x\nid: 7\ndata: {"choices":[{"delta":{"content":"né🙂"}}]}\n\n',
    ': é\ndata: {"choices":\ndata: [{"delta":{"content":"\\"usage\\":{漢"}}]}\n\n',
    "data:{}\n\n",
    'data: {"choices":[{"delta":{},"finish_reason":"stop"}],"usage":null}\n\n',
    'data: {"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":5,"total_tokens":12}}\n\n',
    "data: [DONE]\n\n",
)
WITH_USAGE = "".join(EVENTS)
WITHOUT_USAGE = "".join(event for event in EVENTS if '"prompt_tokens"' not in event)
OPTIONS = {True: {"stream_options": {"include_usage": True}}, False: {}}


def split_rule(body, offset, framing):
    return Rule(
        times=1,
        action=Action(
            body_base64=base64.b64encode(body).decode(),
            usage=USAGE,
            framing=framing,
            headers={"x-split": str(offset)},
            split=Split(split_at=(offset,)),
        ),
    )


def fetch(gateway, count, body):
    """Return the answers to `count` requests on one connection, by the split that each one got."""
    found = []
    with RawConnection(gateway.url) as connection:
        for _ in range(count):
            calls.post(connection, gateway, calls.CHAT, body)
            answer = connection.read_response()
            found.append((int(answer.header("x-split")[0]), answer))
    return found


def fetch_all_splits(gateway, mock, stream, framing, body):
    """Return the answers for a boundary before every byte but the first."""
    offsets = list(range(1, len(stream)))
    found = {}
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        for first in range(0, len(offsets), BATCH):
            batch = offsets[first : first + BATCH]
            mock.script([split_rule(stream, offset, framing) for offset in batch])
            shares = [len(batch[i::CONNECTIONS]) for i in range(CONNECTIONS)]
            for part in pool.map(lambda n: fetch(gateway, n, body), shares):
                found.update(part)
    assert sorted(found) == offsets
    return found


@pytest.mark.parametrize("framing", ["chunked", "close"])
@pytest.mark.parametrize("asked", [True, False], ids=["usage-asked", "usage-injected"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"], ids=["lf", "crlf"])
def test_every_split_offset_gives_the_same_bytes(mocks, gateway, framing, asked, line_end):
    (mock,) = mocks(1)
    gw = gateway([Backend(mock)], env=calls.LONG_HOLD)
    sent = WITH_USAGE.replace("\n", line_end).encode()
    expected = sent if asked else WITHOUT_USAGE.replace("\n", line_end).encode()
    name = f"split-{framing}-{asked}-{len(line_end)}"
    body = calls.chat(name, stream=True, **OPTIONS[asked])
    answers = fetch_all_splits(gw, mock, sent, framing, body)
    wrong = [
        (offset, answer.body)
        for offset, answer in sorted(answers.items())
        if answer.status != 200 or not answer.complete or answer.body != expected
    ]
    assert not wrong, f"{len(wrong)} of {len(answers)}, first at offset {wrong[0]}"
    count = len(answers)
    gw.wait_for_metric(calls.tokens_of(name, prompt=7 * count, completion=5 * count))


@pytest.mark.parametrize("every", [1, 7, 0], ids=["bytewise", "by-7", "whole"])
@pytest.mark.parametrize("crlf", [False, True], ids=["lf", "crlf"])
def test_a_responses_stream_is_identical(mocks, gateway, every, crlf):
    (mock,) = mocks(1)
    gw = gateway([Backend(mock)], env=calls.LONG_HOLD)
    split = Split(split_every=every, pause_ms=0) if every else None
    mock.script(Action(split=split, crlf=crlf, comments=True))
    request = {"model": "gpt-4o", "input": "Say hello.", "stream": True}
    answer = gw.request("POST", calls.RESPONSES, body=request)
    (entry,) = mock.wait_done(1)
    assert answer.status == 200
    assert answer.complete
    assert answer.body == entry.sent
    assert b"response.completed" in answer.body


@pytest.mark.parametrize("every", [1, 0], ids=["bytewise", "whole"])
def test_a_completions_stream_with_usage_asked_for_is_identical(mocks, gateway, every):
    (mock,) = mocks(1)
    gw = gateway([Backend(mock)], env=calls.LONG_HOLD)
    mock.script(Action(split=Split(split_every=every, pause_ms=0) if every else None))
    request = {"model": "gpt-4o", "prompt": "Say hello.", "stream": True, **OPTIONS[True]}
    answer = gw.request("POST", calls.COMPLETIONS, body=request)
    (entry,) = mock.wait_done(1)
    assert answer.complete
    assert answer.body == entry.sent
    assert b'"usage":{' in answer.body


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
def test_a_json_body_is_identical_however_it_is_framed(mocks, gateway, framing):
    (mock,) = mocks(1)
    gw = gateway([Backend(mock)], env=calls.LONG_HOLD)
    mock.script(Action(framing=framing, split=Split(split_every=11, pause_ms=0)))
    answer = gw.request("POST", calls.CHAT, body=calls.chat())
    (entry,) = mock.wait_done(1)
    assert answer.complete
    assert answer.body == entry.sent


def test_a_large_json_body_is_passed_on_whole_and_its_usage_counted(mocks, gateway):
    (mock,) = mocks(1)
    gw = gateway([Backend(mock)], env=calls.LONG_HOLD)
    mock.script(Action(content_bytes=5_000_000, usage=USAGE))
    answer = gw.request("POST", calls.CHAT, body=calls.chat("large"))
    (entry,) = mock.wait_done(1)
    assert answer.complete
    assert len(answer.body) == entry.bytes_sent > 5_000_000
    assert hashlib.sha256(answer.body).hexdigest() == entry.sent_sha256
    gw.wait_for_metric(calls.tokens_of("large", prompt=7, completion=5))


def test_a_stream_that_is_compressed_all_the_same_is_passed_on_unread(mocks, gateway):
    (mock,) = mocks(1)
    gw = gateway([Backend(mock)], env=calls.LONG_HOLD)
    mock.script(Rule(match=Match(stream=True), action=Action(gzip=True)))
    answer = gw.request("POST", calls.CHAT, body=calls.chat(stream=True, **OPTIONS[True]))
    (entry,) = mock.wait_done(1)
    assert entry.header("accept-encoding") == ["identity"]
    assert answer.header("content-encoding") == ["gzip"]
    assert answer.body == entry.sent
