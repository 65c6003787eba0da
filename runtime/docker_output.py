"""Follows what a container writes to stderr: the error log of the engine in it."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Any

from runtime.apisix_files import important
from runtime.log_mirror import MAX_LINES

if TYPE_CHECKING:
    from docker.models.containers import Container

TAIL_LINES = 200
UNREAD_LINES = 1000
LAST_WORDS_SECONDS = 2.0


class Output:
    """The last lines of a container, read by a thread of its own.

    A thread, because the engine hands out a log as one endless answer.
    """

    def __init__(self) -> None:
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._unread: deque[str] = deque(maxlen=UNREAD_LINES)
        self._thread: threading.Thread | None = None

    def follow(self, container: Container) -> None:
        """Start to read; ends with the container."""
        self._thread = threading.Thread(target=self._read, args=(container,), daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """Wait for the last lines of a container that has ended."""
        if self._thread is not None:
            self._thread.join(LAST_WORDS_SECONDS)

    def tail(self) -> list[str]:
        """Return the last lines."""
        return list(self._tail)

    def news(self) -> list[str]:
        """Return the important lines since the last call, at most MAX_LINES of them."""
        lines = important([self._unread.popleft() for _ in range(len(self._unread))])
        more = len(lines) - MAX_LINES
        return lines if more <= 0 else [*lines[:MAX_LINES], f"... and {more} more"]

    def _read(self, container: Container) -> None:
        rest = b""
        try:
            stream: Any = container.logs(stdout=False, stderr=True, stream=True, follow=True)
            for chunk in stream:
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    self._add(line)
        except Exception:  # noqa: BLE001 -- whatever ends the reading ends only the reading
            return
        finally:
            if rest:
                self._add(rest)

    def _add(self, line: bytes) -> None:
        text = line.decode(errors="replace")
        self._tail.append(text)
        self._unread.append(text)
