"""The engines' processes: how they end, and what /proc tells about them.

On a system without /proc it tells nothing.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import subprocess

PR_SET_PDEATHSIG = 1
PROC = Path("/proc")
SERVING = b"nginx: worker process"


def die_with_parent() -> None:
    """Have the engine drain and end when `gateway up` is killed without a chance to say so.

    Runs in the child between fork and exec.
    """
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGQUIT)


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """End a master that leads a session of its own, and all its workers, now."""
    # the workers outlive a master that was killed, and keep its ports
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


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
