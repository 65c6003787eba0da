"""Finds the container engine of this machine, quickly, and connects to it."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from runtime.errors import RuntimeNotAvailableError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from docker import DockerClient

HOST_VARIABLE = "DOCKER_HOST"
SYSTEM_SOCKET = Path("/var/run/docker.sock")
PING = b"GET /_ping HTTP/1.1\r\nHost: engine\r\nConnection: close\r\n\r\n"
PING_SECONDS = 1.0
# reading an answer of the engine; a pull sends progress all the time
CALL_SECONDS = 60


def addresses(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return where an engine may listen: what DOCKER_HOST says, else the usual sockets."""
    if environ.get(HOST_VARIABLE):
        return (environ[HOST_VARIABLE],)
    places = [SYSTEM_SOCKET]
    if environ.get("XDG_RUNTIME_DIR"):
        places.append(Path(environ["XDG_RUNTIME_DIR"]) / "docker.sock")
    if environ.get("HOME"):
        places.append(Path(environ["HOME"]) / ".docker/run/docker.sock")
    return tuple(f"unix://{path}" for path in places)


def answering(environ: Mapping[str, str]) -> str | None:
    """Return the address of an engine on this machine that answers, None without one."""
    return next((address for address in addresses(environ) if _answers(address)), None)


def connect(environ: Mapping[str, str]) -> DockerClient:
    """Connect to the engine of this machine.

    Raises:
        RuntimeNotAvailableError: none answers, or it is on another machine.
    """
    known = addresses(environ)
    for address in known:
        if not address.startswith("unix://"):
            raise RuntimeNotAvailableError(
                f"{HOST_VARIABLE}={_without_user(address)} is not an engine of this machine: its "
                "containers cannot read files here; use a unix:// socket or another --runtime"
            )
    found = answering(environ)
    if found is None:
        raise RuntimeNotAvailableError(
            f"no container engine answers at {' or '.join(known)}: start one, or use --runtime lite"
        )
    try:
        from docker import DockerClient  # noqa: PLC0415 -- slow to load, and rarely needed
    except ImportError:
        raise RuntimeNotAvailableError(
            "runtime docker needs the Python package docker: run `make install`"
        ) from None
    return DockerClient(base_url=found, timeout=CALL_SECONDS)


def _answers(address: str) -> bool:
    if not address.startswith("unix://"):
        return False
    with socket.socket(socket.AF_UNIX) as engine:
        engine.settimeout(PING_SECONDS)
        try:
            engine.connect(os.fspath(address.removeprefix("unix://")))
            engine.sendall(PING)
            return engine.recv(64).startswith(b"HTTP/1.1 200")
        except OSError:
            return False


def _without_user(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
