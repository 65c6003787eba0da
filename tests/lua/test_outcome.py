import json

import pytest

from .host import fixture_bytes, raw


@pytest.fixture(scope="module")
def outcome(shared_host):
    return shared_host.require("outcome")


@pytest.fixture(scope="module")
def pool(shared_host):
    def make(*, retry_429=True, retry_5xx=True):
        return shared_host.table({"retry_429": retry_429, "retry_5xx": retry_5xx})

    return make


NOT_FOUND = raw(fixture_bytes("error-deployment-not-found.json"))
WRONG_PATH = raw(fixture_bytes("error-resource-not-found.json"))
FILTERED = raw(fixture_bytes("error-content-filter.json"))


@pytest.mark.parametrize("status", [429, 408, 500, 502, 503, 504, 401, 403])
def test_another_backend_may_put_these_right(outcome, pool, status):
    assert outcome.retryable(status, None, pool()) is True


@pytest.mark.parametrize("status", [400, 402, 404, 405, 409, 410, 413, 415, 422, 424, 451, 499])
def test_the_requests_own_faults_are_never_tried_elsewhere(outcome, pool, status):
    assert outcome.retryable(status, None, pool()) is False
    assert outcome.retryable(status, FILTERED, pool()) is False


@pytest.mark.parametrize("status", [200, 201, 204, 302, 304])
def test_success_is_not_tried_again(outcome, pool, status):
    assert outcome.retryable(status, None, pool()) is False


@pytest.mark.parametrize(
    ("body", "retryable"), [(NOT_FOUND, True), (WRONG_PATH, False), ("", False), (None, False)]
)
def test_a_404_is_the_backends_only_when_it_lacks_the_deployment(outcome, pool, body, retryable):
    assert outcome.retryable(404, body, pool()) is retryable


@pytest.mark.parametrize("status", [400, 422])
def test_only_a_404_may_lack_the_deployment(outcome, pool, status):
    assert outcome.retryable(status, NOT_FOUND, pool()) is False


def test_the_fallback_strategy_may_exclude_throttles_or_server_errors(outcome, pool):
    assert outcome.retryable(429, None, pool(retry_429=False)) is False
    assert outcome.retryable(500, None, pool(retry_429=False)) is True
    assert outcome.retryable(429, None, pool(retry_5xx=False)) is True
    assert outcome.retryable(503, None, pool(retry_5xx=False)) is False


@pytest.mark.parametrize("status", [401, 403, 404, 408, 429, 500, 502, 503, 504])
def test_every_status_that_may_be_retried_is_read_before_the_client_sees_it(outcome, status):
    assert outcome.needs_body(status, False) is True


@pytest.mark.parametrize("status", [200, 201, 204, 304, 400, 413, 422])
def test_all_others_are_passed_on_as_they_come(outcome, status):
    assert outcome.needs_body(status, False) is False


def test_a_400_is_read_when_the_gateway_had_added_to_the_request(outcome):
    assert outcome.needs_body(400, True) is True
    assert outcome.needs_body(422, True) is False
    assert outcome.needs_body(200, True) is False


@pytest.mark.parametrize(
    ("error", "status"),
    [
        ({"code": "429"}, 429),
        ({"code": 429}, 429),
        ({"code": "503"}, 503),
        ({"code": 500}, 500),
        ({"code": "400"}, 400),
        ({"code": "404"}, 404),
        ({"code": "too_many_requests"}, 429),
        ({"code": "rate_limit_exceeded"}, 429),
        ({"code": "content_filter", "status": 400}, 400),
        ({"code": "context_length_exceeded"}, 400),
        ({"code": "invalid_prompt"}, 400),
        ({"code": "invalid_encrypted_content"}, 400),
        ({"code": "invalid_request_error"}, 400),
        ({"code": None, "type": "invalid_request_error"}, 400),
        ({"type": "too_many_requests"}, 429),
        ({"type": "rate_limit_exceeded", "message": "m"}, 429),
        ({"code": "server_error"}, 502),
        ({"code": "internal_error"}, 502),
        ({"code": "overloaded"}, 502),
        ({"code": "not_invalid_"}, 502),
        ({"code": 200}, 502),
        ({"code": 0}, 502),
        ({"code": 600}, 502),
        ({"code": {}}, 502),
        ({"code": True}, 502),
        ({"code": None}, 502),
        ({}, 502),
    ],
)
def test_an_error_event_stands_for_the_status_of_its_code(shared_host, outcome, error, status):
    decoded = shared_host.require("cjson.safe").decode(json.dumps(error))
    assert outcome.event_status(decoded) == status


@pytest.mark.parametrize(
    ("event", "error"),
    [
        ({"error": {"code": "429"}}, {"code": "429"}),
        ({"type": "error", "code": "c", "message": "m"}, {"type": "error", "code": "c"}),
        ({"type": "error", "error": {"code": "inner"}}, {"code": "inner"}),
        ({"type": "response.failed", "response": {"error": {"code": "c"}}}, {"code": "c"}),
        ({"type": "response.failed", "response": {"error": None}}, None),
        ({"type": "response.failed", "response": None}, None),
        ({"type": "response.created", "response": {"error": {"code": "c"}}}, None),
        ({"type": "response.created", "response": {"error": None}}, None),
        ({"error": None, "choices": []}, None),
        ({"choices": [{"delta": {"content": "error"}}]}, None),
        ({"choices": [{"error": {"code": "c"}}]}, None),
        ([], None),
    ],
)
def test_where_an_event_carries_its_error(shared_host, outcome, event, error):
    decoded = shared_host.require("cjson.safe").decode(json.dumps(event))
    found = outcome.event_error(decoded)
    assert (found is None) is (error is None)
    for name, value in (error or {}).items():
        assert found[name] == value


@pytest.mark.parametrize(
    ("err", "reason"),
    [
        ("connect: timeout", "connect_timeout"),
        ("connect: connection timed out", "connect_timeout"),
        ("connect: connection refused", "connect_error"),
        ("connect: host not found", "connect_error"),
        ("tls: timeout", "connect_timeout"),
        ("tls: certificate verify failed", "connect_error"),
        ("send: timeout", "timeout"),
        ("send: broken pipe", "reset"),
        ("first byte: timeout", "timeout"),
        ("head: timeout", "timeout"),
        ("head: closed", "reset"),
        ("body: timeout", "timeout"),
        ("body: connection reset by peer", "reset"),
        ("body: malformed chunk", "reset"),
    ],
)
def test_transport_errors_have_four_names(outcome, err, reason):
    assert outcome.transport_reason(err) == reason


@pytest.mark.parametrize(
    ("kept", "later", "replaces"),
    [
        (None, 401, True),
        (None, 500, True),
        (429, 500, True),
        (500, 429, True),
        (429, 429, True),
        (429, 401, False),
        (429, 403, False),
        (429, 404, False),
        (500, 404, False),
        (404, 429, True),
        (404, 404, True),
        (404, 401, False),
        (401, 404, True),
        (401, 403, True),
        (403, 503, True),
    ],
)
def test_which_of_two_failures_the_client_should_see(outcome, kept, later, replaces):
    assert outcome.replaces(kept, later) is replaces
