"""A client that leaves takes its upstream call with it: unread tokens are not paid for."""

import time

import pytest

from e2e.harness import Backend, RawConnection
from e2e.mock_azure_openai import Action, Split
from e2e.scenarios import calls

STREAM = calls.chat(stream=True)
RESPONSE = {"model": "gpt-4o", "input": "Say hello.", "stream": True}
LARGE = 4_000_000
MOMENTS = {
    "json-before-the-first-byte": (calls.CHAT, calls.chat(), Action(hold_before_headers=True)),
    "json-in-the-body": (calls.CHAT, calls.chat(), Action(hold_after_bytes=20)),
    "stream-before-the-first-byte": (calls.CHAT, STREAM, Action(hold_before_headers=True)),
    "stream-after-the-headers": (calls.CHAT, STREAM, Action(hold_after_bytes=0)),
    "stream-before-the-first-token": (calls.CHAT, STREAM, Action(hold_after_events=2)),
    "responses-before-the-first-token": (
        calls.RESPONSES,
        RESPONSE,
        Action(hold_after_events=2),
    ),
}
FLOWING = {
    "stream-in-the-middle": (calls.CHAT, STREAM, Action(hold_after_events=4)),
    "responses-in-the-middle": (calls.RESPONSES, RESPONSE, Action(hold_after_events=6)),
    "large-json-in-the-middle": (
        calls.CHAT,
        calls.chat(),
        Action(content_bytes=LARGE, hold_after_bytes=LARGE // 2),
    ),
}
LEAVING = pytest.mark.parametrize("leave", ["close", "abort"], ids=["fin", "rst"])


def assert_gone_within_a_second(mock, left_at):
    (entry,) = mock.wait_gone()
    assert entry.finished_at - left_at < 1
    assert len(mock.journal) == 1


@LEAVING
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_client_that_leaves_before_anything_was_sent_closes_the_backend(
    mocks, gateway, moment, leave
):
    first, second = mocks(2)
    backends = [Backend(first, priority=10), Backend(second, priority=5)]
    gw = gateway(backends, env=calls.LONG_HOLD)
    target, body, action = MOMENTS[moment]
    first.script(action)
    with RawConnection(gw.url) as connection:
        calls.post(connection, gw, target, body)
        first.wait_held()
        left_at = time.time()
        getattr(connection, leave)()
        assert_gone_within_a_second(first, left_at)
    assert not second.journal, "a client that left is no reason to try another backend"
    calls.wait_idle(gw)


@LEAVING
@pytest.mark.parametrize("moment", FLOWING)
def test_a_client_that_leaves_in_the_middle_closes_the_backend(mocks, gateway, moment, leave):
    first, second = mocks(2)
    backends = [Backend(first, priority=10), Backend(second, priority=5)]
    gw = gateway(backends, env=calls.LONG_HOLD)
    before = gw.metrics()
    target, body, action = FLOWING[moment]
    first.script(action)
    with RawConnection(gw.url) as connection:
        calls.post(connection, gw, target, body)
        connection.read_body(lambda got: len(got) > 0)
        first.wait_held()
        left_at = time.time()
        getattr(connection, leave)()
        assert_gone_within_a_second(first, left_at)

    def settled(now):
        aborts = now.since(before).value("gateway_stream_aborts_total", by="client")
        return aborts == 1 and calls.idle(now)

    gw.wait_for_metric(settled)


def test_a_client_that_leaves_while_events_keep_coming_closes_the_backend(mocks, gateway):
    (mock,) = mocks(1)
    gw = gateway([Backend(mock)], env=calls.LONG_HOLD)
    mock.script(Action(deltas=5000, delta_delay_ms=10))
    with RawConnection(gw.url) as connection:
        calls.post(connection, gw, calls.CHAT, STREAM)
        connection.read_body(lambda got: len(got) > 1000)
        left_at = time.time()
        connection.close()
        assert_gone_within_a_second(mock, left_at)


def test_many_clients_that_leave_at_once_leave_nothing_behind(mocks, gateway):
    (mock,) = mocks(1)
    gw = gateway([Backend(mock)], env=calls.LONG_HOLD)
    mock.script(Action(hold_after_events=2, split=Split(split_every=50, pause_ms=0)))
    connections = [RawConnection(gw.url) for _ in range(30)]
    for connection in connections:
        calls.post(connection, gw, calls.CHAT, STREAM)
    mock.wait_held(len(connections))
    held = {"gateway_requests_in_flight": 30.0, "apisix_llm_active_connections": 30.0}
    gw.wait_for_metric(lambda m: {name: m.value(name) for name in held} == held)
    for connection in connections:
        connection.abort()
    mock.wait_gone(len(connections))
    calls.wait_idle(gw)


def test_the_connection_of_a_client_that_stays_can_be_used_again(mocks, gateway):
    (mock,) = mocks(1)
    gw = gateway([Backend(mock)], env=calls.LONG_HOLD)
    with RawConnection(gw.url) as connection:
        for body in (STREAM, calls.chat(), STREAM, calls.chat()):
            calls.post(connection, gw, calls.CHAT, body)
            answer = connection.read_response()
            assert (answer.status, answer.complete) == (200, True)
    assert not any(entry.client_gone for entry in mock.wait_done(4))
