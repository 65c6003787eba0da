"""No worker grows with the number of streams that it served."""

from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from e2e.harness import Backend, RawConnection
from e2e.mock_azure_openai import Action, At, Match, Rule
from e2e.scenarios import calls

MEBI = 1 << 20
WARM_UP = 2_000
STREAMS = 10_000
PER_CONNECTION = 25
CONNECTIONS = 8
# What an allocator may keep: 10,000 streams that leak a hundred bytes each are found at 1 MiB, so
# this finds leaks from 400 bytes a stream on.
BOUND = 4 * MEBI
CUT = {"x-kind": "cut"}
FAIL = {"x-kind": "fail"}
LEAVE = {"x-kind": "leave"}


def scripts(first):
    first.script(
        [
            Rule(match=Match(headers=CUT), action=Action(close=At(at_byte=2500))),
            Rule(match=Match(headers=FAIL), action=Action(error="500")),
            Rule(match=Match(headers=LEAVE), action=Action(hold_after_events=4)),
        ]
    )


def stream(connection, gateway, number, headers):
    options = {"stream_options": {"include_usage": True}} if number % 3 else {}
    body = calls.chat(stream=True, **options)
    calls.post(connection, gateway, calls.CHAT, body, headers=headers)


def some_streams(gateway):
    """Run streams on one connection, and on one each a cut, a failed over and a left one."""
    with RawConnection(gateway.url, timeout=30) as connection:
        for number in range(PER_CONNECTION - 3):
            stream(connection, gateway, number, {})
            assert connection.read_response().complete
    for headers in (CUT, FAIL):
        with RawConnection(gateway.url, timeout=30) as connection:
            stream(connection, gateway, 1, headers)
            assert connection.read_response().complete == (headers is FAIL)
    with RawConnection(gateway.url, timeout=30) as connection:
        stream(connection, gateway, 1, LEAVE)
        connection.read_body(lambda got: b"Hello" in got)
        connection.abort()


def run(gateway, count):
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        rounds = range(count // PER_CONNECTION)
        list(pool.map(lambda _: some_streams(gateway), rounds))
    calls.wait_idle(gateway)


def resident(gateway):
    return {pid: psutil.Process(pid).memory_info().rss for pid in gateway.worker_pids()}


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_no_worker_grows_over_ten_thousand_streams(mocks, gateway):
    first, second = mocks(2)
    backends = [Backend(first, priority=10), Backend(second, priority=5)]
    gw = gateway(backends, env=calls.LONG_HOLD, fresh=True)
    scripts(first)
    run(gw, WARM_UP)
    before = resident(gw)
    run(gw, STREAMS)
    after = resident(gw)
    assert after.keys() == before.keys(), "a worker was lost"
    grown = {pid: (after[pid] - before[pid]) / MEBI for pid in before}
    assert max(grown.values()) < BOUND / MEBI, f"MiB by worker: {grown}"
    print(f"\ngrowth in MiB by worker: {grown}")  # noqa: T201
