"""A failure of a preferred backend is put right inside the request; a refused request is not."""

from __future__ import annotations

import json

import pytest

from e2e.harness.calls import responses
from e2e.harness.fleet import NAMES, only
from e2e.mock_azure_openai.script import Action, At, SseError

COMMON = {
    **{
        name: Action(error=name)
        for name in (
            "429",
            "429_requests",
            "429_capacity",
            "408",
            "500",
            "502",
            "503",
            "504",
            "401",
            "401_token",
            "403",
            "403_blocked",
            "DeploymentNotFound",
        )
    },
    "a 500 without a body": Action(status=500),
    "a 503 in HTML": Action(
        status=503, body="<html>busy</html>", headers={"content-type": "text/html"}
    ),
    "a 429 whose body is cut": Action(error="429", reset=At(at_byte=10)),
    "reset before headers": Action(reset="before_headers"),
    "closed before headers": Action(close="before_headers"),
    "reset after headers": Action(reset="after_headers"),
    "closed after headers": Action(close="after_headers"),
}
JSON_ONLY = {
    "reset inside a held body": Action(reset=At(at_byte=100)),
    "closed inside a held body": Action(close=At(at_byte=100)),
    "closed inside a chunk": Action(close=At(at_byte=100), framing="chunked"),
    "closed instead of the last chunk": Action(close=At(at_byte=1 << 30), framing="chunked"),
    "reset of a body without a length": Action(reset=At(at_byte=100), framing="close"),
    "closed inside gzip": Action(close=At(at_byte=60), gzip=True),
}
RETRIED_CODES = (
    "429",
    429,
    "408",
    "500",
    503,
    "401",
    "403",
    "too_many_requests",
    "rate_limit_exceeded",
    "server_error",
    "DeploymentNotFound",
    None,
)
REFUSED_CODES = (
    "400",
    "413",
    422,
    "content_filter",
    "context_length_exceeded",
    "invalid_prompt",
    "invalid_request_error",
)
SSE_ONLY = {
    "reset inside the first event": Action(reset=At(at_byte=40)),
    "closed inside the first event": Action(close=At(at_byte=40)),
    "closed after the role": Action(close=At(at_byte=620)),
    "comments, then reset": Action(comments=True, reset=At(at_byte=30)),
    **{
        f"error event {code!r} first": Action(sse_error=SseError(code=code))
        for code in RETRIED_CODES
    },
    "error event after filter results": Action(sse_error=SseError(code="429", after_events=1)),
    "error event after the role": Action(sse_error=SseError(code="500", after_events=2)),
    "error event with CRLF": Action(sse_error=SseError(code="429", after_events=1), crlf=True),
    "error event byte by byte": Action(
        sse_error=SseError(code="429"), framing="chunked", comments=True
    ),
}
CASES = [
    *[(name, action, stream) for name, action in COMMON.items() for stream in (False, True)],
    *[(name, action, False) for name, action in JSON_ONLY.items()],
    *[(name, action, True) for name, action in SSE_ONLY.items()],
]
IDS = [f"{'sse' if stream else 'json'}: {name}" for name, _, stream in CASES]


def assert_clean(response, mock, attempts):
    """One whole 200 of `mock`, and not a byte of any other."""
    assert response.status == 200, response.raw[:1000]
    assert response.complete
    entry = only(mock)
    assert response.body == entry.sent
    assert response.header("x-gateway-attempts") == [str(attempts)]
    assert response.header("x-gateway-backend") == [mock.name]
    assert response.header("azureml-model-session") == [f"d000-{mock.name}"]
    for name in set(NAMES) - {mock.name}:
        assert name.encode() not in response.raw


@pytest.mark.parametrize(("name", "action", "stream"), CASES, ids=IDS)
def test_the_second_backend_serves_when_the_first_fails(fleet, name, action, stream):
    del name
    fleet.alpha.script(action)

    response = fleet.ask("pair", stream=stream)

    assert_clean(response, fleet.bravo, attempts=2)
    assert fleet.calls() == [1, 1, 0]


@pytest.mark.parametrize(("name", "action", "stream"), CASES, ids=IDS)
def test_the_third_backend_serves_when_two_fail(fleet, name, action, stream):
    del name
    fleet.alpha.script(action)
    fleet.bravo.script(action)

    response = fleet.ask("trio", stream=stream)

    assert_clean(response, fleet.charlie, attempts=3)
    assert fleet.calls() == [1, 1, 1]


