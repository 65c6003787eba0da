"""From the environment to the frozen model: `load_model`.

Every problem of a run is collected and reported at once. Nothing is read but the arguments.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from renderer.compile_groups import compile_backends, compile_clients
from renderer.compile_telemetry import compile_telemetry
from renderer.errors import ConfigurationError, ConflictError, MissingValueError, NotAvailableError
from renderer.findings import Findings
from renderer.indexed_env import read_groups
from renderer.model import (
    Backend,
    Client,
    Engine,
    GatewayModel,
    Listeners,
    LogMode,
    RequestLog,
    Routing,
    Transport,
)
from renderer.names import (
    BACKENDS,
    CLIENTS,
    near_misses,
    strangers,
    unknown_names,
    without_service_links,
)
from renderer.planned import PLANNED, check_planned
from renderer.secrets import EnvSecretStore, SecretStore
from renderer.settings import Settings, read_settings

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

NO_TIMEOUT_MS = 86_400_000
PORT_FIELDS = ("gateway_port", "status_port", "control_port", "metrics_port")


@dataclass(frozen=True, slots=True)
class Compiled:
    """The model, and what the user should know about it although it works."""

    model: GatewayModel
    warnings: tuple[str, ...]


def load_model(
    env: Mapping[str, str],
    secrets: SecretStore | None = None,
    *,
    from_file: Collection[str] = (),
) -> Compiled:
    """Compile environment variables into the model.

    Args:
        env: the variables, usually the process environment with an env file on top.
        secrets: where keys are looked up that `env` does not have; default is `env` itself.
        from_file: names that an env file set; one that means nothing is a warning.

    Raises:
        ConfigurationError: with every wrong variable.

    """
    env = without_service_links(env)
    store = secrets or EnvSecretStore(env)
    settings, setting_problems = read_settings(env)
    outside = {name: text for name, text in env.items() if name not in from_file}
    warnings = [*near_misses(outside), *strangers(from_file)]
    found = Findings(warnings=warnings, problems=[*unknown_names(env), *setting_problems])
    for name, planned in PLANNED.items():
        found.add(check_planned(name, env.get(name, ""), planned))
    backend_groups, unknown_backends = read_groups(env, BACKENDS)
    client_groups, unknown_clients = read_groups(env, CLIENTS)
    found.problems += [*unknown_backends, *unknown_clients]
    backends = compile_backends(backend_groups, settings, store, found)
    clients = compile_clients(client_groups, settings, store, found)
    _check_entrance(env, settings, bool(backend_groups), bool(clients or client_groups), found)
    _check_routing(settings, found)
    _check_ports(settings, found)
    model = _assemble(settings, backends, clients, found)
    if found.problems:
        raise ConfigurationError(found.problems)
    return Compiled(model, tuple(found.warnings))


def _assemble(
    settings: Settings,
    backends: tuple[Backend, ...],
    clients: tuple[Client, ...],
    found: Findings,
) -> GatewayModel:
    return GatewayModel(
        backends=backends,
        clients=clients,
        require_auth=settings.gateway_require_auth,
        routing=_routing(settings),
        transport=_transport(settings),
        listeners=_listeners(settings),
        engine=Engine(
            workers=settings.gateway_workers,
            log_level=settings.apisix_log_level,
            drain_seconds=settings.drain_seconds,
            metrics_refresh_seconds=settings.metrics_refresh_seconds,
            lua_path=settings.gateway_lua_path,
        ),
        request_log=RequestLog(
            mode=LogMode(settings.gateway_log_mode),
            path=settings.apisix_logs_path,
            summaries=settings.ai_proxy_log_summaries,
            debug_headers=settings.gateway_debug_headers,
        ),
        telemetry=compile_telemetry(settings, found),
    )


def _routing(settings: Settings) -> Routing:
    return Routing(
        algorithm=settings.lb_alg,
        hash_on=settings.lb_hash_on,
        hash_key=settings.lb_hash_key,
        fallback_strategy=settings.ai_proxy_fallback_strategy,
        max_attempts=settings.failover_max_attempts,
        failover_within_ms=settings.failover_within_ms,
    )


def _transport(settings: Settings) -> Transport:
    return Transport(
        connect_timeout_ms=_timeout_ms(settings.ai_proxy_connect_timeout),
        send_timeout_ms=_timeout_ms(settings.ai_proxy_send_timeout),
        read_timeout_ms=_timeout_ms(settings.ai_proxy_read_timeout),
        first_byte_timeout_ms=round(settings.ai_proxy_first_byte_timeout * 1000),
        max_request_body_bytes=settings.max_request_body_mb << 20,
        json_hold_bytes=settings.json_hold_kb << 10,
        stream_hold_bytes=settings.stream_hold_kb << 10,
        stream_hold_ms=settings.stream_hold_ms,
    )


def _listeners(settings: Settings) -> Listeners:
    return Listeners(
        gateway_port=settings.gateway_port,
        status_host=settings.status_host,
        status_port=settings.status_port,
        control_port=settings.control_port,
        metrics_host=settings.metrics_host,
        metrics_port=settings.metrics_port,
    )


def _timeout_ms(seconds: float) -> int:
    """Return milliseconds; 0 means no timeout, which sockets do not have, so it is a day."""
    return max(1, round(seconds * 1000)) if seconds else NO_TIMEOUT_MS


def _check_entrance(
    env: Mapping[str, str],
    settings: Settings,
    has_backends: bool,
    has_clients: bool,
    found: Findings,
) -> None:
    if not has_backends:
        own = "AZURE_OPENAI_ENDPOINT" in env
        extra = " (AZURE_OPENAI_ENDPOINT without an index is the SDK's own)" if own else ""
        found.add(
            MissingValueError(
                "AZURE_OPENAI_ENDPOINT_0",
                f"is not set, there is no backend{extra}; set it and AZURE_OPENAI_KEY_0",
            )
        )
    legacy_is_wrong = "GATEWAY_CLIENT_KEY" in {problem.variable for problem in found.problems}
    if not settings.gateway_require_auth:
        found.warnings.append(
            "GATEWAY_REQUIRE_AUTH: is off; whoever reaches the port uses your backends"
        )
    elif not has_clients and not legacy_is_wrong:
        found.add(
            MissingValueError(
                "GATEWAY_CLIENT_KEY_0",
                "is not set, nobody could call the gateway; set it and GATEWAY_CLIENT_NAME_0, "
                "or GATEWAY_REQUIRE_AUTH=false",
            )
        )


def _check_routing(settings: Settings, found: Findings) -> None:
    if settings.lb_alg == "latency":
        found.add(
            NotAvailableError(
                "LB_ALG", "latency routing: not available in this version; use roundrobin or chash"
            )
        )
    elif settings.lb_alg == "roundrobin" and settings.lb_hash_key:
        found.warnings.append("LB_HASH_KEY: has no effect while LB_ALG is roundrobin")
    elif settings.lb_alg == "chash" and settings.lb_hash_on != "consumer":
        if not settings.lb_hash_key:
            found.add(
                MissingValueError(
                    "LB_HASH_KEY", f"is not set; LB_HASH_ON={settings.lb_hash_on} needs a name"
                )
            )
    elif settings.lb_alg == "chash" and not settings.gateway_require_auth:
        found.warnings.append("LB_HASH_ON: hashes the consumer, but GATEWAY_REQUIRE_AUTH is off")


def _check_ports(settings: Settings, found: Findings) -> None:
    owner: dict[int, str] = {}
    for field in PORT_FIELDS:
        port = getattr(settings, field)
        if port in owner:
            found.add(ConflictError(field.upper(), f"is the port of {owner[port]} too; change one"))
        owner.setdefault(port, field.upper())
