"""Start, change, loss of a worker, stop: requests that are under way notice nothing."""

import os
import signal
import threading

import psutil
import pytest

from e2e.harness import Backend, Client, Gateway, GatewayError, RawConnection
from e2e.mock_azure_openai import Action, Match, Rule
from e2e.scenarios import calls
from e2e.scenarios.load import Load, until

STREAM = calls.chat(stream=True)
HELD = Rule(match=Match(stream=True), action=Action(hold_after_events=4))


@pytest.fixture
def pair(mocks, gateway):
    """Return two mocks and a gateway of the test's own that prefers the first."""
    first, second = mocks(2)
    backends = [Backend(first, priority=10), Backend(second, priority=5)]
    return first, second, gateway(backends, fresh=True)


def served_by(gateway):
    return gateway.request("POST", calls.CHAT, body=calls.chat()).header("x-gateway-backend")


def refuses(gateway):
    try:
        RawConnection(gateway.url).close()
    except ConnectionRefusedError:
        return True
    return False


def test_a_change_of_routes_under_load_fails_no_request_and_cuts_no_stream(pair):
    first, second, gw = pair
    with Load(gw, [first, second]) as load:
        load.wait_for(20)
        gw.rerender({"AZURE_OPENAI_PRIORITY_1": "99"})
        until(lambda: all(served_by(gw) == [second.name] for _ in range(20)))
        gw.rerender({"AZURE_OPENAI_PRIORITY_1": "1"})
        until(lambda: all(served_by(gw) == [first.name] for _ in range(20)))
        load.wait_for(20)
    load.check()


def test_a_change_of_the_engine_settings_under_load_fails_no_request_and_cuts_no_stream(pair):
    first, second, gw = pair
    large = calls.chat(padding="x" * (3 << 20))
    assert gw.request("POST", calls.CHAT, body=large).status == 200
    with Load(gw, [first, second]) as load:
        load.wait_for(20)
        gw.rerender({"MAX_REQUEST_BODY_MB": "1"})
        until(lambda: gw.request("POST", calls.CHAT, body=large).status == 413)
        load.wait_for(20)
    load.check()


def test_a_stream_that_began_before_a_change_ends_as_it_began(pair):
    first, second, gw = pair
    first.script(HELD)
    with RawConnection(gw.url, timeout=30) as connection:
        calls.post(connection, gw, calls.CHAT, STREAM)
        connection.read_body(lambda got: b"Hello" in got)
        first.wait_held()
        gw.rerender({"AZURE_OPENAI_MODE_0": "drain"})
        until(lambda: all(served_by(gw) == [second.name] for _ in range(10)))
        first.release()
        answer = connection.read_response()
    assert answer.complete
    assert answer.body == calls.without_usage(first.wait_done(1)[0].sent)


def test_bad_settings_keep_the_old_set_and_say_one_line(pair):
    first, _, gw = pair
    settings = gw.folder / "gateway.env"
    good = settings.read_text(encoding="utf-8")
    before = gw.log_text()
    settings.write_text(f"{good}AZURE_OPENAI_WEIGHT_0=canary-value\n", encoding="utf-8")
    os.kill(gw.pid, signal.SIGHUP)
    until(lambda: "AZURE_OPENAI_WEIGHT_0" in gw.log_text())
    assert served_by(gw) == [first.name]
    told = [line for line in gw.log_text().splitlines() if line not in before.splitlines()]
    told = [line for line in told if "/chat/completions" not in line]
    assert len(told) == 1
    assert "old configuration stays" in told[0]
    settings.write_text(f"{good}AZURE_OPENAI_MODE_0=drain\n", encoding="utf-8")
    os.kill(gw.pid, signal.SIGHUP)
    until(lambda: served_by(gw) != [first.name])


