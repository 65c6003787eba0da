"""A backend's own names and api-version: in the path or spliced into the body, nowhere else."""

from __future__ import annotations

import json

import pytest

from e2e.harness import Backend
from e2e.harness.calls import chat, legacy
from e2e.harness.fleet import only
from e2e.mock_azure_openai.script import Action

PRIVATE = "gpt-4o:2024@eu+1"
DATED = "2024-06-01"


@pytest.fixture
def mapped(mocks, gateway):
    """Two backends: the first maps `public` and pins an api-version, the second maps it too."""
    first, second = mocks(2)
    backends = [
        Backend(
            first,
            priority=10,
            deployment_map={"public": PRIVATE},
            api_version=DATED,
        ),
        Backend(second, priority=5, deployment_map={"public": "elsewhere"}),
    ]
    return gateway(backends, env={"GATEWAY_WORKERS": "1"}), first, second


def test_the_path_of_a_deployment_route_gets_the_backends_name(mapped):
    gw, first, _ = mapped

    response = gw.request("POST", legacy("public"), body=chat(model="public"))

    assert response.status == 200
    assert only(first).deployment == PRIVATE
    assert only(first).json() == chat(model="public")


def test_a_name_without_a_mapping_stays(mapped):
    gw, first, _ = mapped

    gw.request("POST", legacy("other-name"), body=chat())

    assert only(first).path == "/openai/deployments/other-name/chat/completions"


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"public","messages":[]}',
        b' \n\t{ "messages" : [ ] ,\r\n "model" :\t"public" }\n ',
        b'{"a":{"model":"public"},"model":"public","b":["model","public",{"model":"public"}]}',
        b'{"model":"pub\\u006cic","messages":[],"n":12345678901234567,"e":{},"l":[]}',
        b'{"mod\\u0065l":"public","messages":[{"content":"\\ud83d \\"model\\":\\"public\\""}]}',
        '{"messages":[{"content":"\u00fc \U0001f600"}],"model":"public"}'.encode(),
    ],
)
@pytest.mark.parametrize("path", ["/openai/v1/chat/completions", "/v1/chat/completions"])
def test_the_model_of_a_v1_body_is_replaced_and_not_a_byte_more(mapped, path, body):
    gw, first, _ = mapped
    if b'"messages"' not in body:
        body = body.replace(b"{", b'{"messages":[],', 1)

    response = gw.request("POST", path, body=body, headers={"content-type": "application/json"})

    assert response.status == 200
    before, after = split_around_model(body)
    assert only(first).body == before + json.dumps(PRIVATE).encode() + after
    assert only(first).path == "/openai/v1/chat/completions"


def split_around_model(body):
    """What stands before and after the value of the top-level `model`."""
    for key in (b'"model":', b'"model" :\t', b'"mod\\u0065l":'):
        for value in (b'"public"', b'"pub\\u006cic"'):
            at = len(body)
            while (at := body.rfind(key + value, 0, at)) >= 0:
                before, after = body[: at + len(key)], body[at + len(key) + len(value) :]
                if json.loads(before + b'"!"' + after).get("model") == "!":
                    return before, after
    raise AssertionError(body)


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"public","messages":[],"stream":true}',
        b'{"stream":true,"messages":[],"model":"public"}',
        b'{"stream":true,"stream_options":{},"messages":[],"model":"public"}',
        b'{"model":"public","stream":true,"messages":[],"stream_options":{"x":[],"y":{}}}',
    ],
)
def test_a_mapped_stream_keeps_all_that_the_client_said(mapped, body):
    gw, first, _ = mapped

    response = gw.request(
        "POST",
        "/openai/v1/chat/completions",
        body=body,
        headers={"content-type": "application/json"},
    )

    assert response.status == 200
    wanted = json.loads(body)
    wanted["model"] = PRIVATE
    wanted["stream_options"] = {**wanted.get("stream_options", {}), "include_usage": True}
    assert only(first).json() == wanted


@pytest.mark.parametrize("target", [legacy("public"), "/openai/v1/chat/completions"])
def test_each_backend_gets_its_own_name_and_version_on_failover(mapped, target):
    gw, first, second = mapped
    first.script(Action(error="503"))

    response = gw.request("POST", target, body=chat(model="public"))

    assert response.status == 200
    assert (only(first).deployment, only(second).deployment) == (PRIVATE, "elsewhere")
    assert "elsewhere" not in str(only(first).body)
    assert PRIVATE not in str(only(second).body)
    assert only(second).target.endswith(
        target.rpartition("?")[2] if "?" in target else "/completions"
    )


@pytest.mark.parametrize(
    ("query", "rest"),
    [
        ("api-version=2024-10-21", []),
        ("", []),
        ("a=1&api-version=2024-10-21&b=%2F+%20", [("a", "1"), ("b", "/  ")]),
        ("api-version=2023-05-15&api-version=2024-10-21", []),
        ("api%2Dversion=2023-05-15&a=1", [("a", "1")]),
        ("%61pi-version=2023-05-15", []),
        ("x-api-version=1&api-versions=2", [("x-api-version", "1"), ("api-versions", "2")]),
        ("api-version", []),
    ],
)
def test_a_pinned_api_version_is_the_only_one_that_arrives(mapped, query, rest):
    gw, first, _ = mapped

    response = gw.request("POST", legacy("gpt-4o", query=query), body=chat())

    assert response.status == 200
    assert sorted(only(first).query) == sorted([*rest, ("api-version", DATED)])


def test_a_pinned_api_version_is_not_for_v1_routes(mapped):
    gw, first, _ = mapped

    gw.request("POST", "/openai/v1/chat/completions?x=1", body=chat(model="gpt-4o"))

    assert only(first).target == "/openai/v1/chat/completions?x=1"


@pytest.mark.parametrize(
    "query",
    [
        "api-version=2024-10-21",
        "api-version=2024-10-21-preview&a=1&a=1&empty=&flag&enc=%2F%20%zz+;&q=what?&u=%C3%A9",
        "&&api-version=2024-10-21&",
    ],
)
def test_the_clients_query_arrives_once_and_unchanged(mapped, query):
    gw, first, second = mapped
    first.script(Action(error="500"))

    gw.request("POST", legacy("gpt-4o", query=query), body=chat())

    assert only(second).target == f"/openai/deployments/gpt-4o/chat/completions?{query}"
    del gw
