"""The head of a stream is held until the first output; what follows flows at once."""

import base64

import pytest

from e2e.harness import Backend, RawConnection
from e2e.mock_azure_openai import Action, At, SseError
from e2e.scenarios import calls

FILTER = b'data: {"choices":[],"prompt_filter_results":[]}\n\n'
ROLE = b'data: {"choices":[{"delta":{"role":"assistant","content":""}}]}\n\n'
COMMENT = b": thinking\n\n"
HELLO = b'data: {"choices":[{"delta":{"content":"Hello"}}]}\n\n'
WORLD = 'data: {"choices":[{"delta":{"content":" wörld"}}]}\n\n'.encode()
DONE = b"data: [DONE]\n\n"
HEAD = FILTER + COMMENT + ROLE
STREAM = HEAD + HELLO + WORLD + DONE
ASKED = calls.chat(stream=True, stream_options={"include_usage": True})
INJECTED = calls.chat(stream=True)
BODIES = pytest.mark.parametrize("body", [ASKED, INJECTED], ids=["usage-asked", "usage-injected"])


def raw(data, **more):
    return Action(body_base64=base64.b64encode(data).decode(), **more)


def pair(mocks, gateway, env=calls.LONG_HOLD):
    """Return a gateway that prefers the first of two backends."""
    first, second = mocks(2)
    backends = [Backend(first, priority=10), Backend(second, priority=5)]
    return first, second, gateway(backends, env=env)


@BODIES
def test_the_first_content_is_with_the_client_while_the_backend_holds_the_rest(
    mocks, gateway, body
):
    first, _, gw = pair(mocks, gateway)
    first.script(raw(STREAM, hold_after_bytes=len(HEAD + HELLO)))
    with RawConnection(gw.url) as connection:
        calls.post(connection, gw, calls.CHAT, body)
        assert connection.read_body(lambda got: HELLO in got) == HEAD + HELLO
        (entry,) = first.wait_held()
        assert entry.bytes_sent == len(HEAD + HELLO)
        first.release()
        answer = connection.read_response()
    assert answer.complete
    assert answer.body == STREAM


@BODIES
def test_every_event_is_with_the_client_before_the_backend_sends_the_next(mocks, gateway, body):
    first, _, gw = pair(mocks, gateway)
    sizes = [len(STREAM) - len(WORLD + DONE), len(STREAM) - len(DONE)]
    for size in sizes:
        first.script(raw(STREAM, hold_after_bytes=size))
        with RawConnection(gw.url) as connection:
            calls.post(connection, gw, calls.CHAT, body)
            got = connection.read_body(lambda got, size=size: len(got) >= size)
            assert got == STREAM[:size]
            first.wait_held()
            first.release()
            assert connection.read_response().body == STREAM


def test_filter_results_comments_and_roles_wait_for_the_first_output(mocks, gateway):
    # Nothing of the head was sent: else the other backend could not have given a clean answer.
    first, second, gw = pair(mocks, gateway)
    first.script(raw(STREAM, hold_after_bytes=len(HEAD), reset=At(at_byte=len(HEAD))))
    with RawConnection(gw.url) as connection:
        calls.post(connection, gw, calls.CHAT, ASKED)
        first.wait_held()
        first.release()
        answer = connection.read_response()
    (entry,) = second.wait_done(1)
    assert answer.complete
    assert answer.body == entry.sent
    assert answer.header("x-gateway-backend") == [second.name]


def test_after_the_hold_time_the_head_is_sent_although_nothing_decided(mocks, gateway):
    first, _, gw = pair(mocks, gateway, env={})
    first.script(raw(STREAM, hold_after_bytes=len(HEAD)))
    with RawConnection(gw.url) as connection:
        calls.post(connection, gw, calls.CHAT, INJECTED)
        assert connection.read_body(lambda got: len(got) >= len(HEAD)) == HEAD
        first.wait_held()
        first.release()
        answer = connection.read_response()
    assert answer.complete
    assert answer.body == STREAM