def test_a_stop_lets_an_open_stream_finish_and_ends_with_0(pair):
    first, _, gw = pair
    first.script(HELD)
    codes = []
    with RawConnection(gw.url, timeout=30) as connection:
        calls.post(connection, gw, calls.CHAT, STREAM)
        connection.read_body(lambda got: b"Hello" in got)
        first.wait_held()
        stopping = threading.Thread(target=lambda: codes.append(gw.stop()))
        stopping.start()
        until(lambda: refuses(gw))
        first.release()
        answer = connection.read_response()
    # Only now: nginx waits for the client's end of the connection, for a few seconds.
    stopping.join()
    assert answer.complete
    assert answer.body == calls.without_usage(first.wait_done(1)[0].sent)
    assert codes == [0]


def test_a_stop_waits_no_longer_than_the_drain_time(mocks, gateway):
    (mock,) = mocks(1)
    gw = gateway([Backend(mock)], env={"DRAIN_SECONDS": "1"}, fresh=True)
    mock.script(HELD)
    with RawConnection(gw.url, timeout=30) as connection:
        calls.post(connection, gw, calls.CHAT, STREAM)
        connection.read_body(lambda got: b"Hello" in got)
        assert gw.stop() == 0
        assert not connection.read_response().complete
    mock.wait_gone()


class Watch:
    """Asks a gateway that is starting whether it is ready, and takes it at its word."""

    def __init__(self, gateway):
        self._gateway = gateway
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.seen = []
        self.statuses = []

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()

    def _run(self):
        while not self._stop.is_set():
            try:
                ready = self._gateway.is_ready()
            except KeyError:  # it has no ports yet
                continue
            self.seen.append(ready)
            if ready:
                answer = self._gateway.request("POST", calls.CHAT, body=calls.chat())
                self.statuses.append(answer.status)


def test_readiness_is_false_until_every_worker_serves_and_true_from_then_on(mocks, runtime):
    (mock,) = mocks(1)
    gw = Gateway(backends=[Backend(mock)], env={"GATEWAY_WORKERS": "4"}, runtime=runtime)
    try:
        with Watch(gw) as watch:
            gw.start()
            until(lambda: len(watch.statuses) > 50)
        gw.stop()
        assert not gw.is_ready()
    finally:
        gw.close()
    assert watch.seen == sorted(watch.seen)
    assert not watch.seen[0]
    assert set(watch.statuses) == {200}


def test_a_killed_worker_is_replaced_and_requests_go_on(pair):
    first, _, gw = pair
    before = gw.worker_pids()
    psutil.Process(before[0]).kill()

    def replaced():
        now = gw.worker_pids()
        return len(now) == len(before) and before[0] not in now

    until(replaced)
    until(gw.is_ready)
    for _ in range(20):
        assert served_by(gw) == [first.name]
    assert before[1] in gw.worker_pids()


def test_two_gateways_run_on_one_machine(mocks, gateway):
    first, second = mocks(2)
    one = gateway([Backend(first)], clients=[Client("one")], fresh=True)
    other = gateway([Backend(second)], clients=[Client("other")], fresh=True)
    assert (served_by(one), served_by(other)) == ([first.name], [second.name])
    crossed = one.request("POST", calls.CHAT, body=calls.chat(), headers={"api-key": other.key})
    assert crossed.status == 401
    one.stop()
    assert served_by(other) == [second.name]


@pytest.mark.parametrize("name", ["GATEWAY_PORT", "STATUS_PORT", "CONTROL_PORT", "METRICS_PORT"])
def test_a_port_in_use_is_one_clear_line_and_an_exit_code(mocks, runtime, name):
    (mock,) = mocks(1)
    taken = mock.port
    gw = Gateway(backends=[Backend(mock)], env={name: taken}, runtime=runtime)
    with pytest.raises(GatewayError, match=r"ended with [1-9]") as raised:
        gw.start()
    gw.close()
    said = str(raised.value).split("log:\n")[1].splitlines()
    assert said, "nothing was said"
    assert all(str(taken) in line for line in set(said))
    assert len(set(said)) == 1
