"""What crosses the gateway: headers both ways, ids, and nothing that is somebody's secret."""

from __future__ import annotations

import re
import zlib

import pytest

from e2e.harness import exchange
from e2e.harness.calls import assert_own_error, chat, legacy
from e2e.harness.fleet import TEAM_A, only
from e2e.mock_azure_openai.script import Action

CANARY = "canary-1f2e3d4c"
NEVER_SENT = (
    "authorization",
    "ocp-apim-subscription-key",
    "cookie",
    "x-ms-spillover-deployment",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "forwarded",
    "x-real-ip",
    "x-consumer-username",
    "x-consumer-custom-id",
    "x-consumer-groups",
    "x-credential-identifier",
    "x-gateway-target",
    "x-gateway-backend",
    "proxy-authorization",
    "proxy-connection",
    "keep-alive",
    "te",
    "trailer",
    "x-named-by-connection",
    "x-also-named",
)
ALWAYS_SENT = {
    "x-custom": 'custom value; with=punctuation, "quotes" and \tblanks',
    "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "tracestate": "vendor=1",
    "openai-beta": "assistants=v2",
    "openai-organization": "org",
    "aoai-evals": "preview",
    "user-agent": "AzureOpenAI/Python 2.0",
    "x-stainless-retry-count": "0",
    "accept": "application/json, text/event-stream",
    "x-ms-useragent": "tests",
    "x-empty": "",
}


def send(fleet, headers, *, stream=False, deployment="pair"):
    body = chat(stream=stream)
    return fleet.gateway.request("POST", legacy(deployment), body=body, headers=headers)


def with_canaries():
    headers = dict.fromkeys(NEVER_SENT, CANARY)
    headers["authorization"] = f"Bearer {CANARY}"
    headers["cookie"] = f"session={CANARY}; other=1"
    headers["te"] = f"trailers, {CANARY}"
    return {**headers, "connection": "X-Named-By-Connection, x-also-named"}


@pytest.mark.parametrize("stream", [False, True], ids=["json", "sse"])
def test_nothing_private_reaches_any_backend(fleet, stream):
    fleet.alpha.script(Action(error="500"))

    response = send(fleet, {**with_canaries(), "api-key": TEAM_A.secret}, stream=stream)

    assert response.status == 200
    for mock in (fleet.alpha, fleet.bravo):
        sent = str(only(mock).headers).lower()
        assert CANARY not in sent
        assert "team-a" not in sent
        assert TEAM_A.secret not in sent
        assert only(mock).header("api-key") == [mock.key]


def test_nothing_private_reaches_a_backend_without_auth(open_fleet):
    headers = with_canaries() | {"api-key": CANARY}

    response = send(open_fleet, headers)

    assert response.status == 200
    assert CANARY not in str(only(open_fleet.alpha).headers)
    assert only(open_fleet.alpha).header("api-key") == [open_fleet.alpha.key]


def test_the_other_headers_reach_the_backend(fleet):
    send(fleet, ALWAYS_SENT)

    entry = only(fleet.alpha)
    assert {name: entry.header(name) for name in ALWAYS_SENT} == {
        name: [value] for name, value in ALWAYS_SENT.items()
    }


def test_a_header_that_comes_twice_reaches_the_backend_twice(fleet):
    pairs = [("api-key", fleet.gateway.key), ("x-twice", "1"), ("x-twice", "2")]

    exchange(fleet.gateway.url, "POST", legacy("solo"), pairs, b'{"messages":[]}')

    assert ", ".join(only(fleet.alpha).header("x-twice")) == "1, 2"


@pytest.mark.parametrize("accepted", [None, "gzip", "br, gzip;q=0.5", "identity"])
def test_the_backend_is_asked_for_a_plain_answer(fleet, accepted):
    send(fleet, {"accept-encoding": accepted} if accepted else {})

    assert only(fleet.alpha).header("accept-encoding") == ["identity"]


def test_every_header_of_the_request_reaches_the_backend_once(fleet):
    send(fleet, {})

    names = [name.lower() for name, _ in only(fleet.alpha).headers]
    assert len(names) == len(set(names))
    assert set(names) <= {
        "host",
        "accept-encoding",
        "api-key",
        "content-type",
        "content-length",
        "x-ms-client-request-id",
    }
    assert only(fleet.alpha).header("host") == [f"127.0.0.1:{fleet.alpha.port}"]
    assert only(fleet.alpha).header("content-type") == ["application/json"]


UPSTREAM = {
    "x-ratelimit-limit-requests": "10",
    "x-ratelimit-remaining-tokens": "99",
    "x-ratelimit-reset-requests": "1m2s",
    "retry-after": "3",
    "retry-after-ms": "2500",
    "apim-request-id": "4711",
    "x-ms-region": "Sweden Central",
    "x-ms-deployment-name": "spill",
    "x-ms-spillover-from-deployment": "ptu",
    "openai-processing-ms": "77",
    "openai-organization": "org",
    "azureml-model-session": "d1",
    "x-envoy-upstream-service-time": "78",
    "x-ms-rai-invoked": "true",
    "strict-transport-security": "max-age=1",
    "x-content-type-options": "nosniff",
    "cache-control": "no-cache, must-revalidate",
    "date": "Thu, 01 Jan 2026 00:00:00 GMT",
    "vary": "Accept-Encoding",
    "etag": '"tag"',
    "last-modified": "Thu, 01 Jan 2026 00:00:00 GMT",
    "expires": "0",
    "location": "/elsewhere",
    "x-unknown-header": 'a, b; c="d"',
    "x-accel-buffering": "no",
    "x-accel-redirect": "/internal",
}
REPEATED = {"set-cookie": ["a=1", "b=2"], "x-many": ["1", "2", "3"], "link": ["<a>", "<b>"]}


