"""The settings that feed the OpenTelemetry collector's configuration."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator

from renderer.fields import (
    AbsolutePath,
    Duration,
    Flag,
    HostPort,
    Positive,
    Ratio,
    SecretText,
    Text,
    flag,
    setting,
)
from renderer.redact import shape
from renderer.values import FLAG_VALUES, choice, parse_text

WRITE_PATH = "/api/v1/write"


def _workspace(text: str) -> str:
    url = parse_text(text)
    try:
        parts = urlsplit(url)
        usable = parts.scheme == "https" and bool(parts.hostname) and "@" not in parts.netloc
    except ValueError:
        usable = False
    if not usable:
        raise ValueError(f"{shape(text)} is no https:// address; use the workspace's base URL")
    return url.split(WRITE_PATH, 1)[0].split("?", 1)[0].rstrip("/")


Workspace = Annotated[str, BeforeValidator(_workspace)]
CollectorLevel = Annotated[str, BeforeValidator(choice("debug", "info", "warn", "error"))]


class TelemetrySettings(BaseModel):
    """Variables of the collector; names and defaults of the accelerator unless said otherwise."""

    applicationinsights_connection_string: SecretText | None = setting(
        None,
        "connection string",
        "Traces and logs go to this Application Insights.",
        secret=True,
    )
    azure_monitor_workspace_endpoint: Workspace | None = setting(
        None,
        "https:// base URL",
        "Metrics go to this Azure Monitor workspace by remote write.",
    )
    azure_client_id: Text | None = setting(
        None, "client id", "User-assigned identity that the collector authenticates with."
    )
    enable_debug_exporter: Flag | None = setting(
        None,
        FLAG_VALUES,
        "The collector also prints what it gets; on by default when GATEWAY_LOG_MODE is dev.",
    )
    otel_collector_endpoint: HostPort | None = setting(
        None,
        "host:port",
        "Where the gateway finds the collector; its port is where the collector takes OTLP/HTTP.",
    )
    otel_service_name: Text = setting("apisix-gateway", "text", "Resource `service.name`.")
    otel_sample_rate: Ratio | None = setting(
        None, "0 to 1", "Share of requests that are traced (no spans in this version)."
    )
    otel_log_level: CollectorLevel = setting(
        "info", "debug, info, warn, error", "Level of the collector's own log."
    )
    service_version: Text = setting("unknown", "text", "Resource `service.version`.")
    environment: Text = setting("dev", "text", "Resource `deployment.environment`.")
    cloud_platform: Text = setting("azure_container_apps", "text", "Resource `cloud.platform`.")
    cluster_name: Text = setting("apisix-gateway", "text", "Metric label `cluster`.")
    otel_batch_timeout: Duration = setting("10s", "duration", "Longest wait for a batch.")
    otel_batch_size: Positive = setting(1024, "1 to 1000000", "Items of a batch.")
    otel_memory_limit_mib: Positive = setting(
        400,
        "1 to 1000000",
        "Memory that the collector may use; must fit below its container's limit.",
    )
    otel_memory_spike_mib: Positive = setting(
        100, "1 to 1000000, below the limit", "Part of the limit kept for spikes."
    )
    apisix_gateway_endpoint: HostPort | None = setting(
        None, "host:port", "Where the collector scrapes; default is loopback and METRICS_PORT."
    )
    apisix_metrics_path: AbsolutePath = setting(
        "/apisix/prometheus/metrics", "absolute path", "Path of the Prometheus text."
    )
    prometheus_scrape_interval: Duration = setting("30s", "duration", "Time between two scrapes.")
    prometheus_scrape_timeout: Duration = setting(
        "10s", "duration, at most the interval", "Time that one scrape may take."
    )
    prometheus_remote_write_org_id: Text = setting(
        "anonymous", "text", "Header `X-Scope-OrgID` of the remote write."
    )
    prometheus_remote_write_queue_enabled: Flag = flag(True, "Queue what cannot be sent at once.")
    prometheus_remote_write_queue_size: Positive = setting(
        10_000, "1 to 1000000", "Entries of that queue."
    )
    prometheus_remote_write_queue_consumers: Positive = setting(
        5, "1 to 1000000", "Parallel senders of that queue."
    )
    prometheus_remote_write_retry_enabled: Flag = flag(True, "Try again what was refused.")
    prometheus_remote_write_retry_initial: Duration = setting(
        "5s", "duration", "First pause before a new try."
    )
    prometheus_remote_write_retry_max: Duration = setting(
        "30s", "duration", "Longest pause before a new try."
    )
    prometheus_remote_write_retry_max_elapsed: Duration = setting(
        "5m", "duration", "Time after which it is given up."
    )
    prometheus_remote_write_timeout: Duration = setting("30s", "duration", "Time of one write.")
