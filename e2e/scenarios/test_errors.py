"""Requests that the gateway refuses itself: one shape, the right status, no call."""

from __future__ import annotations

import json

import pytest

from e2e.harness import RawConnection, exchange
from e2e.harness.calls import assert_own_error, legacy
from e2e.harness.fleet import only

V1 = "/openai/v1/chat/completions"
JSON_TYPE = ("content-type", "application/json")
BODY = b'{"model":"solo","messages":[]}'
MIB = 1 << 20

PATHS = [
    "/openai/deployments/solo%2Fother/chat/completions",
    "/openai/deployments/solo%2fother/chat/completions",
    "/openai/deployments/solo%5Cother/chat/completions",
    "/openai/deployments/solo%5cother/chat/completions",
    "/openai/deployments/solo\\other/chat/completions",
    "/openai/deployments/other/../solo/chat/completions",
    "/openai/deployments/./solo/chat/completions",
    "/openai/deployments/solo/chat/completions/.",
    "/openai/deployments/solo/chat/completions/x/..",
    "/openai/deployments/other/%2e%2e/solo/chat/completions",
    "/openai/deployments/other/%2E./solo/chat/completions",
    "/openai/deployments/%2e/solo/chat/completions",
    "/openai/deployments/other/%252e%252e/solo/chat/completions",
    "/openai/deployments/other/%252E%252e/solo/chat/completions",
    "/openai/deployments/solo%252Fother/chat/completions",
    "/openai/deployments/solo%252fother/chat/completions",
    "/openai/deployments/solo%25252fother/chat/completions",
    "/openai/deployments/solo%255cother/chat/completions",
    "/openai/v1/../v1/chat/completions",
    "/openai/v1/%2e%2e/v1/chat/completions",
    "/v1/x/../chat/completions",
]


def post(fleet, target, body=BODY, headers=(JSON_TYPE,), method="POST"):
    pairs = [("api-key", fleet.gateway.key), *headers]
    return exchange(fleet.gateway.url, method, target, pairs, body)


@pytest.mark.parametrize("path", PATHS)
def test_a_path_that_could_be_read_in_two_ways_is_refused(fleet, path):
    response = post(fleet, f"{path}?api-version=2024-10-21")

    assert_own_error(response, 400, "invalid_path")
    assert fleet.calls() == [0, 0, 0]


@pytest.mark.parametrize("target", [f"{V1}?p=a%2Fb/../c\\d", legacy("solo") + "&p=../..%5C%252e"])
def test_a_query_may_hold_what_a_path_may_not(fleet, target):
    assert post(fleet, target).status == 200
    assert only(fleet.alpha).target == target


@pytest.mark.parametrize("path", ["/../x", "/openai/../../etc/passwd", "/%00", V1 + "%00"])
def test_a_hostile_path_reaches_no_backend(fleet, path):
    response = post(fleet, path)

    assert response.status in (400, 404)
    assert fleet.calls() == [0, 0, 0]


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/openai",
        "/openai/v1",
        "/openai/v1/",
        "/openai/v1/nothing",
        "/openai/v1/chat/completions/",
        "/openai/v1/chat/completions/x",
        "/openai/v2/chat/completions",
        "/openai/deployments/solo",
        "/openai/deployments/solo/",
        "/openai/deployments/solo/nothing",
        "/openai/deployments/solo/chat",
        "/openai/chat/completions",
        "/OPENAI/v1/chat/completions",
        "/chat/completions",
        "/v1/nothing",
        "/_mock/requests",
        "/apisix/status",
    ],
)
def test_an_unknown_path_is_not_found(fleet, path):
    assert_own_error(post(fleet, path), 404, "not_found")
    assert fleet.calls() == [0, 0, 0]


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"])
@pytest.mark.parametrize("target", [V1, legacy("solo"), "/v1/embeddings", "/v1/responses"])
def test_a_wrong_method_is_refused(fleet, method, target):
    assert_own_error(post(fleet, target, method=method), 405, "method_not_allowed")
    assert fleet.calls() == [0, 0, 0]


NOT_JSON = {
    "nothing": b"",
    "text": b"hello",
    "an array": b'[{"model":"solo"}]',
    "a string": b'"solo"',
    "a number": b"1",
    "null": b"null",
    "cut": b'{"model":"solo","messages":[',
    "cut inside a string": b'{"model":"solo","messages":"',
    "cut inside an escape": b'{"model":"solo","messages":"\\',
    "more after the end": b'{"model":"solo","messages":[]} {}',
    "a name without quotes": b'{model:"solo"}',
    "single quotes": b"{'model':'solo'}",
    "no colon": b'{"model" "solo"}',
    "no value": b'{"model":}',
    "no comma": b'{"model":"solo" "messages":[]}',
    "a form": b"model=solo&messages=",
    "a byte order mark": b'\xef\xbb\xbf{"model":"solo"}',
    "a million brackets": b'{"model":' + b"[" * MIB,
    "gzip": b"\x1f\x8b\x08\x00\x00\x00\x00\x00",
}


