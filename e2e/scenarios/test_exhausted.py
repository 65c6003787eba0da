"""Nobody is left: the backends' own words where there are any, the gateway's where not."""

from __future__ import annotations

import json

import pytest

from e2e.harness.calls import assert_own_error, legacy, responses
from e2e.harness.fleet import only
from e2e.mock_azure_openai.script import Action, At, SseError

STREAM = pytest.mark.parametrize("stream", [False, True], ids=["json", "sse"])
LIMITS = {
    "x-ratelimit-limit-tokens": "1000",
    "x-ratelimit-remaining-tokens": "0",
    "x-ratelimit-reset-tokens": "12",
    "x-ms-region": "Nowhere",
}
THROTTLED = Action(error="429", retry_after_ms=12345, headers=LIMITS)


def assert_words_of(response, mock, attempts):
    """Status and body of the mock's answer, byte for byte."""
    entry = only(mock)
    assert (response.status, response.body) == (entry.status, entry.sent)
    assert response.complete
    assert response.header("x-gateway-attempts") == [str(attempts)]
    assert response.header("x-gateway-backend") == [mock.name]


def assert_tells_nothing(fleet, response):
    text = response.body.decode()
    assert not [secret for secret in fleet.secrets() if secret in text]


@STREAM
def test_the_only_backends_429_comes_with_all_its_headers(fleet, stream):
    fleet.alpha.script(THROTTLED)

    response = fleet.ask("solo", stream=stream)

    assert_words_of(response, fleet.alpha, attempts=1)
    assert response.status == 429
    wanted = {
        **LIMITS,
        "retry-after": "13",
        "retry-after-ms": "12345",
        "content-type": "application/json",
    }
    assert {name: response.header(name) for name in wanted} == {k: [v] for k, v in wanted.items()}
    assert response.header("apim-request-id")
    assert response.header("x-upstream-request-id")


@STREAM
def test_the_last_429_of_several_comes_with_all_its_headers(fleet, stream):
    fleet.alpha.script(Action(error="429", retry_after_ms=1000))
    fleet.bravo.script(THROTTLED)

    response = fleet.ask("pair", stream=stream)

    assert_words_of(response, fleet.bravo, attempts=2)
    assert response.header("retry-after-ms") == ["12345"]
    assert response.header("x-ratelimit-reset-tokens") == ["12"]


@STREAM
@pytest.mark.parametrize(
    "name", ["429", "408", "500", "502", "503", "504", "DeploymentNotFound", "429_capacity"]
)
def test_a_single_backends_failure_is_returned_as_it_is(fleet, name, stream):
    fleet.alpha.script(Action(error=name))

    response = fleet.ask("solo", stream=stream)

    assert_words_of(response, fleet.alpha, attempts=1)
    assert response.header("content-type") == ["application/json"]
    assert fleet.calls() == [1, 0, 0]


def test_a_failure_in_html_is_returned_as_it_is(fleet):
    html = Action(
        status=503, body="<html>busy</html>", headers={"content-type": "text/html; charset=utf-8"}
    )
    fleet.alpha.script(html)

    response = fleet.ask("solo")

    assert_words_of(response, fleet.alpha, attempts=1)
    assert response.header("content-type") == ["text/html; charset=utf-8"]


LAST = {
    "500 then 503": (Action(error="500"), Action(error="503")),
    "429 then 500": (Action(error="429"), Action(error="500")),
    "500 then 429": (Action(error="500"), Action(error="429")),
    "reset then 500": (Action(reset="before_headers"), Action(error="500")),
    "401 then 429": (Action(error="401"), Action(error="429")),
    "404 then 404": (Action(error="DeploymentNotFound"), Action(error="DeploymentNotFound")),
}


@STREAM
@pytest.mark.parametrize("name", LAST)
def test_the_last_backends_words_are_returned(fleet, name, stream):
    for mock, action in zip(fleet.mocks, LAST[name], strict=False):
        mock.script(action)

    response = fleet.ask("pair", stream=stream)

    assert_words_of(response, fleet.bravo, attempts=2)
    assert fleet.calls() == [1, 1, 0]


KEPT = {
    "reset": Action(reset="before_headers"),
    "closed after headers": Action(close="after_headers"),
    "cut body": Action(close=At(at_byte=50)),
    "401": Action(error="401"),
}


@STREAM
@pytest.mark.parametrize("name", KEPT)
def test_a_429_beats_what_tells_the_client_less(fleet, name, stream):
    fleet.alpha.script(THROTTLED)
    fleet.bravo.script(KEPT[name])

    response = fleet.ask("pair", stream=stream)

    entry = only(fleet.alpha)
    assert (response.status, response.body) == (429, entry.sent)
    assert response.header("retry-after-ms") == ["12345"]
    assert response.header("x-gateway-attempts") == ["2"]


