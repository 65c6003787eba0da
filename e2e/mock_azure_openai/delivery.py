"""Sends an answer over the wire with the faults that the action asks for."""

from __future__ import annotations

import asyncio
import http
import itertools
from typing import TYPE_CHECKING

from .journal import Ended, Entry, Journal, Recorder
from .script import Action, At
from .usage import Usage

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from starlette.types import Send

    from .answer import Answer, Block
    from .protocol import Connection

_MAX_WRITE = 1 << 16


class Gate:
    """Where held answers wait; `release` lets go those that wait now, not later ones."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def release(self) -> None:
        """Let everything that is held go on."""
        self._event.set()
        self._event = asyncio.Event()

    @property
    def opened(self) -> asyncio.Event:
        """The event of the next release."""
        return self._event


class _Stop(Exception):  # noqa: N818 -- an ordinary way to end, not an error
    def __init__(self, ended: Ended) -> None:
        super().__init__(ended)
        self.ended = ended


class Delivery:
    """One answer on its way; `run` returns how it ended."""

    def __init__(
        self, entry: Entry, action: Action, *, connection: Connection, journal: Journal, gate: Gate
    ) -> None:
        self._entry = entry
        self._action = action
        self._connection = connection
        self._journal = journal
        self._gate = gate
        self._held = False
        self._raw = action.framing == "close"
        self.recorder = Recorder()

    async def run(self, answer: Answer, send: Send) -> Ended:
        """Send the answer, or as much of it as the action and the peer allow."""
        try:
            await self._before_headers()
            await self._head(answer, send)
            await self._stop_at("after_headers")
            for index, block in enumerate(answer.blocks):
                await self._block(index, block, send)
            await self._end(len(answer.blocks), send)
        except _Stop as stop:
            return stop.ended
        return "completed"

    async def _before_headers(self) -> None:
        await self._sleep(self._action.delay_ms)
        if self._action.hold_before_headers:
            await self._hold()
        if self._action.hang:
            await self._connection.gone.wait()
        self._check_peer()
        await self._stop_at("before_headers")

    async def _head(self, answer: Answer, send: Send) -> None:
        headers = _flatten(answer)
        framing = self._action.framing
        if framing == "length" or (framing == "auto" and not answer.stream):
            size = sum(len(block.data) for block in answer.blocks)
            headers.append((b"content-length", str(size).encode()))
        if self._raw:
            phrase = http.HTTPStatus(answer.status).phrase.encode()
            lines = [b"HTTP/1.1 %d %s" % (answer.status, phrase)]
            lines += [b"%s: %s" % pair for pair in headers]
            head = b"\r\n".join([*lines, b"connection: close", b"", b""])
            await self._connection.write_raw(head)
        else:
            start = {"type": "http.response.start", "status": answer.status, "headers": headers}
            await send(start)
        self._check_peer()
        self._journal.update(self._entry, status=answer.status, state="answering")

    async def _block(self, index: int, block: Block, send: Send) -> None:
        if index == self._action.hold_after_events:
            await self._hold()
        if block.paced:
            await self._sleep(self._action.delta_delay_ms)
        for piece in _cut(block.data, self._entry.bytes_sent, self._marks(), self._every()):
            await self._at_offset()
            await self._write(piece, send)
        if block.usage is not None:
            self._entry.usage = _sum(self._entry.usage, block.usage)

    async def _at_offset(self) -> None:
        """Do what the action wants before the next byte."""
        offset, action = self._entry.bytes_sent, self._action
        if offset == action.hold_after_bytes:
            await self._hold()
        for point, name in ((action.reset, "reset"), (action.close, "close")):
            if isinstance(point, At) and point.at_byte == offset:
                await self._stop(reset=name == "reset")
        if action.split and offset and self._is_split(offset):
            await self._sleep(action.split.pause_ms)

    async def _write(self, piece: bytes, send: Send) -> None:
        if self._raw:
            await self._connection.write_raw(piece)
        else:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        self._check_peer()
        self.recorder.add(piece)
        self._entry.bytes_sent += len(piece)

    async def _end(self, blocks: int, send: Send) -> None:
        """Points beyond the body are its end: do them before the message is complete."""
        action = self._action
        after = action.hold_after_events
        if action.hold_after_bytes is not None or (after is not None and after >= blocks):
            await self._hold()
        for point, name in ((action.reset, "reset"), (action.close, "close")):
            if isinstance(point, At):
                await self._stop(reset=name == "reset")
        if self._raw:
            await self._connection.end(reset=False)
        else:
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _stop_at(self, place: str) -> None:
        if self._action.reset == place:
            await self._stop(reset=True)
        if self._action.close == place:
            await self._stop(reset=False)

    async def _stop(self, *, reset: bool) -> None:
        await self._connection.end(reset=reset)
        raise _Stop("reset" if reset else "close")

    async def _hold(self) -> None:
        """Wait for the release, once an answer."""
        if self._held:
            return
        self._held = True
        before = self._entry.state
        opened = self._gate.opened
        self._journal.update(self._entry, state="holding")
        await _first(opened, self._connection.gone)
        self._check_peer()
        self._journal.update(self._entry, state=before)

    async def _sleep(self, milliseconds: float) -> None:
        if milliseconds > 0:
            try:
                await asyncio.wait_for(self._connection.gone.wait(), milliseconds / 1000)
            except TimeoutError:
                return
        self._check_peer()

    def _check_peer(self) -> None:
        if self._connection.gone.is_set():
            raise _Stop("client_gone")

    def _is_split(self, offset: int) -> bool:
        split = self._action.split
        if split is None:
            return False
        return offset in split.split_at or (
            split.split_every > 0 and not offset % split.split_every
        )

    def _every(self) -> int:
        return self._action.split.split_every if self._action.split else 0

    def _marks(self) -> set[int]:
        action = self._action
        marks = set(action.split.split_at) if action.split else set()
        marks |= {p.at_byte for p in (action.reset, action.close) if isinstance(p, At)}
        return marks | ({action.hold_after_bytes} if action.hold_after_bytes else set())


def _cut(data: bytes, start: int, marks: set[int], every: int) -> Iterator[bytes]:
    """Return the pieces between the boundaries; `start` is the offset of `data` in the body."""
    end = start + len(data)
    inner = {mark for mark in marks if start < mark < end}
    if every:
        inner |= set(range((start // every + 1) * every, end, every))
    inner |= set(range(start + _MAX_WRITE, end, _MAX_WRITE))
    bounds = [start, *sorted(inner), end]
    for left, right in itertools.pairwise(bounds):
        if right > left:
            yield data[left - start : right - start]


def _flatten(answer: Answer) -> list[tuple[bytes, bytes]]:
    pairs: list[tuple[bytes, bytes]] = []
    for name, value in answer.headers.items():
        values: Sequence[str] = [value] if isinstance(value, str) else value
        pairs += [(name.encode("latin-1"), item.encode("latin-1")) for item in values]
    return pairs


def _sum(before: Usage | None, now: Usage) -> Usage:
    if before is None:
        return now
    old, new = before.as_dict(), now.as_dict()
    return Usage(**{kind: old[kind] + new[kind] for kind in new if kind != "total"})


async def _first(*events: asyncio.Event) -> None:
    tasks = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
