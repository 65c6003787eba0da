"""Time and number of attempts are bounded: a late failure is returned, not paid for twice."""

from __future__ import annotations

import json
import socket
from contextlib import contextmanager

import pytest

from e2e.harness import Backend
from e2e.harness import fleet as fleets
from e2e.harness.calls import assert_own_error
from e2e.harness.fleet import only
from e2e.mock_azure_openai.script import Action, Split, SseError

LATE_MS = 500
SILENT = {
    "before headers": Action(hang=True),
    "after headers": Action(hold_after_bytes=0),
}


@pytest.fixture
def impatient(mocks, gateway, dead_ports):
    """A read timeout that is shorter than FAILOVER_WITHIN_MS."""
    return fleets.make(mocks, gateway, dead_ports, env={"AI_PROXY_READ_TIMEOUT": "1"})


@pytest.fixture
def strict(mocks, gateway, dead_ports):
    """Failures count as late after 0.2 s, before any timeout."""
    env = {
        "FAILOVER_WITHIN_MS": "200",
        "AI_PROXY_FIRST_BYTE_TIMEOUT": "1",
        "AI_PROXY_READ_TIMEOUT": "1",
    }
    return fleets.make(mocks, gateway, dead_ports, env=env)


@pytest.fixture
def bounded(mocks, gateway, dead_ports):
    env = {"FAILOVER_MAX_ATTEMPTS": "2", "AI_PROXY_FALLBACK_STRATEGY": "http_429"}
    return fleets.make(mocks, gateway, dead_ports, env=env)


@pytest.mark.parametrize("stream", [False, True], ids=["json", "sse"])
@pytest.mark.parametrize("when", SILENT)
def test_a_silent_backend_is_passed_over_after_the_read_timeout(impatient, when, stream):
    impatient.alpha.script(SILENT[when])

    response = impatient.ask("pair", stream=stream)

    assert response.status == 200
    assert response.body == only(impatient.bravo).sent
    assert response.header("x-gateway-attempts") == ["2"]
    assert impatient.calls() == [1, 1, 0]
    impatient.alpha.wait_gone()


def test_an_error_that_drips_in_is_not_waited_for_to_its_end(fleet):
    drip = Split(split_every=1, pause_ms=500)
    fleet.alpha.script(Action(status=503, body="x" * 1000, split=drip))

    response = fleet.ask("pair")

    assert response.body == only(fleet.bravo).sent
    fleet.alpha.wait_gone()


def test_a_body_that_stops_while_it_is_held_is_passed_over(impatient):
    impatient.alpha.script(Action(hold_after_bytes=100))

    response = impatient.ask("pair")

    assert response.status == 200
    assert response.body == only(impatient.bravo).sent
    assert impatient.calls() == [1, 1, 0]


@pytest.mark.parametrize("stream", [False, True], ids=["json", "sse"])
def test_two_silent_backends_are_passed_over(impatient, stream):
    impatient.alpha.script(Action(hang=True))
    impatient.bravo.script(Action(hang=True))

    response = impatient.ask("trio", stream=stream)

    assert response.status == 200
    assert response.body == only(impatient.charlie).sent
    assert response.header("x-gateway-attempts") == ["3"]
    assert impatient.calls() == [1, 1, 1]


def test_timeouts_only_are_a_504(impatient):
    impatient.alpha.script(Action(hang=True))
    impatient.bravo.script(Action(hold_after_bytes=0))

    response = impatient.ask("pair")

    error = assert_own_error(response, 504, "backend_timeout")
    assert not [secret for secret in impatient.secrets() if secret in json.dumps(error)]
    assert impatient.calls() == [1, 1, 0]


def test_a_timeout_and_another_transport_error_are_a_502(impatient):
    impatient.alpha.script(Action(hang=True))

    response = impatient.ask("before-dead")

    assert_own_error(response, 502, "backend_unreachable")


