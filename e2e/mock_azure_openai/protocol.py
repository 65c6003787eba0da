"""uvicorn's h11 protocol with what a mock needs besides.

That is: the raw request head, the socket, and word of a peer that left.
"""

from __future__ import annotations

import asyncio
import fcntl
import itertools
import socket
import struct
import termios
from typing import TYPE_CHECKING, Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    from uvicorn.config import Config
    from uvicorn.server import ServerState

_MAX_HEAD_BYTES = 1 << 20
_DRAIN_SECONDS = 5
_DRAIN_STEP_SECONDS = 0.001
_numbers = itertools.count(1)


class _RecordingH11(h11.Connection):
    """Keeps the last request head: uvicorn lower-cases names and drops it."""

    last_request: h11.Request

    def next_event(self) -> h11.Event | type[h11.NEED_DATA | h11.PAUSED]:
        found = super().next_event()
        if isinstance(found, h11.Request):
            self.last_request = found
        return found


class Connection(H11Protocol):
    """One connection; applications find it as `scope["state"]["connection"]`.

    `gone` is set as soon as the peer's FIN or RST is seen, or the transport is closed here. A peer
    that only half-closes counts as gone, as with most HTTP servers.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, {**app_state, "connection": self}, _loop)
        self.conn: h11.Connection = _RecordingH11(h11.SERVER, _MAX_HEAD_BYTES)
        self.number = next(_numbers)
        self.gone = asyncio.Event()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See asyncio.Protocol."""
        # asyncio does this only for sockets that were made with an explicit IPPROTO_TCP.
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        self.gone.set()
        super().connection_lost(exc)

    def eof_received(self) -> None:
        """See asyncio.Protocol; returning None makes asyncio close the transport."""
        self.gone.set()

    @property
    def is_answering(self) -> bool:
        """Whether a request came whose answer is not complete."""
        return self.cycle is not None and not self.cycle.response_complete

    @property
    def request(self) -> h11.Request:
        """The head of the request that is being served."""
        recorder = self.conn
        if not isinstance(recorder, _RecordingH11):
            raise TypeError("the connection's parser was replaced")
        return recorder.last_request

    async def write_raw(self, data: bytes) -> None:
        """Write past the HTTP parser; the connection can only be ended afterwards."""
        if self.flow.write_paused:
            await self.flow.drain()
        self.transport.write(data)

    async def end(self, *, reset: bool) -> None:
        """End the connection once the peer's kernel has what was written: by RST, else by FIN."""
        await self._acknowledged()
        if reset and not self.transport.is_closing():
            linger = struct.pack("ii", 1, 0)
            sock = self.transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.transport.abort()
        self.transport.close()
        await self.gone.wait()

    async def _acknowledged(self) -> None:
        """Wait until nothing is left to send: an RST throws away what the kernel still holds."""
        sock = self.transport.get_extra_info("socket")
        for _ in range(int(_DRAIN_SECONDS / _DRAIN_STEP_SECONDS)):
            if self.gone.is_set():
                return
            buffer = fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, b"\0\0\0\0")
            if not self.transport.get_write_buffer_size() and not struct.unpack("i", buffer)[0]:
                return
            await asyncio.sleep(_DRAIN_STEP_SECONDS)
