from __future__ import annotations

import copy
import re

import dev_tools
import pytest
import yaml
from arm_schema import problems

from containerapp import template
from containerapp.local import REPOSITORY
from renderer.compile import load_model
from renderer.names import BACKENDS, CLIENTS
from renderer.pipeline import render
from renderer.settings import Settings

API_VERSION = "2026-07-01"
# what the az command line reads beside the resource itself
CLI_KEYS = {"type", "name"}


def filled(**values):
    examples = {
        name: item["example"] for name, item in template.placeholders().items() if "example" in item
    }
    return yaml.safe_load(template.fill({**examples, **values}))


@pytest.fixture
def app():
    return filled()


@pytest.fixture
def body(app):
    return app["properties"]["template"]


def container(body, name):
    (found,) = [c for c in body["initContainers"] + body["containers"] if c["name"] == name]
    return found


def environment(body, name):
    """Return the variables of a container; a secret is a value that every rule accepts."""
    return {
        item["name"]: item.get("value", "canary-0123456789abcdef")
        for item in container(body, name)["env"]
    } | secrets(body, name)


def secrets(body, name):
    made = {"APPLICATIONINSIGHTS_CONNECTION_STRING": "InstrumentationKey=canary"}
    refs = {item["name"] for item in container(body, name)["env"] if "secretRef" in item}
    return {key: value for key, value in made.items() if key in refs}


def probes(body, name):
    return {item["type"]: item for item in container(body, name)["probes"]}


def schema_problems(app):
    models = dev_tools.module("azure.mgmt.appcontainers.models", dev_tools.AZURE_MODELS)
    resource = {key: value for key, value in app.items() if key not in CLI_KEYS}
    return problems(models.ContainerApp, resource)


def test_the_template_is_a_container_app_by_microsofts_models(app):
    assert schema_problems(app) == []


def test_the_models_are_of_the_api_version_that_the_template_names():
    client = dev_tools.module("azure.mgmt.appcontainers._configuration", dev_tools.AZURE_MODELS)
    made = client.ContainerAppsAPIClientConfiguration(credential=object(), subscription_id="x")
    assert made.api_version == API_VERSION
    assert f"API version {API_VERSION}" in template.TEMPLATE.read_text()


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("properties.template.terminationGracePeriod", 60),
        ("properties.template.terminationGracePeriodSeconds", "60"),
        ("properties.template.containers.0.probes.0.httpGet.prot", 1),
        ("properties.template.containers.0.probes.0.type", "Started"),
        ("properties.template.containers.0.resources.cpu", "1.0"),
        ("properties.template.volumes.0.storageType", "EmptyDirectory"),
        ("properties.template.scale.rules.0.http.metadata.concurrentRequests", 60),
        ("properties.configuration.secrets.0.keyVaultUri", "https://x"),
        ("properties.configuration.ingress.fqdn", "x"),
        ("properties.configuration.identitySettings.0.lifecycle", None),
        ("identity.userAssignedIdentity", {}),
    ],
)
def test_the_schema_check_finds(app, place, value):
    wrong = copy.deepcopy(app)
    *path, last = place.split(".")
    target = wrong
    for step in path:
        target = target[int(step) if step.isdigit() else step]
    target[last] = value
    assert len(schema_problems(wrong)) == 1


def known(name):
    if name.lower() in Settings.model_fields:
        return True
    return any(
        re.fullmatch(rf"{group.prefix}({'|'.join(group.fields)})_\d+", name)
        for group in (BACKENDS, CLIENTS)
    )


def test_the_renderer_knows_every_setting_of_the_template(body):
    names = [item["name"] for item in container(body, "renderer")["env"]]
    assert [name for name in names if not known(name)] == []
    assert len(set(names)) == len(names)


def test_every_setting_whose_default_is_wrong_in_a_replica_is_in_the_template(body):
    names = {item["name"] for item in container(body, "renderer")["env"]}
    wrong_there = {"status_host", "apisix_logs_path", "gateway_workers"}
    ports_and_hosts = {name for name in Settings.model_fields if name.endswith(("_port", "_host"))}
    # control stays on loopback, and the template says nothing about it
    needed = (wrong_there | ports_and_hosts) - {"control_port"}
    assert {name.upper() for name in needed} <= names


def test_the_other_containers_get_no_setting_and_no_secret(body):
    for item in body["containers"]:
        assert [e["name"] for e in item.get("env", []) if known(e["name"])] == []
        assert [e for e in item.get("env", []) if "secretRef" in e] == []


def test_the_gateways_variables_are_the_entrypoints(body):
    text = (REPOSITORY / "containerapp/gateway-entrypoint.sh").read_text()
    for item in container(body, "gateway")["env"]:
        assert f"${{{item['name']}:-" in text


@pytest.fixture
def files(body):
    compiled = load_model(environment(body, "renderer"))
    assert compiled.warnings == ()
    return {name: yaml.safe_load(data) for name, data in render(compiled.model).items()}


def test_probes_ask_where_the_rendered_engine_listens(body, files):
    status = files["config.yaml"]["apisix"]["status"]
    assert status["ip"] == "0.0.0.0"
    paths = {kind: item["httpGet"] for kind, item in probes(body, "gateway").items()}
    assert {item["port"] for item in paths.values()} == {status["port"]}
    assert {kind: item["path"] for kind, item in paths.items()} == {
        "Startup": "/status/ready",
        "Liveness": "/status",
        "Readiness": "/status/ready",
    }


