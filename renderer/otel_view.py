"""From the model to the OpenTelemetry collector's document (0.138.0 and later), as plain data.

The collector expands `${...}` in every string and reads `$$` as one dollar, so that text of users
goes through `escape`.
"""

from __future__ import annotations

from typing import Any

from renderer.model import GatewayModel, LogMode, RemoteWrite, Telemetry

MONITOR_SCOPE = "https://monitor.azure.com/.default"
PROCESSORS = ("memory_limiter", "resource", "batch")


def escape(text: str) -> str:
    """Keep the collector from expanding a user's text."""
    return text.replace("$", "$$")


def otel_document(model: GatewayModel) -> dict[str, Any]:
    """Return the content of otel-collector.yaml; every pipeline has a receiver and an exporter."""
    telemetry = model.telemetry
    writes_log = model.request_log.mode is not LogMode.PROD
    exporters = _exporters(telemetry)
    pipelines = _pipelines(exporters, writes_log=writes_log)
    used = {name for pipeline in pipelines.values() for name in pipeline["receivers"]}
    receivers = _receivers(telemetry, model.request_log.path)
    extensions: dict[str, Any] = {"health_check": {"endpoint": "0.0.0.0:13133"}}
    if telemetry.remote_write:
        extensions["azureauth"] = _azure_auth(telemetry.client_id)
    return {
        "extensions": extensions,
        "receivers": {name: conf for name, conf in receivers.items() if name in used},
        "processors": _processors(telemetry),
        "exporters": exporters,
        "service": {
            "extensions": list(extensions),
            "telemetry": _own_telemetry(telemetry.log_level),
            "pipelines": pipelines,
        },
    }


def _pipelines(exporters: dict[str, Any], *, writes_log: bool) -> dict[str, Any]:
    def to(*names: str) -> list[str]:
        return [name for name in (*names, "debug") if name in exporters] or ["nop"]

    metrics = to("prometheusremotewrite/azure")
    logs = to("azuremonitor")
    pipelines = {
        "traces": {"receivers": ["otlp"], "exporters": to("azuremonitor")},
        "metrics": {
            "receivers": ["otlp"] if metrics == ["nop"] else ["otlp", "prometheus"],
            "exporters": metrics,
        },
        "logs": {
            "receivers": ["otlp", "filelog"] if writes_log and logs != ["nop"] else ["otlp"],
            "exporters": logs,
        },
    }
    if any(pipeline["exporters"] == ["nop"] for pipeline in pipelines.values()):
        exporters["nop"] = {}
    return {
        name: {**pipeline, "processors": list(PROCESSORS)} for name, pipeline in pipelines.items()
    }


def _receivers(telemetry: Telemetry, log_path: str) -> dict[str, Any]:
    return {
        "otlp": {
            "protocols": {
                "grpc": {"endpoint": f"{telemetry.otlp_host}:4317"},
                "http": {"endpoint": f"{telemetry.otlp_host}:{telemetry.otlp_http_port}"},
            }
        },
        "prometheus": {
            "config": {
                "scrape_configs": [
                    {
                        "job_name": "apisix-gateway",
                        "scrape_interval": telemetry.scrape_interval,
                        "scrape_timeout": telemetry.scrape_timeout,
                        "metrics_path": telemetry.scrape_path,
                        "static_configs": [{"targets": [telemetry.scrape_target]}],
                    }
                ]
            }
        },
        "filelog": {
            "include": [log_path],
            "start_at": "end",
            "operators": [{"type": "json_parser", "on_error": "send"}],
        },
    }


def _processors(telemetry: Telemetry) -> dict[str, Any]:
    attributes = {
        "service.name": telemetry.service_name,
        "service.version": telemetry.service_version,
        "deployment.environment": telemetry.environment,
        "cloud.provider": "azure",
        "cloud.platform": telemetry.cloud_platform,
    }
    return {
        "memory_limiter": {
            "check_interval": "1s",
            "limit_mib": telemetry.memory_limit_mib,
            "spike_limit_mib": telemetry.memory_spike_mib,
        },
        "resource": {
            "attributes": [
                {"key": key, "value": escape(value), "action": "upsert"}
                for key, value in attributes.items()
            ]
        },
        "batch": {
            "timeout": telemetry.batch_timeout,
            "send_batch_size": telemetry.batch_size,
        },
    }


def _exporters(telemetry: Telemetry) -> dict[str, Any]:
    exporters: dict[str, Any] = {}
    if telemetry.connection_string:
        exporters["azuremonitor"] = {"connection_string": escape(telemetry.connection_string.value)}
    if telemetry.remote_write:
        exporters["prometheusremotewrite/azure"] = _remote_write(telemetry.remote_write, telemetry)
    if telemetry.debug_exporter:
        exporters["debug"] = {
            "verbosity": "detailed",
            "sampling_initial": 5,
            "sampling_thereafter": 200,
        }
    return exporters


def _remote_write(write: RemoteWrite, telemetry: Telemetry) -> dict[str, Any]:
    return {
        "endpoint": escape(write.endpoint),
        "timeout": write.timeout,
        "auth": {"authenticator": "azureauth"},
        "headers": {"X-Scope-OrgID": escape(write.org_id)},
        "external_labels": {
            "cluster": escape(telemetry.cluster_name),
            "environment": escape(telemetry.environment),
        },
        "remote_write_queue": {
            "enabled": write.queue_enabled,
            "queue_size": write.queue_size,
            "num_consumers": write.queue_consumers,
        },
        "retry_on_failure": {
            "enabled": write.retry_enabled,
            "initial_interval": write.retry_initial,
            "max_interval": write.retry_max,
            "max_elapsed_time": write.retry_max_elapsed,
        },
    }


def _azure_auth(client_id: str | None) -> dict[str, Any]:
    # a workspace's host is not the audience of its tokens, so the scope is always given
    how: dict[str, Any] = {"use_default": True}
    if client_id:
        how = {"managed_identity": {"client_id": escape(client_id)}}
    return {**how, "scopes": [MONITOR_SCOPE]}


def _own_telemetry(level: str) -> dict[str, Any]:
    logs: dict[str, Any] = {"level": level}
    if level == "debug":
        logs |= {"development": True, "encoding": "json"}
    exporter = {"prometheus": {"host": "127.0.0.1", "port": 8888}}
    return {
        "logs": logs,
        "metrics": {"level": "detailed", "readers": [{"pull": {"exporter": exporter}}]},
    }