def test_headers_alone_are_never_sent_on_however_long_the_first_byte_takes(mocks, gateway):
    # Twice the default hold time passes between the headers and the failure.
    first, second, gw = pair(mocks, gateway, env={})
    first.script(raw(STREAM, delta_delay_ms=600, reset=At(at_byte=0)))
    answer = gw.request("POST", calls.CHAT, body=ASKED)
    assert answer.status == 200
    assert answer.complete
    assert answer.body == second.wait_done(1)[0].sent


def test_a_head_larger_than_the_hold_is_sent(mocks, gateway):
    first, _, gw = pair(mocks, gateway)
    head = (b": " + b"x" * 1000 + b"\n\n") * 20
    first.script(raw(head + HELLO + DONE, hold_after_bytes=len(head)))
    with RawConnection(gw.url) as connection:
        calls.post(connection, gw, calls.CHAT, INJECTED)
        assert connection.read_body(lambda got: len(got) >= len(head)) == head
        first.wait_held()
        first.release()
        assert connection.read_response().body == head + HELLO + DONE


HEAD_FAILURES = {
    "reset": raw(STREAM, reset=At(at_byte=len(HEAD))),
    "reset-within-an-event": raw(STREAM, reset=At(at_byte=len(HEAD) - 9)),
    "close": raw(STREAM, close=At(at_byte=len(HEAD))),
    "reset-after-headers": Action(reset="after_headers"),
    "close-after-headers": Action(close="after_headers"),
    "error-event": Action(sse_error=SseError(code="too_many_requests", after_events=2)),
    "error-event-first": Action(
        sse_error=SseError(code="InternalServerError", type="server_error")
    ),
}


@pytest.mark.parametrize("failure", HEAD_FAILURES)
def test_a_failure_in_the_head_fails_over(mocks, gateway, failure):
    first, second, gw = pair(mocks, gateway)
    first.script(HEAD_FAILURES[failure])
    answer = gw.request("POST", calls.CHAT, body=ASKED)
    (entry,) = second.wait_done(1)
    assert answer.status == 200
    assert answer.complete
    assert answer.body == entry.sent
    assert answer.header("x-gateway-attempts") == ["2"]
    assert len(first.journal) == 1


@pytest.mark.parametrize("style", ["error", "response.failed"])
def test_an_error_event_in_the_head_of_a_responses_stream_fails_over(mocks, gateway, style):
    first, second, gw = pair(mocks, gateway)
    error = SseError(code="rate_limit_exceeded", after_events=2, style=style)
    first.script(Action(sse_error=error))
    request = {"model": "gpt-4o", "input": "Say hello.", "stream": True}
    answer = gw.request("POST", calls.RESPONSES, body=request)
    (entry,) = second.wait_done(1)
    assert answer.complete
    assert answer.body == entry.sent


def test_a_refused_prompt_in_the_head_is_passed_on_from_one_backend(mocks, gateway):
    first, second, gw = pair(mocks, gateway)
    first.script(Action(sse_error=SseError(code="content_filter", after_events=2)))
    answer = gw.request("POST", calls.CHAT, body=ASKED)
    (entry,) = first.wait_done(1)
    assert answer.body == entry.sent
    assert calls.error_of(calls.events(answer.body)[-1])["code"] == "content_filter"
    assert not second.journal


def test_a_refused_prompt_is_with_the_client_before_the_backend_ends_the_stream(mocks, gateway):
    first, _, gw = pair(mocks, gateway, env={"STREAM_HOLD_MS": "50"})
    refusal = b'data: {"error":{"code":"content_filter","message":"filtered"}}\n\n'
    first.script(raw(refusal + DONE, hold_after_bytes=len(refusal)))
    with RawConnection(gw.url) as connection:
        calls.post(connection, gw, calls.CHAT, ASKED)
        assert connection.read_body(lambda got: len(got) >= len(refusal)) == refusal
        first.wait_held()
        first.release()
        answer = connection.read_response()
    assert answer.complete
    assert answer.body == refusal + DONE
