"""Reasoning models think for minutes: silence that the read timeout allows is no failure."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from e2e.harness import Backend, RawConnection
from e2e.mock_azure_openai import Action, Match, Rule
from e2e.scenarios import calls

SILENCE_MS = 180_000
KINDS = {
    "json": (calls.CHAT, calls.chat(), Action(delay_ms=SILENCE_MS)),
    "stream": (calls.CHAT, calls.chat(stream=True), Action(delay_ms=SILENCE_MS)),
    "responses": (
        calls.RESPONSES,
        {"model": "gpt-4o", "input": "Say hello.", "stream": True},
        Action(delay_ms=SILENCE_MS),
    ),
    "stream-after-its-head": (
        calls.CHAT,
        calls.chat(stream=True, stream_options={"include_usage": True}),
        Action(deltas=1, delta_delay_ms=SILENCE_MS),
    ),
}


def call(gateway, kind):
    target, body, _ = KINDS[kind]
    with RawConnection(gateway.url, timeout=SILENCE_MS / 1000 + 60) as connection:
        calls.post(connection, gateway, target, body, headers={"x-kind": kind})
        return connection.read_response()


@pytest.mark.soak
@pytest.mark.timeout(300)
def test_a_backend_that_is_silent_for_three_minutes_succeeds(mocks, gateway):
    first, second = mocks(2)
    gw = gateway([Backend(first, priority=10), Backend(second, priority=5)])
    first.script(
        [
            Rule(match=Match(headers={"x-kind": kind}), action=action)
            for kind, (_, _, action) in KINDS.items()
        ]
    )
    with ThreadPoolExecutor(len(KINDS)) as pool:
        answers = list(pool.map(lambda kind: call(gw, kind), KINDS))
    assert [(answer.status, answer.complete) for answer in answers] == [(200, True)] * len(KINDS)
    assert len(first.journal) == len(KINDS)
    assert not second.journal