@pytest.mark.parametrize("stream", [False, True], ids=["json", "sse"])
@pytest.mark.parametrize("error", [None, "400", "503"])
def test_every_header_of_the_backend_reaches_the_client(fleet, stream, error):
    fleet.alpha.script(Action(error=error, headers={**UPSTREAM, **REPEATED}))

    response = send(fleet, {}, stream=stream, deployment="solo")

    assert response.body == only(fleet.alpha).sent
    found = {name: response.header(name) for name in (*UPSTREAM, *REPEATED)}
    assert found == {**{name: [value] for name, value in UPSTREAM.items()}, **REPEATED}


@pytest.mark.parametrize("stream", [False, True], ids=["json", "sse"])
@pytest.mark.parametrize("error", [None, "400", "503"])
def test_hop_by_hop_headers_of_the_backend_stay_there(fleet, stream, error):
    headers = {
        "connection": "keep-alive, x-hop",
        "keep-alive": "timeout=5",
        "proxy-authenticate": "Basic",
        "x-hop": "1",
        "trailer": "x-late",
        "upgrade": "h2c",
    }
    fleet.alpha.script(Action(error=error, headers=headers))

    response = send(fleet, {}, stream=stream, deployment="solo")

    assert response.body == only(fleet.alpha).sent
    for name in set(headers) - {"connection"}:
        assert response.header(name) == []
    assert response.header("connection") in (["keep-alive"], ["close"])


def test_a_compressed_answer_passes_as_it_is(fleet):
    for stream in (False, True):
        fleet.alpha.reset()
        fleet.alpha.script(Action(gzip=True))

        response = send(fleet, {"accept-encoding": "gzip"}, stream=stream)

        assert response.header("content-encoding") == ["gzip"]
        assert response.body == only(fleet.alpha).sent
        assert zlib.decompress(response.body, 31)


@pytest.mark.parametrize("error", ["400", "429", "500"])
def test_a_compressed_error_passes_as_it_is(fleet, error):
    fleet.alpha.script(Action(error=error, gzip=True))

    response = send(fleet, {}, deployment="solo")

    assert response.status == int(error)
    assert response.header("content-encoding") == ["gzip"]
    assert response.body == only(fleet.alpha).sent


VALID_IDS = ["a", "trace_me-42", "A" * 128, "4bf92f3577b34da6a3ce929d0e0e4736"]
INVALID_IDS = ["A" * 129, "with space", "a/b", "a.b", "a\tb", "<x>", "\u00fc", '"', "a,b", ""]


@pytest.mark.parametrize("stream", [False, True], ids=["json", "sse"])
@pytest.mark.parametrize("ident", VALID_IDS)
def test_a_valid_request_id_of_the_client_is_kept(fleet, ident, stream):
    response = send(fleet, {"x-request-id": ident}, stream=stream)

    assert response.header("x-request-id") == [ident]
    assert only(fleet.alpha).header("x-ms-client-request-id") == [ident]
    assert only(fleet.alpha).header("x-request-id") == []


@pytest.mark.parametrize("ident", INVALID_IDS)
def test_any_other_request_id_is_replaced(fleet, ident):
    response = send(fleet, {"x-request-id": ident})

    (found,) = response.header("x-request-id")
    assert re.fullmatch(r"[A-Za-z0-9_-]{16,128}", found)
    assert only(fleet.alpha).header("x-ms-client-request-id") == [found]


def test_every_request_gets_an_id_of_its_own(fleet):
    found = {send(fleet, {}).header("x-request-id")[0] for _ in range(5)}

    assert len(found) == 5


def test_the_backends_id_comes_under_another_name(fleet):
    fleet.alpha.script(Action(headers={"x-request-id": "of-the-backend"}))

    response = send(fleet, {"x-request-id": "of-the-client"})

    assert response.header("x-upstream-request-id") == ["of-the-backend"]
    assert response.header("x-request-id") == ["of-the-client"]


def test_the_clients_own_id_for_azure_goes_through(fleet):
    response = send(fleet, {"x-ms-client-request-id": "mine", "x-request-id": "other"})

    assert only(fleet.alpha).header("x-ms-client-request-id") == ["mine"]
    assert response.header("x-ms-client-request-id") == ["mine"]
    assert response.header("x-request-id") == ["other"]


def test_an_error_of_the_gateways_own_has_the_clients_id(fleet):
    response = send(fleet, {"x-request-id": "mine"}, deployment="dead-solo")

    assert_own_error(response, 502, "backend_unreachable")
    assert response.header("x-request-id") == ["mine"]


def test_the_gateways_own_headers_can_be_switched_off(open_fleet):
    open_fleet.alpha.script(Action(error="500"))

    for deployment in ("pair", "solo", "dead-solo"):
        response = send(open_fleet, {}, deployment=deployment)
        assert not [name for name, _ in response.headers if name.lower().startswith("x-gateway")]
