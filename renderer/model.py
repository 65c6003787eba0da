"""The frozen model: all that the gateway is configured to do, checked, in the engine's units.

Times are milliseconds and sizes bytes where the name says so. Nothing here knows of environment
variables, YAML or files.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from renderer.redact import Secret


class AuthMode(StrEnum):
    """How the gateway authenticates to a backend."""

    API_KEY = "api-key"
    NONE = "none"


class BackendMode(StrEnum):
    """Whether a backend takes part: always, only when no active one can, or never."""

    ACTIVE = "active"
    STANDBY = "standby"
    DRAIN = "drain"


class LogMode(StrEnum):
    """prod writes no request log; test and dev do."""

    PROD = "prod"
    TEST = "test"
    DEV = "dev"


@dataclass(frozen=True, kw_only=True, slots=True)
class Backend:
    """One Azure OpenAI account: where it is, how to get in, what it serves, when it is taken.

    `endpoint` is scheme://host[:port]. A higher `priority` is preferred. No `deployments` = all.
    `deployment_map` is pairs of (the client's name, the backend's name).
    """

    index: int
    name: str
    endpoint: str
    auth_mode: AuthMode
    key: Secret | None
    priority: int
    weight: int
    mode: BackendMode
    region: str | None
    capacity: str | None
    deployments: tuple[str, ...]
    deployment_map: tuple[tuple[str, str], ...]
    api_version: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Client:
    """Who may call the gateway. Both keys are valid; the second one is for rotation."""

    name: str
    key: Secret
    key_secondary: Secret | None

    @property
    def keys(self) -> tuple[Secret, ...]:
        """Return the valid keys, each once."""
        second = self.key_secondary
        return (self.key,) if second is None or second == self.key else (self.key, second)


@dataclass(frozen=True, kw_only=True, slots=True)
class Routing:
    """Order inside a priority, and when a failed attempt is followed by another."""

    algorithm: str
    hash_on: str
    hash_key: str | None
    fallback_strategy: tuple[str, ...]
    max_attempts: int
    failover_within_ms: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Transport:
    """Timeouts and sizes of one request; 0 = off."""

    connect_timeout_ms: int
    send_timeout_ms: int
    read_timeout_ms: int
    first_byte_timeout_ms: int
    max_request_body_bytes: int
    json_hold_bytes: int
    stream_hold_bytes: int
    stream_hold_ms: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Listeners:
    """Ports and addresses; IPv6 addresses are in brackets. The control port is on loopback."""

    gateway_port: int
    status_host: str
    status_port: int
    control_port: int
    metrics_host: str
    metrics_port: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Engine:
    """How nginx runs: `workers` is a number or auto."""

    workers: str | int
    log_level: str
    drain_seconds: int
    metrics_refresh_seconds: int
    lua_path: str


@dataclass(frozen=True, kw_only=True, slots=True)
class RequestLog:
    """The request log and what answers say about routing."""

    mode: LogMode
    path: str
    summaries: bool
    debug_headers: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class RemoteWrite:
    """Where metrics go: `endpoint` is the full address of an Azure Monitor workspace."""

    endpoint: str
    org_id: str
    queue_enabled: bool
    queue_size: int
    queue_consumers: int
    retry_enabled: bool
    retry_initial: str
    retry_max: str
    retry_max_elapsed: str
    timeout: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Telemetry:
    """What the collector does; durations are in its own notation."""

    service_name: str
    service_version: str
    environment: str
    cloud_platform: str
    cluster_name: str
    log_level: str
    debug_exporter: bool
    batch_timeout: str
    batch_size: int
    memory_limit_mib: int
    memory_spike_mib: int
    otlp_host: str
    otlp_http_port: int
    scrape_target: str
    scrape_path: str
    scrape_interval: str
    scrape_timeout: str
    connection_string: Secret | None
    remote_write: RemoteWrite | None
    client_id: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class GatewayModel:
    """The whole configuration. Backends are in the order of their index."""

    backends: tuple[Backend, ...]
    clients: tuple[Client, ...]
    require_auth: bool
    routing: Routing
    transport: Transport
    listeners: Listeners
    engine: Engine
    request_log: RequestLog
    telemetry: Telemetry