@pytest.mark.parametrize("stream", [False, True], ids=["json", "sse"])
@pytest.mark.parametrize(("deployment", "attempts"), [("dead-pair", 2), ("dead-trio", 3)])
def test_a_refused_connection_is_passed_over(fleet, deployment, attempts, stream):
    response = fleet.ask(deployment, stream=stream)

    assert_clean(response, fleet.charlie, attempts)
    assert fleet.calls() == [0, 0, 1]


@pytest.mark.parametrize("stream", [False, True], ids=["json", "sse"])
def test_two_different_failures_are_passed_over(fleet, stream):
    fleet.alpha.script(Action(error="429"))
    fleet.bravo.script(Action(reset="after_headers"))

    response = fleet.ask("trio", stream=stream)

    assert_clean(response, fleet.charlie, attempts=3)


def test_a_healthy_first_backend_is_the_only_one_called(fleet):
    response = fleet.ask("trio")

    assert_clean(response, fleet.alpha, attempts=1)
    assert fleet.calls() == [1, 0, 0]


@pytest.mark.parametrize("style", ["error", "response.failed"])
@pytest.mark.parametrize("code", ["429", "rate_limit_exceeded", "server_error"])
@pytest.mark.parametrize("after", [0, 2])
def test_a_responses_stream_that_begins_with_an_error_fails_over(fleet, style, code, after):
    error = SseError(code=code, style=style, after_events=after)
    fleet.alpha.script(Action(sse_error=error))

    response = fleet.gateway.request(
        "POST", "/openai/v1/responses", body=responses("pair", stream=True)
    )

    assert_clean(response, fleet.bravo, attempts=2)


def test_the_next_backend_gets_the_same_request_with_its_own_key(fleet):
    fleet.alpha.script(Action(error="500"))

    fleet.ask("pair", headers={"x-custom": "kept"}, seed=12345678901234567)

    (first,), (second,) = fleet.alpha.journal, fleet.bravo.journal
    assert first.body == second.body
    assert first.target == second.target
    assert first.header("x-custom") == second.header("x-custom") == ["kept"]
    assert first.header("api-key") == [fleet.alpha.key]
    assert second.header("api-key") == [fleet.bravo.key]
    assert first.header("host") != second.header("host")


REFUSALS = {
    **{
        name: Action(error=name)
        for name in (
            "400",
            "content_filter",
            "context_length_exceeded",
            "invalid_encrypted_content",
            "404",
            "413",
            "422",
        )
    },
    "409": Action(status=409, body={"error": {"code": "Conflict", "message": "no"}}),
    "418": Action(status=418, body="not even JSON"),
    "a 404 without a body": Action(status=404),
}
MARKS = {
    "x-canary": "kept",
    "apim-request-id": "fixed",
    "x-ms-region": "Nowhere",
    "retry-after": "7",
}


@pytest.mark.parametrize("stream", [False, True], ids=["json", "sse"])
@pytest.mark.parametrize("name", REFUSALS)
def test_a_refused_request_is_answered_with_the_backends_own_words(fleet, name, stream):
    action = REFUSALS[name]
    fleet.alpha.script(Action(**{**vars(action), "headers": MARKS}))

    response = fleet.ask("trio", stream=stream)

    entry = only(fleet.alpha)
    assert response.status == entry.status
    assert response.body == entry.sent
    assert response.complete
    assert {key: response.header(key) for key in MARKS} == {k: [v] for k, v in MARKS.items()}
    if entry.sent:
        assert response.header("content-type") == ["application/json"]
    assert response.header("x-gateway-attempts") == ["1"]
    assert fleet.calls() == [1, 0, 0]


@pytest.mark.parametrize("after", [0, 1])
@pytest.mark.parametrize("code", REFUSED_CODES)
def test_an_error_event_that_blames_the_request_is_passed_through(fleet, code, after):
    fleet.alpha.script(Action(sse_error=SseError(code=code, after_events=after)))

    response = fleet.ask("trio", stream=True)

    entry = only(fleet.alpha)
    assert response.status == 200
    assert response.body == entry.sent
    assert response.header("content-type")[0].startswith("text/event-stream")
    assert json.loads(response.body.split(b"data: ")[-1])["error"]["code"] == code
    assert fleet.calls() == [1, 0, 0]
