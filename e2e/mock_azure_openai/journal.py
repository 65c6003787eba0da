"""What the mock got and what it sent: the journal that tests wait on, and the sums.

Entries change on the server's event loop only, always under the lock; any thread may read and
wait. "Sent" means handed to the operating system, not read by the peer.
"""

from __future__ import annotations

import asyncio
import copy
import dataclasses
import hashlib
import json
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Literal

from .totals import Totals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from .usage import Usage

State = Literal["receiving", "received", "answering", "holding", "done"]
Ended = Literal["completed", "client_gone", "reset", "close", "shutdown"]

_KEEP_ENTRIES = 20_000
_KEEP_BODIES = 2_000
_KEEP_BODY_BYTES = 1 << 20


@dataclasses.dataclass(kw_only=True)
class Entry:
    """One request. Times are epoch seconds; bodies are None from 1 MiB on (digests remain).

    `rule` is the index of the script's rule, None for the honest answer. `status` is None until
    headers were sent. `usage` is what the peer could read of usage in what was sent whole.
    """

    seq: int
    connection: int
    method: str
    target: str
    path: str
    query: list[tuple[str, str]]
    headers: list[tuple[str, str]]
    started_at: float
    state: State = "receiving"
    body_bytes: int = 0
    body_sha256: str = ""
    body: bytes | None = None
    deployment: str | None = None
    stream: bool = False
    rule: int | None = None
    status: int | None = None
    bytes_sent: int = 0
    sent_sha256: str = ""
    sent: bytes | None = None
    usage: Usage | None = None
    ended: Ended | None = None
    finished_at: float | None = None

    @property
    def client_gone(self) -> bool:
        """Whether the peer left before the answer was complete."""
        return self.ended == "client_gone"

    @property
    def completed(self) -> bool:
        """Whether the whole answer was sent."""
        return self.ended == "completed"

    def header(self, name: str) -> list[str]:
        """All values of a request header, in order."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def json(self) -> Any:
        """Return the request body as JSON; ValueError when it is none or was too large to keep."""
        if self.body is None:
            raise ValueError(f"request {self.seq}: the body was not kept")
        return json.loads(self.body)


class Recorder:
    """Size, digest and, below 1 MiB, content of a body that comes in pieces."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self._kept: bytearray | None = bytearray()
        self.size = 0

    def add(self, data: bytes) -> None:
        """Take the next piece."""
        self.size += len(data)
        self._digest.update(data)
        if self._kept is not None:
            self._kept += data
            if self.size >= _KEEP_BODY_BYTES:
                self._kept = None

    def result(self) -> tuple[str, bytes | None]:
        """Return the digest in hex and the content, None when it was too large."""
        return self._digest.hexdigest(), None if self._kept is None else bytes(self._kept)


class Journal:
    """All requests since the last reset, newest last."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._loop_waiters: set[asyncio.Event] = set()
        self._entries: deque[Entry] = deque(maxlen=_KEEP_ENTRIES)
        self._current: set[int] = set()
        self._next = 1
        self._in_flight = 0
        self._totals = Totals()

    def open(self, **head: Any) -> Entry:
        """Begin an entry from a request head."""
        with self._changed:
            entry = Entry(seq=self._next, started_at=self._clock(), **head)
            self._next += 1
            self._entries.append(entry)
            self._current.add(id(entry))
            if len(self._entries) > _KEEP_BODIES:
                old = self._entries[-_KEEP_BODIES - 1]
                old.body = old.sent = None
            self._in_flight += 1
            self._totals.in_flight(self._in_flight)
            return entry

    def update(self, entry: Entry, **fields: Any) -> None:
        """Change an entry and wake those who wait."""
        with self._changed:
            for name, value in fields.items():
                setattr(entry, name, value)
            self._wake()

    def finish(self, entry: Entry, ended: Ended, sent: Recorder) -> None:
        """End an entry and add it to the sums."""
        with self._changed:
            entry.sent_sha256, entry.sent = sent.result()
            entry.ended, entry.state, entry.finished_at = ended, "done", self._clock()
            self._in_flight -= 1
            if id(entry) in self._current:
                self._current.discard(id(entry))
                self._totals.add(entry.status, ended, entry.deployment, entry.usage)
            self._totals.in_flight(self._in_flight)
            self._wake()

    def clear(self) -> None:
        """Forget entries and sums; requests still in flight are counted in neither."""
        with self._changed:
            self._entries.clear()
            self._current.clear()
            self._next = 1
            self._totals = Totals()
            self._totals.in_flight(self._in_flight)
            self._wake()

    def entries(self) -> list[Entry]:
        """Return copies of all entries."""
        with self._changed:
            return [copy.copy(entry) for entry in self._entries]

    def totals(self) -> dict[str, Any]:
        """Return the sums as JSON data; see the README."""
        with self._changed:
            return self._totals.as_dict()

    def wait_until(self, met: Callable[[Sequence[Entry]], bool], timeout: float) -> list[Entry]:
        """Block the calling thread until the entries meet a condition; TimeoutError else."""
        with self._changed:
            if not self._changed.wait_for(lambda: met(self._entries), timeout):
                states = ", ".join(describe(self._entries)) or "none"
                raise TimeoutError(f"not met within {timeout} s; requests: {states}")
            return [copy.copy(entry) for entry in self._entries]

    async def wait_on_loop(self, met: Callable[[Sequence[Entry]], bool], seconds: float) -> None:
        """Wait on the server's loop until the condition is met or the time is over."""
        deadline = time.monotonic() + seconds
        event = asyncio.Event()
        self._loop_waiters.add(event)
        try:
            while not met(self._entries) and (left := deadline - time.monotonic()) > 0:
                event.clear()
                try:
                    await asyncio.wait_for(event.wait(), left)
                except TimeoutError:
                    return
        finally:
            self._loop_waiters.discard(event)

    def _wake(self) -> None:
        self._changed.notify_all()
        for event in self._loop_waiters:
            event.set()


def describe(entries: Iterable[Entry]) -> list[str]:
    """Return a few words for each entry, for messages of tests that waited in vain."""
    return [
        f"#{entry.seq} {entry.method} {entry.path} {entry.state} {entry.status} {entry.ended or ''}"
        for entry in entries
    ]
