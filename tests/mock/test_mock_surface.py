"""Routes, api-version, keys and headers as the service has them."""

import json

import pytest

from e2e.harness.raw import exchange
from e2e.mock_azure_openai import Action, MockAzureOpenAI

LEGACY = "/openai/deployments/gpt-4o/chat/completions"
V1 = "/openai/v1/chat/completions"


@pytest.mark.parametrize(
    ("target", "status", "message"),
    [
        (LEGACY, 404, "Resource not found"),
        (f"{LEGACY}?api-version=2024-10-21&api-version=2024-10-21", 400, "not supported"),
        (f"{LEGACY}?api-version=latest", 400, "API version not supported"),
        (f"{LEGACY}/?api-version=2024-10-21", 404, "Resource not found"),
        ("/openai/deployments/gpt-4o/unknown?api-version=2024-10-21", 404, "Resource not found"),
        ("/v1/chat/completions", 404, "Resource not found"),
        (f"{V1}?api-version=2024-10-21", 400, "not allowed when using /v1 path"),
    ],
)
def test_a_wrong_target_is_refused_as_azure_does(caller, target, status, message):
    got = caller.ask(target, model="gpt-4o")
    assert got.status == status
    assert message in json.loads(got.body)["error"]["message"]


@pytest.mark.parametrize(
    "target", [V1, f"{V1}?api-version=preview", f"{LEGACY}?api-version=2025-01-01-preview"]
)
def test_a_right_target_is_served(caller, target):
    assert caller.ask(target, model="gpt-4o").status == 200


def test_only_post_asks_a_model(mock):
    got = exchange(mock.url, "GET", V1, [("api-key", mock.key)])
    assert got.status == 404


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "you must provide a model parameter"),
        ({"model": "m", "stream_options": {"include_usage": True}}, "only allowed when 'stream'"),
    ],
)
def test_a_wrong_body_is_refused(caller, fields, message):
    got = caller.ask(V1, **fields)
    assert got.status == 400
    assert message in json.loads(got.body)["error"]["message"]


def test_a_body_that_is_no_json_is_refused(mock):
    got = exchange(mock.url, "POST", V1, [("api-key", mock.key)], b"{")
    assert (got.status, b"could not parse" in got.body) == (400, True)


@pytest.mark.parametrize(
    ("version", "status"),
    [
        ("2024-06-01", 400),
        ("2024-08-01-preview", 400),
        ("2024-09-01-preview", 200),
        ("2024-10-21", 200),
    ],
)
def test_old_api_versions_do_not_know_stream_options(caller, version, status):
    options = {"include_usage": True}
    got = caller.ask(f"{LEGACY}?api-version={version}", stream=True, stream_options=options)
    assert got.status == status
    assert (b"stream_options" in got.body) == (status == 400)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([("api-key", "two")], 200),
        ([("Authorization", "Bearer one")], 200),
        ([("authorization", "bearer two")], 200),
        ([("api-key", "three")], 401),
        ([("api-key", "three"), ("authorization", "Bearer one")], 401),
        ([("authorization", "Bearer three")], 401),
        ([], 401),
    ],
)
def test_keys_are_asked_for(headers, status):
    with MockAzureOpenAI(api_keys=["one", "two"]) as mock:
        body = b'{"model":"m","messages":[]}'
        assert exchange(mock.url, "POST", V1, headers, body).status == status


def test_a_key_is_not_asked_for_when_there_is_none():
    with MockAzureOpenAI(api_keys=[]) as mock:
        assert exchange(mock.url, "GET", "/openai/v1/models").status == 200


def test_the_headers_of_azure_are_there(caller):
    got = caller.ask(headers=[("x-ms-client-request-id", "mine")])
    names = {name for name, _ in got.headers}
    assert names >= {
        "apim-request-id",
        "azureml-model-session",
        "date",
        "openai-processing-ms",
        "strict-transport-security",
        "x-content-type-options",
        "x-ms-deployment-name",
        "x-ms-rai-invoked",
        "x-ms-region",
        "x-ratelimit-limit-requests",
        "x-ratelimit-limit-tokens",
        "x-ratelimit-remaining-requests",
        "x-ratelimit-remaining-tokens",
        "x-request-id",
    }
    assert got.header("x-ms-client-request-id") == ["mine"]
    assert got.header("x-ms-region") == ["East US"]
    assert "server" not in names


def test_an_unknown_deployment_is_not_found_on_both_surfaces():
    with MockAzureOpenAI(deployments=["known"]) as mock:
        body = b'{"model":"unknown","messages":[]}'
        for target in (V1, f"{LEGACY}?api-version=2024-10-21"):
            got = exchange(mock.url, "POST", target, [("api-key", mock.key)], body)
            assert json.loads(got.body)["error"]["code"] == "DeploymentNotFound"


def test_rules_also_answer_at_targets_that_the_mock_does_not_know(mock, caller):
    mock.script(Action(body={"id": "file-1"}))
    assert caller.ask("/openai/files?api-version=2024-10-21").body == b'{"id":"file-1"}'
