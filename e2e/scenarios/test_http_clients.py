"""Clients that speak HTTP in other ways than the SDKs."""

from __future__ import annotations

import json

import pytest

from e2e.harness import RawConnection
from e2e.harness.calls import assert_own_error, chat, legacy
from e2e.harness.fleet import only
from e2e.mock_azure_openai.script import Action

STREAM = pytest.mark.parametrize("stream", [False, True], ids=["json", "sse"])


def pairs(fleet, *more):
    return [("content-type", "application/json"), ("api-key", fleet.gateway.key), *more]


@STREAM
def test_a_client_that_waits_for_100_continue_is_served(fleet, stream):
    body = json.dumps(chat(stream=stream)).encode()
    headers = pairs(fleet, ("expect", "100-continue"), ("content-length", str(len(body))))

    with RawConnection(fleet.gateway.url) as connection:
        connection.request("POST", legacy("pair"), headers)
        assert connection.read_some().startswith(b"HTTP/1.1 100 ")
        connection.send(body)
        response = connection.read_response()

    assert response.status == 200
    assert response.body == only(fleet.alpha).sent
    assert only(fleet.alpha).body == body
    assert only(fleet.alpha).header("expect") == []


@STREAM
@pytest.mark.parametrize("deployment", ["solo", "pair"])
@pytest.mark.parametrize("error", [None, "429", "400"])
def test_an_http_1_0_client_is_served(fleet, stream, deployment, error):
    fleet.alpha.script(Action(error=error))
    body = json.dumps(chat(stream=stream)).encode()
    head = "".join(f"{name}: {value}\r\n" for name, value in pairs(fleet))
    head = f"POST {legacy(deployment)} HTTP/1.0\r\n{head}content-length: {len(body)}\r\n\r\n"

    with RawConnection(fleet.gateway.url) as connection:
        connection.send(head.encode() + body)
        response = connection.read_response()
        connection.wait_closed()

    served = fleet.bravo if (deployment, error) == ("pair", "429") else fleet.alpha
    assert response.status == only(served).status
    assert response.complete
    assert response.header("transfer-encoding") == []
    assert response.body == only(served).sent


def test_one_connection_serves_many_requests_errors_included(fleet):
    body = json.dumps(chat()).encode()
    fleet.alpha.script(Action(error="500"))
    steps = [
        (legacy("pair"), 200),
        (legacy("pair"), 200),
        (legacy("solo"), 500),
        (legacy("nowhere"), 404),
        ("/unknown", 404),
        (legacy("dead-solo"), 502),
        (legacy("drained"), 503),
        ("/openai/v1/chat/completions", 400),
        (legacy("dead-pair"), 200),
        (legacy("pair"), 200),
    ]

    with RawConnection(fleet.gateway.url) as connection:
        found = []
        for target, _ in steps:
            connection.request("POST", target, pairs(fleet), body)
            response = connection.read_response()
            assert response.complete
            found.append(response.status)

    assert found == [status for _, status in steps]


def test_streams_and_json_share_a_connection(fleet):
    with RawConnection(fleet.gateway.url) as connection:
        for stream in (True, False, True, True, False):
            connection.request(
                "POST", legacy("pair"), pairs(fleet), json.dumps(chat(stream=stream)).encode()
            )
            response = connection.read_response()
            assert response.status == 200
            assert response.complete

    assert [entry.stream for entry in fleet.alpha.wait_done(5)] == [True, False, True, True, False]


def test_a_refused_body_does_not_spoil_the_connection(fleet):
    with RawConnection(fleet.gateway.url) as connection:
        connection.request("POST", "/unknown", pairs(fleet), b"x" * 100_000)
        assert_own_error(connection.read_response(), 404, "not_found")
        connection.request("POST", legacy("pair"), pairs(fleet), b'{"messages":[]}')
        assert connection.read_response().status == 200


@STREAM
def test_connections_to_a_backend_are_used_again(fleet, stream):
    for _ in range(4):
        fleet.ask("pair", stream=stream)

    assert len({entry.connection for entry in fleet.alpha.wait_done(4)}) == 1


@pytest.mark.parametrize("name", ["429", "500", "DeploymentNotFound"])
def test_connections_to_a_failing_backend_are_used_again(fleet, name):
    fleet.alpha.script(Action(error=name))

    for _ in range(4):
        fleet.ask("pair")

    assert len({entry.connection for entry in fleet.alpha.wait_done(4)}) == 1


@STREAM
def test_a_target_in_absolute_form_is_served(fleet, stream):
    target = f"{fleet.gateway.url}{legacy('pair')}"

    with RawConnection(fleet.gateway.url) as connection:
        body = json.dumps(chat(stream=stream)).encode()
        connection.request("POST", target, pairs(fleet), body)
        response = connection.read_response()

    assert response.status == 200
    assert only(fleet.alpha).target == legacy("pair")


def test_doubled_slashes_are_one(fleet):
    response = fleet.gateway.request(
        "POST", "//openai//deployments/pair///chat/completions?api-version=2024-10-21", body=chat()
    )

    assert response.status == 200
    assert only(fleet.alpha).target == legacy("pair")


def test_a_bare_line_feed_client_is_refused_or_served_but_never_hangs(fleet):
    head = f"POST {legacy('pair')} HTTP/1.1\nhost: x\napi-key: {fleet.gateway.key}\n"
    with RawConnection(fleet.gateway.url) as connection:
        connection.send(f"{head}content-length: 15\n\n".encode() + b'{"messages":[]}')
        assert connection.read_response().status in (200, 400)
