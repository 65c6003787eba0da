"""From settings to what the collector does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from renderer.endpoints import is_loopback
from renderer.errors import InvalidValueError
from renderer.model import RemoteWrite, Telemetry
from renderer.otel_settings import WRITE_PATH
from renderer.values import duration_ms

if TYPE_CHECKING:
    from renderer.findings import Findings
    from renderer.settings import Settings

WRITE_QUERY = "?api-version=2023-04-24"
OTLP_HTTP_PORT = 4318
COLLECTORS_OWN_PORTS = {"4317": "OTLP over gRPC", "13133": "its health", "8888": "its metrics"}


def compile_telemetry(settings: Settings, found: Findings) -> Telemetry:
    """Compile the collector's part of the model."""
    _check(settings, found)
    debug = settings.enable_debug_exporter
    target = settings.apisix_gateway_endpoint or f"127.0.0.1:{settings.metrics_port}"
    collector = settings.otel_collector_endpoint or f"localhost:{OTLP_HTTP_PORT}"
    host, _, port = collector.rpartition(":")
    return Telemetry(
        service_name=settings.otel_service_name,
        service_version=settings.service_version,
        environment=settings.environment,
        cloud_platform=settings.cloud_platform,
        cluster_name=settings.cluster_name,
        log_level=settings.otel_log_level,
        debug_exporter=settings.gateway_log_mode == "dev" if debug is None else debug,
        batch_timeout=settings.otel_batch_timeout,
        batch_size=settings.otel_batch_size,
        memory_limit_mib=settings.otel_memory_limit_mib,
        memory_spike_mib=settings.otel_memory_spike_mib,
        otlp_host="127.0.0.1" if is_loopback(host.strip("[]")) else "0.0.0.0",  # noqa: S104
        otlp_http_port=int(port),
        scrape_target=target,
        scrape_path=settings.apisix_metrics_path,
        scrape_interval=settings.prometheus_scrape_interval,
        scrape_timeout=settings.prometheus_scrape_timeout,
        connection_string=settings.applicationinsights_connection_string,
        remote_write=_remote_write(settings),
        client_id=settings.azure_client_id,
    )


def _remote_write(settings: Settings) -> RemoteWrite | None:
    base = settings.azure_monitor_workspace_endpoint
    if base is None:
        return None
    return RemoteWrite(
        endpoint=f"{base}{WRITE_PATH}{WRITE_QUERY}",
        org_id=settings.prometheus_remote_write_org_id,
        queue_enabled=settings.prometheus_remote_write_queue_enabled,
        queue_size=settings.prometheus_remote_write_queue_size,
        queue_consumers=settings.prometheus_remote_write_queue_consumers,
        retry_enabled=settings.prometheus_remote_write_retry_enabled,
        retry_initial=settings.prometheus_remote_write_retry_initial,
        retry_max=settings.prometheus_remote_write_retry_max,
        retry_max_elapsed=settings.prometheus_remote_write_retry_max_elapsed,
        timeout=settings.prometheus_remote_write_timeout,
    )


def _check(settings: Settings, found: Findings) -> None:
    if settings.otel_memory_spike_mib >= settings.otel_memory_limit_mib:
        found.add(
            InvalidValueError(
                "OTEL_MEMORY_SPIKE_MIB", "is not below OTEL_MEMORY_LIMIT_MIB; lower it"
            )
        )
    interval = duration_ms(settings.prometheus_scrape_interval)
    if not 0 < duration_ms(settings.prometheus_scrape_timeout) <= interval:
        found.add(
            InvalidValueError(
                "PROMETHEUS_SCRAPE_TIMEOUT",
                "is 0 or above PROMETHEUS_SCRAPE_INTERVAL; set it between",
            )
        )
    _check_endpoint(settings, found)
    if settings.otel_collector_endpoint or settings.otel_sample_rate:
        found.warnings.append(
            "OTEL_COLLECTOR_ENDPOINT: the collector listens there, "
            "but the gateway sends no spans in this version"
        )


def _check_endpoint(settings: Settings, found: Findings) -> None:
    port = (settings.otel_collector_endpoint or "").rpartition(":")[2]
    if port in COLLECTORS_OWN_PORTS:
        found.add(
            InvalidValueError(
                "OTEL_COLLECTOR_ENDPOINT",
                f"port {port} is the collector's own for {COLLECTORS_OWN_PORTS[port]}; "
                f"take another, {OTLP_HTTP_PORT} for instance",
            )
        )
