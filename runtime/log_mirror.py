"""Shows the lines of a log file that matter.

The file is followed instead of letting nginx write to our stderr: a reader that is slow there
would stop nginx's workers.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

IMPORTANT = re.compile(rb"^\S+ \S+ \[(error|crit|alert|emerg)\] ")
# nginx adds the request line, query included, and clients put secrets into queries
REQUEST = re.compile(rb', request: "[^"]*"')
MAX_LINES = 20
MAX_BYTES = 1 << 20


class LogMirror:
    """Follows one file from its present end."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = _size(path)
        self._rest = b""

    def lines(self) -> list[str]:
        """Return the important lines since the last call, at most MAX_LINES."""
        size = _size(self._path)
        if size < self._offset:
            self._offset = 0
        if size == self._offset:
            return []
        with self._path.open("rb") as stream:
            stream.seek(self._offset)
            data = self._rest + stream.read(MAX_BYTES)
            self._offset = stream.tell()
        complete, _, self._rest = data.rpartition(b"\n")
        found = [line for line in complete.split(b"\n") if IMPORTANT.match(line)]
        shown = [REQUEST.sub(b"", line).decode(errors="replace") for line in found[:MAX_LINES]]
        if len(found) > MAX_LINES:
            shown.append(f"... and {len(found) - MAX_LINES} more in {self._path}")
        return shown


def _size(path: Path) -> int:
    try:
        return os.stat(path).st_size  # noqa: PTH116
    except OSError:
        return 0
