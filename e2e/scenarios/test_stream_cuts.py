"""After the first content there is no second attempt: a cut answer ends visibly cut."""

import base64

import pytest

from e2e.harness import Backend, RawConnection
from e2e.mock_azure_openai import Action, At, SseError
from e2e.scenarios import calls

HEAD = b'data: {"choices":[{"delta":{"role":"assistant","content":""}}]}\n\n'
HELLO = b'data: {"choices":[{"delta":{"content":"Hello"}}]}\n\n'
WORLD = 'data: {"choices":[{"delta":{"content":" wörld"}}]}\n\n'.encode()
DONE = b"data: [DONE]\n\n"
STREAM = HEAD + HELLO + WORLD + DONE
FLUSHED = len(HEAD + HELLO)
ASKED = calls.chat(stream=True, stream_options={"include_usage": True})
INJECTED = calls.chat(stream=True)
BODIES = pytest.mark.parametrize("body", [ASKED, INJECTED], ids=["usage-asked", "usage-injected"])
CUTS = {
    "reset": {"reset": At(at_byte=FLUSHED)},
    "close": {"close": At(at_byte=FLUSHED)},
    "reset-within-an-event": {"reset": At(at_byte=FLUSHED + 9)},
    "close-within-a-character": {"close": At(at_byte=FLUSHED + WORLD.index("ö".encode()) + 1)},
    "reset-before-the-end": {"reset": At(at_byte=len(STREAM))},
}


def raw(data, **more):
    return Action(body_base64=base64.b64encode(data).decode(), **more)


def pair(mocks, gateway, env=calls.LONG_HOLD):
    first, second = mocks(2)
    backends = [Backend(first, priority=10), Backend(second, priority=5)]
    return first, second, gateway(backends, env=env)


@BODIES
@pytest.mark.parametrize("cut", CUTS)
def test_a_cut_after_the_first_content_ends_with_one_error_event(mocks, gateway, body, cut):
    first, second, gw = pair(mocks, gateway)
    first.script(raw(STREAM, hold_after_bytes=FLUSHED, **CUTS[cut]))
    with RawConnection(gw.url) as connection:
        calls.post(connection, gw, calls.CHAT, body)
        connection.read_body(lambda got: HELLO in got)
        first.wait_held()
        first.release()
        answer = connection.read_response()
    found = calls.events(answer.body)
    assert answer.status == 200
    assert b"".join(found[:2]) == HEAD + HELLO
    assert set(calls.error_of(found[-1])) >= {"code", "message", "type"}
    assert sum(b'"error"' in event for event in found) == 1
    assert not answer.complete, "the last chunk was sent: a cut stream looks whole"
    assert [len(first.journal), len(second.journal)] == [1, 0]


def test_a_cut_stream_is_counted(mocks, gateway):
    first, _, gw = pair(mocks, gateway)
    before = gw.metrics()
    first.script(raw(STREAM, hold_after_bytes=FLUSHED, reset=At(at_byte=FLUSHED)))
    with RawConnection(gw.url) as connection:
        calls.post(connection, gw, calls.CHAT, ASKED)
        connection.read_body(lambda got: HELLO in got)
        first.release()
        connection.read_response()

    def counted(now):
        grown = now.since(before)
        return grown.value("gateway_stream_aborts_total", backend=first.name, by="backend") >= 1

    gw.wait_for_metric(counted)
    calls.wait_idle(gw)


def test_a_backend_that_falls_silent_after_the_first_content_is_a_cut(mocks, gateway):
    first, second, gw = pair(mocks, gateway, env={"AI_PROXY_READ_TIMEOUT": "1"})
    first.script(raw(STREAM, hold_after_bytes=FLUSHED))
    answer = gw.request("POST", calls.CHAT, body=ASKED)
    first.wait_gone()
    assert not answer.complete
    assert calls.error_of(calls.events(answer.body)[-1])
    assert not second.journal


def test_an_error_event_of_the_backend_after_the_first_content_is_passed_on(mocks, gateway):
    first, second, gw = pair(mocks, gateway)
    first.script(Action(sse_error=SseError(code="429", after_events=4)))
    answer = gw.request("POST", calls.CHAT, body=ASKED)
    (entry,) = first.wait_done(1)
    assert answer.body == entry.sent
    assert calls.error_of(calls.events(answer.body)[-1])["code"] == "429"
    assert not second.journal


def test_a_large_json_body_that_is_cut_is_simply_cut(mocks, gateway):
    first, second, gw = pair(mocks, gateway)
    first.script(Action(content_bytes=4_000_000, reset=At(at_byte=3_000_000)))
    answer = gw.request("POST", calls.CHAT, body=calls.chat())
    assert answer.status == 200
    assert not answer.complete
    assert 0 < len(answer.body) <= 3_000_000
    assert not second.journal
