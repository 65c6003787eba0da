"""What /proc tells about nginx processes; on a system without it, nothing."""

from __future__ import annotations

import os
from pathlib import Path

PROC = Path("/proc")
SERVING = b"nginx: worker process"


def serving_workers(master: int) -> frozenset[int]:
    """Return the workers of an nginx master that take new connections."""
    try:
        children = (PROC / f"{master}/task/{master}/children").read_text().split()
    except OSError:
        return frozenset()
    # one that finishes its requests says "nginx: worker process is shutting down"
    return frozenset(int(pid) for pid in children if _command(int(pid)).strip() == SERVING)


def engine_of(folder: Path) -> int | None:
    """Return the nginx master that still runs from an instance's folder, None without one."""
    try:
        pid = int((folder / "logs/nginx.pid").read_text())
    except (OSError, ValueError):
        return None
    return pid if os.fsencode(folder) in _command(pid) else None


def _command(pid: int) -> bytes:
    try:
        return (PROC / f"{pid}/cmdline").read_bytes().replace(b"\0", b" ")
    except OSError:
        return b""
