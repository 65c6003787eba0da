"""`gateway status`: what a running gateway says about its backends."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from runtime import probe
from runtime.errors import NotRunningError

if TYPE_CHECKING:
    from collections.abc import Mapping

OK = 200
COLUMNS = (
    "name", "priority", "weight", "mode", "state", "in_flight", "attempts", "failures",
    "last_status", "region", "capacity",
)  # fmt: skip


def control_url(env: Mapping[str, str]) -> str:
    """Return the control listener of a gateway on this machine."""
    return f"http://127.0.0.1:{env.get('CONTROL_PORT', '9090')}"


def status_url(env: Mapping[str, str]) -> str:
    """Return the status listener of a gateway on this machine."""
    return f"http://127.0.0.1:{env.get('STATUS_PORT', '7085')}"


def ask(control: str, readiness: str | None) -> dict[str, Any]:
    """Ask a gateway for its backends, and whether it is ready (None when that cannot be told).

    Args:
        control: its control listener.
        readiness: its status listener; None when only the control listener is known.

    Raises:
        NotRunningError: nobody answers at `control`, or something else than a gateway does.
    """
    reply = probe.get(control, "/backends")
    if reply is None:
        raise NotRunningError(f"no gateway answers at {control}: is it running? (--url)")
    try:
        found = json.loads(reply.body)
    except ValueError:
        found = None
    if reply.status != OK or not isinstance(found, dict) or "backends" not in found:
        raise NotRunningError(f"{control}/backends does not answer like a gateway ({reply.status})")
    ready = probe.get(readiness, "/status/ready") if readiness else None
    return {**found, "ready": None if ready is None else ready.status == OK}


def show(found: Mapping[str, Any], console: Console | None = None) -> None:
    """Print what `ask` returned; fields that a gateway does not send stay empty."""
    console = console or Console()
    backends = found["backends"] or []
    columns = [
        name for name in COLUMNS if any(backend.get(name) is not None for backend in backends)
    ]
    table = Table(title="backends")
    for name in columns:
        table.add_column(name.replace("_", " "), overflow="fold")
    for backend in backends:
        table.add_row(*(_text(backend.get(name)) for name in columns))
    console.print(table)
    words = {True: "ready", False: "not ready", None: "readiness unknown"}
    revision = str(found.get("revision") or "unknown")[:12]
    console.print(f"{words[found['ready']]}; configuration {revision}")


def _text(value: Any) -> str:
    return "" if value is None else str(value)