@STREAM
def test_a_429_beats_a_refused_connection(fleet, stream):
    fleet.alpha.script(THROTTLED)

    response = fleet.ask("before-dead", stream=stream)

    assert (response.status, response.body) == (429, only(fleet.alpha).sent)
    assert response.header("retry-after") == ["13"]


UNREACHABLE = {
    "reset before headers": Action(reset="before_headers"),
    "reset after headers": Action(reset="after_headers"),
    "closed before headers": Action(close="before_headers"),
    "closed inside the head": Action(close=At(at_byte=20)),
}


@STREAM
@pytest.mark.parametrize("name", UNREACHABLE)
@pytest.mark.parametrize(("deployment", "attempts"), [("solo", 1), ("pair", 2), ("before-dead", 2)])
def test_transport_errors_only_are_a_502(fleet, name, deployment, attempts, stream):
    fleet.alpha.script(UNREACHABLE[name])
    fleet.bravo.script(UNREACHABLE[name])

    response = fleet.ask(deployment, stream=stream)

    assert_own_error(response, 502, "backend_unreachable")
    assert_tells_nothing(fleet, response)
    assert response.header("x-gateway-attempts") == [str(attempts)]


@STREAM
def test_a_refused_connection_of_the_only_backend_is_a_502(fleet, stream):
    response = fleet.ask("dead-solo", stream=stream)

    assert_own_error(response, 502, "backend_unreachable")
    assert_tells_nothing(fleet, response)


@STREAM
@pytest.mark.parametrize("deployment", ["solo", "pair", "before-dead"])
@pytest.mark.parametrize("name", ["401", "401_token", "403", "403_blocked"])
def test_refused_credentials_of_the_gateway_are_a_502(fleet, name, deployment, stream):
    fleet.alpha.script(Action(error=name))
    fleet.bravo.script(Action(error=name))

    response = fleet.ask(deployment, stream=stream)

    assert_own_error(response, 502, "backend_auth_failed")
    assert_tells_nothing(fleet, response)
    assert response.header("www-authenticate") == []


@STREAM
@pytest.mark.parametrize("target", [legacy("nowhere"), "/openai/v1/chat/completions"])
def test_a_deployment_that_nobody_serves_is_not_found(fleet, target, stream):
    body = {"model": "nowhere", "messages": [], "stream": stream}

    response = fleet.gateway.request("POST", target, body=body)

    assert_own_error(response, 404, "DeploymentNotFound")
    assert_tells_nothing(fleet, response)
    assert fleet.calls() == [0, 0, 0]


@STREAM
def test_a_deployment_whose_backends_all_drain_is_a_503(fleet, stream):
    response = fleet.ask("drained", stream=stream)

    assert_own_error(response, 503, "backends_draining")
    assert_tells_nothing(fleet, response)
    assert fleet.calls() == [0, 0, 0]


@pytest.mark.parametrize(("deployment", "attempts"), [("solo", 1), ("pair", 2)])
@pytest.mark.parametrize(
    ("code", "status"), [("429", 429), ("rate_limit_exceeded", 429), ("503", 503), ("odd", 502)]
)
def test_error_events_only_are_an_answer_with_the_status_of_the_code(
    fleet, code, status, deployment, attempts
):
    for mock in fleet.mocks:
        headers = {"retry-after": "7", "x-ratelimit-remaining-tokens": "0"}
        mock.script(Action(sse_error=SseError(code=code, after_events=1), headers=headers))

    response = fleet.ask(deployment, stream=True)

    assert response.status == status
    assert response.header("retry-after") == ["7"]
    assert response.header("x-ratelimit-remaining-tokens") == ["0"]
    assert response.header("content-type") == ["application/json"]
    assert json.loads(response.body)["error"]["code"] == code
    assert response.header("x-gateway-attempts") == [str(attempts)]


def test_error_events_only_on_responses_are_an_answer_in_the_usual_shape(fleet):
    for mock in fleet.mocks:
        mock.script(Action(sse_error=SseError(code="429", style="response.failed")))

    response = fleet.gateway.request(
        "POST", "/openai/v1/responses", body=responses("pair", stream=True)
    )

    assert response.status == 429
    assert json.loads(response.body)["error"]["code"] == "429"


def test_error_events_about_our_credentials_only_are_a_502(fleet):
    for mock in fleet.mocks:
        mock.script(Action(sse_error=SseError(code="401")))

    assert_own_error(fleet.ask("pair", stream=True), 502, "backend_auth_failed")