def test_probes_are_within_the_limits_that_microsoft_documents(body):
    for item in body["containers"]:
        for probe in item["probes"]:
            assert 1 <= probe["failureThreshold"] <= 10
            assert 1 <= probe["periodSeconds"] <= 240
            assert 1 <= probe["timeoutSeconds"] <= 240


def test_the_startup_probe_waits_longer_than_a_cold_start_takes(body):
    startup = probes(body, "gateway")["Startup"]
    assert startup["periodSeconds"] * startup["failureThreshold"] >= 20


def test_the_ingress_reaches_the_port_that_the_gateway_listens_on(app, files):
    listen = files["config.yaml"]["apisix"]["node_listen"]
    listen = listen[0] if isinstance(listen, list) else listen
    port = listen["port"] if isinstance(listen, dict) else listen
    assert app["properties"]["configuration"]["ingress"]["targetPort"] == int(port)


def test_metrics_stay_inside_of_the_replica_where_the_collector_scrapes_them():
    body = filled(monitor_workspace_endpoint="https://example.monitor.azure.com")
    body = body["properties"]["template"]
    model = load_model(environment(body, "renderer")).model
    files = {name: yaml.safe_load(data) for name, data in render(model).items()}
    export = files["config.yaml"]["plugin_attr"]["prometheus"]["export_addr"]
    assert export["ip"] == "127.0.0.1"
    scrapes = files["otel-collector.yaml"]["receivers"]["prometheus"]["config"]["scrape_configs"]
    assert scrapes[0]["static_configs"] == [{"targets": [f"127.0.0.1:{export['port']}"]}]


def test_the_collectors_probes_ask_its_health_check(body, files):
    endpoint = files["otel-collector.yaml"]["extensions"]["health_check"]["endpoint"]
    ports = {item["httpGet"]["port"] for item in probes(body, "otel-collector").values()}
    assert ports == {int(endpoint.rpartition(":")[2])}


def test_the_request_log_is_where_gateway_and_collector_both_have_it():
    body = filled(log_mode="test")["properties"]["template"]
    files = render(load_model(environment(body, "renderer")).model)
    collector = yaml.safe_load(files["otel-collector.yaml"])
    (path,) = collector["receivers"]["filelog"]["include"]
    for name in ("gateway", "otel-collector"):
        mounts = {item["mountPath"] for item in container(body, name)["volumeMounts"]}
        assert path.rpartition("/")[0] in mounts


def test_every_container_sees_the_rendered_set_at_the_images_path(body):
    declared = {item["name"]: item["storageType"] for item in body["volumes"]}
    assert set(declared.values()) == {"EmptyDir"}
    for item in body["initContainers"] + body["containers"]:
        mounts = {mount["volumeName"]: mount["mountPath"] for mount in item["volumeMounts"]}
        assert mounts["shared-configs"] == "/shared-configs"
        assert set(mounts) <= set(declared)


def test_container_apps_waits_longer_than_delay_and_drain(body, files):
    drain = int(files["config.yaml"]["nginx_config"]["worker_shutdown_timeout"].removesuffix("s"))
    delay = int(environment(body, "gateway")["STOP_DELAY_SECONDS"])
    assert body["terminationGracePeriodSeconds"] > delay + drain


def test_secrets_are_key_vault_references_that_are_all_used(app, body):
    listed = {item["name"]: item for item in app["properties"]["configuration"]["secrets"]}
    for name, item in listed.items():
        assert item["keyVaultUrl"].endswith(f".vault.azure.net/secrets/{name}")
        assert item["identity"] in app["identity"]["userAssignedIdentities"]
        assert "value" not in item
    used = {e["secretRef"] for e in container(body, "renderer")["env"] if "secretRef" in e}
    assert used == set(listed)


def test_a_secret_is_named_after_its_variable(body):
    for item in container(body, "renderer")["env"]:
        if "secretRef" in item:
            assert item["secretRef"] == item["name"].lower().replace("_", "-")


def test_a_variable_that_the_renderer_calls_secret_comes_from_the_key_vault(body):
    for item in container(body, "renderer")["env"]:
        field = Settings.model_fields.get(item["name"].lower())
        extra = field.json_schema_extra if field else {}
        if extra.get("secret") or re.match(r"(AZURE_OPENAI|GATEWAY_CLIENT)_KEY", item["name"]):
            assert "secretRef" in item


def test_no_container_can_use_the_identity_that_reads_the_secrets(app):
    settings = app["properties"]["configuration"]["identitySettings"]
    lifecycles = {item["identity"]: item["lifecycle"] for item in settings}
    readers = {item["identity"] for item in app["properties"]["configuration"]["secrets"]}
    assert {lifecycles[identity] for identity in readers} == {"None"}


def test_cpu_and_memory_are_a_pair_that_container_apps_has(body):
    for item in body["initContainers"] + body["containers"]:
        resources = item["resources"]
        assert float(resources["memory"].removesuffix("Gi")) == 2 * resources["cpu"]
        assert resources["cpu"] % 0.25 == 0


def test_the_collectors_memory_limit_fits_into_its_container(body, files):
    limit = files["otel-collector.yaml"]["processors"]["memory_limiter"]["limit_mib"]
    memory = container(body, "otel-collector")["resources"]["memory"]
    assert limit < float(memory.removesuffix("Gi")) * 1024


def test_it_scales_by_open_requests_and_by_cpu(body):
    rules = body["scale"]["rules"]
    assert [rule.get("custom", {}).get("type", "http") for rule in rules] == ["http", "cpu"]
    assert body["scale"]["minReplicas"] <= body["scale"]["maxReplicas"]
