"""`gateway check`: what a configuration means, as plain data and as text. Never a secret."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from renderer.model import Backend, BackendMode, GatewayModel

if TYPE_CHECKING:
    from renderer.compile import Compiled

ORDER_OF_MODES = (BackendMode.ACTIVE, BackendMode.STANDBY, BackendMode.DRAIN)


def describe(compiled: Compiled) -> dict[str, Any]:
    """Return the meaning of a configuration.

    `groups` are backends in the order in which they are used: active ones by priority, then
    standby ones, then draining ones, which get nothing.
    """
    model = compiled.model
    return {
        "status": "ok",
        "groups": _groups(model.backends),
        "routing": {
            "algorithm": model.routing.algorithm,
            "max_attempts": model.routing.max_attempts or "every backend once",
            "failover_within_ms": model.routing.failover_within_ms,
        },
        "auth": {
            "required": model.require_auth,
            "clients": [
                {"name": client.name, "keys": len(client.keys)} for client in model.clients
            ],
        },
        "limits": _limits(model),
        "listeners": {
            "gateway": model.listeners.gateway_port,
            "status": f"{model.listeners.status_host}:{model.listeners.status_port}",
            "control": f"127.0.0.1:{model.listeners.control_port}",
            "metrics": f"{model.listeners.metrics_host}:{model.listeners.metrics_port}",
        },
        "warnings": list(compiled.warnings),
    }


def show(found: dict[str, Any], console: Console | None = None) -> None:
    """Print what `describe` returned."""
    console = console or Console()
    console.print(_backend_table(found["groups"]))
    routing, auth, limits = found["routing"], found["auth"], found["limits"]
    console.print(
        f"order: {routing['algorithm']}; attempts: {routing['max_attempts']}; "
        f"no retry of a failure later than {routing['failover_within_ms']} ms"
    )
    names = ", ".join(client["name"] for client in auth["clients"]) or "none"
    console.print(f"auth: {'required' if auth['required'] else 'off'}; clients: {names}")
    console.print("limits: " + "; ".join(f"{key} {value}" for key, value in limits.items()))
    console.print("ports: " + "; ".join(f"{k} {v}" for k, v in found["listeners"].items()))
    for warning in found["warnings"]:
        console.print(f"warning: {warning}")


def _limits(model: GatewayModel) -> dict[str, Any]:
    transport = model.transport
    return {
        "connect_timeout_ms": transport.connect_timeout_ms,
        "first_byte_timeout_ms": transport.first_byte_timeout_ms or "off",
        "read_timeout_ms": transport.read_timeout_ms,
        "max_request_body_bytes": transport.max_request_body_bytes or "off",
        "drain_seconds": model.engine.drain_seconds,
        "workers": model.engine.workers,
    }


def _groups(backends: tuple[Backend, ...]) -> list[dict[str, Any]]:
    groups = []
    for mode in ORDER_OF_MODES:
        of_mode = [backend for backend in backends if backend.mode is mode]
        for priority in sorted({backend.priority for backend in of_mode}, reverse=True):
            members = [_backend(b) for b in of_mode if b.priority == priority]
            groups.append({"mode": mode.value, "priority": priority, "backends": members})
    return groups


def _backend(backend: Backend) -> dict[str, Any]:
    return {
        "name": backend.name,
        "endpoint": backend.endpoint,
        "weight": backend.weight,
        "auth": backend.auth_mode.value,
        "region": backend.region,
        "capacity": backend.capacity,
        "deployments": list(backend.deployments) or "all",
        "deployment_map": dict(backend.deployment_map),
        "api_version": backend.api_version,
    }


def _backend_table(groups: list[dict[str, Any]]) -> Table:
    table = Table(title="backends in order of use")
    headings = ("priority", "mode", "name", "weight", "auth", "endpoint", "deployments", "map")
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for group in groups:
        for backend in group["backends"]:
            deployments = backend["deployments"]
            table.add_row(
                str(group["priority"]),
                group["mode"],
                backend["name"],
                str(backend["weight"]),
                backend["auth"],
                backend["endpoint"],
                deployments if isinstance(deployments, str) else ", ".join(deployments),
                ", ".join(f"{k}={v}" for k, v in backend["deployment_map"].items()),
            )
        table.add_section()
    return table
