import pytest
from renderer_support import documents

INSIGHTS = {"APPLICATIONINSIGHTS_CONNECTION_STRING": "InstrumentationKey=x"}
WORKSPACE = {"AZURE_MONITOR_WORKSPACE_ENDPOINT": "https://amw.example/x"}
DEBUG = {"ENABLE_DEBUG_EXPORTER": "true"}


@pytest.mark.parametrize("log_mode", ["prod", "test", "dev"])
@pytest.mark.parametrize("env", [{}, INSIGHTS, WORKSPACE, DEBUG, {**INSIGHTS, **WORKSPACE}])
def test_every_pipeline_has_components_that_exist(env: dict[str, str], log_mode: str):
    document = documents(**env, GATEWAY_LOG_MODE=log_mode)["otel-collector.yaml"]

    used = {"receivers": set(), "processors": set(), "exporters": set()}
    for pipeline in document["service"]["pipelines"].values():
        for kind, names in used.items():
            assert pipeline[kind]
            names.update(pipeline[kind])
    for kind, names in used.items():
        assert names == set(document[kind])
    assert document["service"]["extensions"] == list(document["extensions"])


def test_with_nothing_configured_everything_goes_nowhere():
    document = documents()["otel-collector.yaml"]

    assert document["exporters"] == {"nop": {}}
    assert set(document["receivers"]) == {"otlp"}


def test_application_insights_gets_traces_and_logs():
    pipelines = documents(**INSIGHTS)["otel-collector.yaml"]["service"]["pipelines"]

    assert {name: pipeline["exporters"] for name, pipeline in pipelines.items()} == {
        "traces": ["azuremonitor"],
        "metrics": ["nop"],
        "logs": ["azuremonitor"],
    }


def test_a_workspace_gets_the_scraped_metrics_with_a_token_for_azure_monitor():
    document = documents(**WORKSPACE, METRICS_PORT="9191")["otel-collector.yaml"]

    write = document["exporters"]["prometheusremotewrite/azure"]
    scrape = document["receivers"]["prometheus"]["config"]["scrape_configs"][0]
    assert write["endpoint"] == "https://amw.example/x/api/v1/write?api-version=2023-04-24"
    assert write["auth"] == {"authenticator": "azureauth"}
    assert document["extensions"]["azureauth"]["scopes"] == ["https://monitor.azure.com/.default"]
    assert scrape["static_configs"] == [{"targets": ["127.0.0.1:9191"]}]


def test_the_identity_of_the_collector_is_the_clients_own_when_given():
    document = documents(**WORKSPACE, AZURE_CLIENT_ID="id-1")["otel-collector.yaml"]

    assert document["extensions"]["azureauth"]["managed_identity"] == {"client_id": "id-1"}


def test_the_request_log_is_read_when_the_log_mode_writes_one():
    document = documents(**INSIGHTS, GATEWAY_LOG_MODE="test", APISIX_LOGS_PATH="/l/x.json")[
        "otel-collector.yaml"
    ]

    assert document["receivers"]["filelog"]["include"] == ["/l/x.json"]


def test_the_memory_limit_fits_below_the_memory_of_the_sidecar():
    limiter = documents()["otel-collector.yaml"]["processors"]["memory_limiter"]

    assert (limiter["limit_mib"], limiter["spike_limit_mib"]) == (400, 100)


@pytest.mark.parametrize(
    ("endpoint", "address"),
    [
        ("localhost:4318", "127.0.0.1:4318"),
        ("127.0.0.1:5000", "127.0.0.1:5000"),
        ("collector:4318", "0.0.0.0:4318"),
    ],
)
def test_the_collector_listens_where_the_gateway_looks_for_it(endpoint: str, address: str):
    document = documents(OTEL_COLLECTOR_ENDPOINT=endpoint)["otel-collector.yaml"]

    assert document["receivers"]["otlp"]["protocols"]["http"] == {"endpoint": address}


def test_the_collectors_own_metrics_use_the_schema_with_readers():
    metrics = documents()["otel-collector.yaml"]["service"]["telemetry"]["metrics"]

    assert metrics["readers"][0]["pull"]["exporter"]["prometheus"]["port"] == 8888