@pytest.mark.parametrize("target", [V1, legacy("solo")], ids=["v1", "deployment"])
@pytest.mark.parametrize("name", NOT_JSON)
def test_a_body_that_is_no_json_object_is_refused(fleet, name, target):
    assert_own_error(post(fleet, target, NOT_JSON[name]), 400, "invalid_json")
    assert fleet.calls() == [0, 0, 0]


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"solo","messages":[],"model":"pair"}',
        b'{"model":"solo","messages":[],"model":"solo"}',
        b'{"model":"solo","mod\\u0065l":"pair"}',
        b'{"\\u006d\\u006f\\u0064\\u0065\\u006c":"solo","model":"pair"}',
        b'{"model":null,"model":"solo"}',
        b'{"stream":true,"stream":false,"model":"solo","messages":[],"model":"pair"}',
    ],
)
def test_a_second_model_is_refused(fleet, body):
    assert_own_error(post(fleet, V1, body), 400, "duplicate_member")
    assert fleet.calls() == [0, 0, 0]


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b'{"messages":[]}',
        b'{"model":"","messages":[]}',
        b'{"model":null,"messages":[]}',
        b'{"model":1,"messages":[]}',
        b'{"model":["solo"],"messages":[]}',
        b'{"messages":[{"model":"solo"}]}',
        b'{"metadata":{"model":"solo"}}',
        b'{"prompt":"\\"model\\":\\"solo\\""}',
    ],
)
def test_a_v1_body_without_a_model_is_refused(fleet, body):
    assert_own_error(post(fleet, V1, body), 400, "missing_model")
    assert fleet.calls() == [0, 0, 0]


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/octet-stream",
        "application/jsonlines",
        "text/json",
        "application",
    ],
)
def test_another_content_type_is_refused(fleet, content_type):
    response = post(fleet, V1, headers=[("content-type", content_type)])

    assert_own_error(response, 415, "unsupported_media_type")
    assert fleet.calls() == [0, 0, 0]


def body_of(size):
    start, end = b'{"model":"solo","messages":[{"content":"', b'"}]}'
    return start + b"x" * (size - len(start) - len(end)) + end


def test_a_body_of_the_largest_size_is_served(open_fleet):
    assert post(open_fleet, V1, body_of(MIB)).status == 200


@pytest.mark.parametrize("size", [MIB + 1, 2 * MIB - 1, 5 * MIB])
def test_a_larger_body_is_refused(open_fleet, size):
    with RawConnection(open_fleet.gateway.url) as connection:
        connection.request("POST", V1, [JSON_TYPE], body_of(size))
        response = connection.read_response()

    assert_own_error(response, 413, "request_too_large")
    assert open_fleet.calls() == [0, 0, 0]


@pytest.mark.parametrize("size", [MIB + 1, 5 * MIB])
def test_a_larger_body_in_chunks_is_refused(open_fleet, size):
    body = body_of(size)
    pieces = b"".join(
        b"%x\r\n%s\r\n" % (len(body[i : i + 65536]), body[i : i + 65536])
        for i in range(0, len(body), 65536)
    )
    with RawConnection(open_fleet.gateway.url) as connection:
        headers = [JSON_TYPE, ("transfer-encoding", "chunked")]
        connection.request("POST", V1, headers, pieces + b"0\r\n\r\n")
        response = connection.read_response()

    assert_own_error(response, 413, "request_too_large")
    assert open_fleet.calls() == [0, 0, 0]


def test_an_announced_body_that_is_too_large_is_refused_before_it_comes(open_fleet):
    with RawConnection(open_fleet.gateway.url) as connection:
        length = ("content-length", str(50 * MIB))
        connection.request("POST", V1, [JSON_TYPE, length, ("expect", "100-continue")])
        response = connection.read_response()

    assert_own_error(response, 413, "request_too_large")


def test_errors_tell_no_names_addresses_or_keys(fleet):
    answers = [
        post(fleet, V1, b'{"model":"nowhere"}'),
        post(fleet, V1, b"not json"),
        post(fleet, "/nothing"),
        post(fleet, V1, method="GET"),
        post(fleet, legacy("dead-trio", query="x=canary")),
        post(fleet, PATHS[0]),
    ]

    for answer in answers:
        text = json.dumps(json.loads(answer.body))
        assert not [secret for secret in (*fleet.secrets(), "canary") if secret in text]
