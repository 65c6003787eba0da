from __future__ import annotations

import re

import dev_tools
import jsonschema
import pytest
import yaml

from containerapp.local import REPOSITORY
from renderer.compile import load_model
from renderer.env_file import read_env_file
from renderer.pipeline import render

FOLDER = REPOSITORY / "containerapp"
ENV_FILE = FOLDER / "example.env"
ONCE = {"renderer"}


@pytest.fixture
def compose():
    return yaml.safe_load((FOLDER / "compose.yaml").read_text())


def services_of(compose):
    return compose["services"].items()


def test_the_file_is_valid_by_the_schema_of_the_compose_specification(compose):
    schemas = dev_tools.module("check_jsonschema.builtin_schemas", dev_tools.COMPOSE_SCHEMA)
    schema = schemas.get_builtin_schema("vendor.compose-spec")
    validator = jsonschema.validators.validator_for(schema)(schema)
    assert [error.message for error in validator.iter_errors(compose)] == []


def test_the_schema_would_find_an_invented_key(compose):
    schemas = dev_tools.module("check_jsonschema.builtin_schemas", dev_tools.COMPOSE_SCHEMA)
    schema = schemas.get_builtin_schema("vendor.compose-spec")
    compose["services"]["gateway"]["helthcheck"] = {}
    validator = jsonschema.validators.validator_for(schema)(schema)
    assert not validator.is_valid(compose)


def test_every_service_that_stays_has_a_health_check(compose):
    staying = {name for name, _ in services_of(compose)} - ONCE
    checked = {name for name, item in services_of(compose) if "healthcheck" in item}
    assert checked == staying


def test_the_gateway_starts_after_the_renderer_has_succeeded(compose):
    gateway = compose["services"]["gateway"]
    assert gateway["depends_on"]["renderer"]["condition"] == "service_completed_successfully"
    assert "restart" not in compose["services"]["renderer"]


def test_dependencies_exist_and_have_what_is_waited_for(compose):
    for _, service in services_of(compose):
        for name, item in service.get("depends_on", {}).items():
            if item["condition"] == "service_healthy":
                assert "healthcheck" in compose["services"][name]


def test_every_service_is_built_here_or_pinned_to_a_release(compose):
    for name, service in services_of(compose):
        if "build" in service:
            assert (REPOSITORY / service["build"]["dockerfile"]).is_file()
        else:
            assert re.search(r":\d+\.\d+\.\d+", service["image"]), name


def test_volumes_are_named_and_the_set_is_read_only_for_its_readers(compose):
    declared = set(compose["volumes"])
    for name, service in services_of(compose):
        for volume in service.get("volumes", []):
            source, target, *mode = volume.split(":")
            assert source in declared
            if target == "/shared-configs":
                assert mode == ([] if name == "renderer" else ["ro"])


def test_secrets_come_from_the_env_file_only():
    secrets = [value for name, value in read_env_file(ENV_FILE).items() if secret(name)]
    text = (FOLDER / "compose.yaml").read_text()
    shown = text.replace(f"'api-key: {read_env_file(ENV_FILE)['GATEWAY_CLIENT_KEY_0']}'", "")
    assert secrets
    assert not [value for value in secrets if value in shown]


def secret(name):
    return "KEY" in name or "PASSWORD" in name


def test_the_example_renders_without_a_warning(compose):
    renderer = compose["services"]["renderer"]
    compiled = load_model({**read_env_file(ENV_FILE), **renderer["environment"]})
    assert compiled.warnings == ()
    files = render(compiled.model)
    collector = yaml.safe_load(files["otel-collector.yaml"])
    assert collector["extensions"]["health_check"]["endpoint"].endswith(":13133")
    routes = yaml.safe_load(files["apisix.yaml"])["routes"][0]["plugins"]
    endpoints = [item["override"]["endpoint"] for item in routes["ai-proxy-multi"]["instances"]]
    assert endpoints == ["http://mock-eastus:8080", "http://mock-westus:8080"]
    assert {endpoint[7:-5] for endpoint in endpoints} <= set(compose["services"])


def test_the_backends_keys_are_the_mocks():
    from e2e.mock_azure_openai.server import DEFAULT_KEY  # noqa: PLC0415

    values = read_env_file(ENV_FILE)
    assert {values["AZURE_OPENAI_KEY_0"], values["AZURE_OPENAI_KEY_1"]} == {DEFAULT_KEY}


def test_the_gateway_gets_longer_to_stop_than_the_drain_takes(compose):
    grace = int(compose["services"]["gateway"]["stop_grace_period"].removesuffix("s"))
    renderer = compose["services"]["renderer"]
    model = load_model({**read_env_file(ENV_FILE), **renderer["environment"]}).model
    assert grace > model.engine.drain_seconds