@pytest.mark.parametrize("stream", [False, True], ids=["json", "sse"])
@pytest.mark.parametrize("name", ["429", "500", "503", "401_token", "DeploymentNotFound"])
def test_a_late_failure_is_returned(strict, name, stream):
    strict.alpha.script(Action(error=name, delay_ms=LATE_MS))

    response = strict.ask("pair", stream=stream)

    entry = only(strict.alpha)
    if name == "401_token":
        assert_own_error(response, 502, "backend_auth_failed")
    else:
        assert (response.status, response.body) == (entry.status, entry.sent)
    assert response.header("x-gateway-attempts") == ["1"]
    assert strict.calls() == [1, 0, 0]


@pytest.mark.parametrize("stream", [False, True], ids=["json", "sse"])
def test_a_late_reset_is_a_502(strict, stream):
    strict.alpha.script(Action(delay_ms=LATE_MS, reset="after_headers"))

    response = strict.ask("pair", stream=stream)

    assert_own_error(response, 502, "backend_unreachable")
    assert strict.calls() == [1, 0, 0]


def test_a_late_error_event_has_the_status_of_its_code(strict):
    strict.alpha.script(Action(delay_ms=LATE_MS, sse_error=SseError(code="429", message="slow")))

    response = strict.ask("pair", stream=True)

    assert response.status == 429
    assert response.header("content-type") == ["application/json"]
    assert json.loads(response.body) == {"error": {"code": "429", "message": "slow"}}
    assert strict.calls() == [1, 0, 0]


def test_a_late_read_timeout_is_a_504(strict):
    strict.alpha.script(Action(hold_after_bytes=0))

    response = strict.ask("pair")

    assert_own_error(response, 504, "backend_timeout")
    assert strict.calls() == [1, 0, 0]


@pytest.mark.parametrize("stream", [False, True], ids=["json", "sse"])
def test_a_first_byte_timeout_always_fails_over(strict, stream):
    strict.alpha.script(Action(hang=True))

    response = strict.ask("pair", stream=stream)

    assert response.status == 200
    assert response.body == only(strict.bravo).sent
    assert strict.calls() == [1, 1, 0]


def test_a_slow_answer_within_the_timeouts_is_served(strict):
    strict.alpha.script(Action(delay_ms=LATE_MS))

    assert strict.ask("pair").header("x-gateway-backend") == ["alpha"]


@contextmanager
def unaccepting_port():
    """A port whose queue is full: connections to it are neither taken nor refused."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]
        for filler in fillers:
            filler.close()


def test_a_connect_timeout_always_fails_over(mocks, gateway):
    (mock,) = mocks(1)
    with unaccepting_port() as port:
        gw = gateway(
            [
                Backend(name="full", endpoint=f"http://127.0.0.1:{port}", priority=9),
                Backend(mock),
            ],
            env={**fleets.ENV, "AI_PROXY_CONNECT_TIMEOUT": "0.5", "FAILOVER_WITHIN_MS": "200"},
            fresh=True,
        )
        response = gw.request(
            "POST", "/openai/v1/responses", body={"model": "gpt-4o", "input": "hello"}
        )

    assert response.status == 200
    assert response.header("x-gateway-attempts") == ["2"]
    assert len(mock.journal) == 1


def test_the_number_of_attempts_is_bounded(bounded):
    for mock in bounded.mocks:
        mock.script(Action(error="429"))

    response = bounded.ask("trio")

    assert response.status == 429
    assert response.body == only(bounded.bravo).sent
    assert response.header("x-gateway-attempts") == ["2"]
    assert bounded.calls() == [1, 1, 0]


@pytest.mark.parametrize("stream", [False, True], ids=["json", "sse"])
@pytest.mark.parametrize("name", ["500", "502", "503", "504"])
def test_a_strategy_of_429_does_not_retry_server_errors(bounded, name, stream):
    bounded.alpha.script(Action(error=name))

    response = bounded.ask("trio", stream=stream)

    entry = only(bounded.alpha)
    assert (response.status, response.body) == (int(name), entry.sent)
    assert bounded.calls() == [1, 0, 0]


def test_a_strategy_of_429_retries_a_429(bounded):
    bounded.alpha.script(Action(error="429"))

    assert bounded.ask("trio").header("x-gateway-backend") == ["bravo"]
