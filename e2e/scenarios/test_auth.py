"""Who may use the gateway: keys in every place where SDKs put them, and nobody else."""

from __future__ import annotations

import pytest

from e2e.harness import exchange
from e2e.harness.calls import assert_own_error, legacy
from e2e.harness.fleet import AZURE_LIKE, TEAM_A, TEAM_B, VERBOSE, only

BODY = b'{"messages":[]}'
KEY = TEAM_A.secret
SECONDARY = TEAM_A.extra["KEY_SECONDARY"]
OTHER = TEAM_B.secret

ACCEPTED = {
    "bearer": [("Authorization", f"Bearer {KEY}")],
    "bearer in lower case": [("authorization", f"bearer {KEY}")],
    "bearer in upper case": [("AUTHORIZATION", f"BEARER {KEY}")],
    "bearer after two spaces": [("authorization", f"Bearer  {KEY}")],
    "api-key": [("api-key", KEY)],
    "api-key in mixed case": [("Api-Key", KEY)],
    "apim": [("Ocp-Apim-Subscription-Key", KEY)],
    "secondary as bearer": [("authorization", f"Bearer {SECONDARY}")],
    "secondary as api-key": [("api-key", SECONDARY)],
    "as long as azure's": [("api-key", AZURE_LIKE.secret)],
    "very long": [("authorization", f"Bearer {VERBOSE.secret}")],
    "wrong bearer, right api-key": [("authorization", "Bearer wrong"), ("api-key", KEY)],
    "wrong api-key, right bearer": [("api-key", "wrong"), ("authorization", f"Bearer {KEY}")],
    "entra-like bearer, right api-key": [
        ("authorization", "Bearer eyJ0.eyJh.c2ln"),
        ("api-key", KEY),
    ],
    "only the third is right": [
        ("authorization", "Bearer wrong"),
        ("api-key", "wrong"),
        ("ocp-apim-subscription-key", KEY),
    ],
    "basic beside a right api-key": [("authorization", "Basic dTpw"), ("api-key", KEY)],
    "the same header twice": [("api-key", "wrong"), ("api-key", KEY)],
    "two valid keys": [("authorization", f"Bearer {KEY}"), ("api-key", OTHER)],
}
REFUSED = {
    "none": [],
    "unknown": [("api-key", "unknown-key-0123456789")],
    "empty": [("api-key", "")],
    "only bearer": [("authorization", "Bearer")],
    "empty bearer": [("authorization", "Bearer ")],
    "no scheme": [("authorization", KEY)],
    "another scheme": [("authorization", f"Basic {KEY}")],
    "scheme without a space": [("authorization", f"Bearer{KEY}")],
    "bearer in api-key": [("api-key", f"Bearer {KEY}")],
    "a part of a key": [("api-key", KEY[:-1])],
    "a key and more": [("api-key", KEY + "0")],
    "another letter case": [("api-key", KEY.upper())],
    "two keys in one": [("api-key", f"{KEY},{OTHER}")],
    "the consumer's name": [("api-key", "team-a")],
    "a backend's key": [("api-key", "canary-key-of-alpha")],
    "identity headers": [("x-consumer-username", "team-a"), ("x-consumer-custom-id", "team-a")],
    "a cookie": [("cookie", f"api-key={KEY}")],
    "another header": [("x-api-key", KEY)],
    "4 KB": [("api-key", "k" * 4096)],
    "7 KB": [("authorization", "Bearer " + "k" * 7000)],
    "twenty of them": [("api-key", f"wrong-{number}") for number in range(20)],
}


def send(fleet, headers, target=None, method="POST"):
    pairs = [("content-type", "application/json"), *headers]
    return exchange(fleet.gateway.url, method, target or legacy("solo"), pairs, BODY)


@pytest.mark.parametrize("name", ACCEPTED)
def test_a_valid_key_opens_whatever_else_is_sent(fleet, name):
    response = send(fleet, ACCEPTED[name])

    assert response.status == 200
    entry = only(fleet.alpha)
    assert entry.header("api-key") == [fleet.alpha.key]
    assert entry.header("authorization") == entry.header("ocp-apim-subscription-key") == []


@pytest.mark.parametrize("name", REFUSED)
def test_anything_else_is_a_401(fleet, name):
    response = send(fleet, REFUSED[name])

    error = assert_own_error(response, 401, "invalid_api_key")
    assert error["type"] == "authentication_error"
    assert response.header("www-authenticate")[0].startswith("Bearer ")
    assert KEY not in response.raw.decode()
    assert fleet.calls() == [0, 0, 0]


def test_a_key_in_the_query_does_not_open(fleet):
    response = send(fleet, [], target=legacy("solo", query=f"api-version=2024-10-21&api-key={KEY}"))

    assert_own_error(response, 401, "invalid_api_key")


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", "/openai/v1/models"),
        ("GET", "/v1/models"),
        ("POST", "/openai/v1/chat/completions"),
        ("POST", "/v1/responses"),
        ("POST", "/nothing/here"),
        ("DELETE", legacy("solo")),
    ],
)
def test_no_path_is_open_without_a_key(fleet, method, target):
    response = send(fleet, [], target=target, method=method)

    assert_own_error(response, 401, "invalid_api_key")
    assert fleet.calls() == [0, 0, 0]


def test_a_401_keeps_a_valid_request_id_of_the_client(fleet):
    response = send(fleet, [("x-request-id", "trace_me-42")])

    assert response.status == 401
    assert response.header("x-request-id") == ["trace_me-42"]


@pytest.mark.parametrize("headers", [[], [("api-key", "wrong")], [("authorization", "Bearer any")]])
def test_no_key_is_asked_for_when_auth_is_off(open_fleet, headers):
    response = send(open_fleet, headers)

    assert response.status == 200
    entry = only(open_fleet.alpha)
    assert entry.header("api-key") == [open_fleet.alpha.key]
    assert entry.header("authorization") == []


def test_consumers_are_told_apart_in_the_metrics(fleet):
    def count(metrics):
        return [
            metrics.value("gateway_requests_total", consumer=name, deployment="solo")
            for name in ("team-a", "team-b")
        ]

    before = count(fleet.gateway.metrics())
    for key in (KEY, SECONDARY, OTHER):
        assert send(fleet, [("api-key", key)]).status == 200

    wanted = [before[0] + 2, before[1] + 1]
    fleet.gateway.wait_for_metric(lambda metrics: count(metrics) == wanted)


def test_no_key_is_in_the_gateways_log(fleet):
    send(fleet, [("api-key", "unheard-of-key-0123456789")])
    send(fleet, [("authorization", f"Bearer {SECONDARY}")])
    send(fleet, [("api-key", VERBOSE.secret)])

    log = fleet.gateway.log_text()
    assert "unheard-of-key" not in log
    assert not [key for key in (SECONDARY, VERBOSE.secret) if key in log]
