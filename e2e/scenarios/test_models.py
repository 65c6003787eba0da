"""The list of models: one union over the backends, under the names that clients may use."""

from __future__ import annotations

import json

import pytest

from e2e.harness import Backend
from e2e.harness.calls import assert_own_error
from e2e.mock_azure_openai.script import Action

ENV = {"GATEWAY_WORKERS": "1"}
PATHS = ["/openai/v1/models", "/v1/models"]


@pytest.fixture
def listed(mocks, gateway):
    """A fresh gateway: a list is kept for a minute."""
    east = mocks(1, name="east", deployments=["gpt-4o", "o3-mini", "hidden", "internal-4.1"])[0]
    west = mocks(1, name="west", deployments=["gpt-4o", "embed"])[0]
    gone = mocks(1, name="gone", deployments=["leaving"])[0]
    backends = [
        Backend(
            east,
            deployments=("gpt-4o", "o3-mini", "gpt-4.1"),
            deployment_map={"gpt-4.1": "internal-4.1"},
        ),
        Backend(west),
        Backend(gone, mode="drain"),
    ]
    return gateway(backends, env=ENV, fresh=True), east, west, gone


def models(response):
    assert response.status == 200
    assert response.header("content-type") == ["application/json"]
    assert len(response.header("x-request-id")) == 1
    body = json.loads(response.body)
    assert body["object"] == "list"
    return body["data"]


def test_the_list_is_the_union_under_the_clients_names(listed):
    gw, east, west, gone = listed

    found = {path: models(gw.request("GET", path)) for path in PATHS}

    assert found[PATHS[0]] == found[PATHS[1]]
    assert [m["id"] for m in found[PATHS[0]]] == ["embed", "gpt-4.1", "gpt-4o", "o3-mini"]
    assert {m["object"] for m in found[PATHS[0]]} == {"model"}
    assert all(m["capabilities"]["inference"] is True for m in found[PATHS[0]])
    (asked,) = east.wait_done(1)
    assert (asked.method, asked.target, asked.body) == ("GET", "/openai/v1/models", b"")
    assert asked.header("api-key") == [east.key]
    assert asked.header("authorization") == asked.header("cookie") == []
    assert [len(mock.journal) for mock in (east, west, gone)] == [1, 1, 0]


def test_the_list_is_kept_and_asks_no_backend_again(listed):
    gw, east, west, _ = listed
    first = gw.request("GET", PATHS[0])
    for mock in (east, west):
        mock.script(Action(error="503"))

    later = [gw.request("GET", path) for path in PATHS * 2]

    assert {answer.body for answer in later} == {first.body}
    assert [len(mock.journal) for mock in (east, west)] == [1, 1]


DOWN = {
    "throttled": Action(error="429"),
    "broken": Action(error="503"),
    "locked": Action(error="401"),
    "silent": Action(hang=True),
    "reset": Action(reset="before_headers"),
    "cut": Action(reset="after_headers"),
    "odd": Action(body={"data": "none"}),
    "html": Action(body="<html>hello</html>"),
}


def test_backends_that_fail_are_left_out(mocks, gateway):
    (east,) = mocks(1, name="east", deployments=["gpt-4o"])
    backends = [Backend(east)]
    for name, action in DOWN.items():
        (mock,) = mocks(1, name=name, deployments=[f"of-{name}"])
        mock.script(action)
        backends.append(Backend(mock))
    gw = gateway(backends, env=ENV, fresh=True)

    found = models(gw.request("GET", PATHS[0]))

    assert [m["id"] for m in found] == ["gpt-4o"]


def test_all_backends_down_is_an_error_that_is_not_kept(listed):
    gw, east, west, _ = listed
    for mock in (east, west):
        mock.script(Action(error="503"))

    assert_own_error(gw.request("GET", PATHS[0]), 502, "backend_unreachable")

    for mock in (east, west):
        mock.script(None)
    assert len(models(gw.request("GET", PATHS[0]))) == 4


def test_what_one_client_asks_for_is_not_the_list_of_others(listed):
    gw, east, west, _ = listed

    gw.request("GET", PATHS[0], headers={"range": "bytes=0-9", "if-none-match": "*"})

    for mock in (east, west):
        assert mock.journal[-1].header("range") == []
        assert mock.journal[-1].header("if-none-match") == []


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_the_list_is_only_read(fleet, method):
    assert_own_error(fleet.gateway.request(method, PATHS[0]), 405, "method_not_allowed")
