"""The harness starts, changes, shares and stops real gateways."""

import signal

import psutil
import pytest

from e2e.harness import Backend, Client, Gateway, GatewayError
from e2e.harness.pools import GatewayPool, MockPool

CHAT = "/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21"


@pytest.fixture(scope="module")
def mocks():
    pool = MockPool()
    yield pool.take(2)
    pool.close()


@pytest.fixture(scope="module")
def gateways():
    pool = GatewayPool("lite")
    yield pool
    pool.close()


def winner(gateway):
    return gateway.request("POST", CHAT, body={"messages": []}).header("x-gateway-backend")


def test_a_gateway_is_shared_until_its_settings_change(gateways, mocks):
    settings = ([Backend(mocks[0], priority=9), Backend(mocks[1])], [Client()], {})
    first = gateways.take(*settings)
    assert gateways.take(*settings) is first
    assert winner(first) == ["mock0"]
    workers = first.worker_pids()
    assert len(workers) == 2
    first.rerender({"AZURE_OPENAI_PRIORITY_1": 10})
    second = gateways.take(*settings)
    assert second is not first
    assert not any(psutil.pid_exists(pid) for pid in workers)
    assert winner(second) == ["mock0"]


def test_metrics_are_waited_for(gateways, mocks):
    gateway = gateways.take([Backend(mocks[0], priority=9), Backend(mocks[1])], [Client()], {})
    before = gateway.metrics()
    winner(gateway)
    gateway.wait_for_metric(lambda m: m.since(before).value("gateway_requests_total") >= 1)
    with pytest.raises(GatewayError, match=r"not met within 0 s:\n"):
        gateway.wait_for_metric(lambda _: False, timeout=0)


def test_a_gateway_that_cannot_start_says_why(mocks):
    gateway = Gateway(backends=[Backend(mocks[0], weight="heavy")])
    with pytest.raises(GatewayError, match=r"ended with \d+; log:\n.*AZURE_OPENAI_WEIGHT_0"):
        gateway.start()
    gateway.close()
    assert not gateway.folder.exists()


def test_a_gateway_stops_with_its_children_and_files(mocks):
    with Gateway(backends=[Backend(mocks[0])]) as gateway:
        pids = [gateway.pid, *gateway.worker_pids()]
        assert oct((gateway.folder / "gateway.env").stat().st_mode & 0o777) == "0o600"
    assert not any(psutil.pid_exists(pid) for pid in pids)
    assert not gateway.folder.exists()


def test_a_gateway_that_was_killed_is_not_reused(gateways, mocks):
    settings = ([Backend(mocks[0])], [Client()], {})
    first = gateways.take(*settings)
    psutil.Process(first.pid).send_signal(signal.SIGTERM)
    psutil.Process(first.pid).wait(10)
    assert gateways.take(*settings) is not first
