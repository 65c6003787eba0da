"""HTTP/1.1 over a bare socket: exact bytes out, exact bytes in, as they arrive."""

from __future__ import annotations

import dataclasses
import socket
import struct
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from .framing import BodyReader, parse_head

if TYPE_CHECKING:
    from types import TracebackType

_READ_BYTES = 1 << 16

Pairs = Sequence[tuple[str, str]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class RawResponse:
    """A response. `body` is without transfer framing, `raw` is every byte that came.

    `complete`: the message ended as HTTP says it must (length reached, last chunk seen; without
    either, the connection was closed properly). `reset`: the connection ended with an RST.
    """

    status: int
    reason: str
    headers: list[tuple[str, str]]
    body: bytes
    raw: bytes
    complete: bool
    reset: bool

    def header(self, name: str) -> list[str]:
        """Return all values of a header, in order."""
        return [value for key, value in self.headers if key.lower() == name.lower()]


class RawConnection:
    """One TCP connection to `http://host:port`; reads raise TimeoutError after `timeout` s."""

    def __init__(self, url: str, *, timeout: float = 10) -> None:
        parts = urlsplit(url)
        self.host = parts.netloc
        self._socket = socket.create_connection((parts.hostname, parts.port), timeout)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._begin()

    def _begin(self) -> None:
        self._raw = bytearray()
        self._reader: BodyReader | None = None
        self._head: tuple[int, str, list[tuple[str, str]]] | None = None
        self._ended = self._reset = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def send(self, data: bytes) -> None:
        """Send exactly these bytes."""
        self._socket.sendall(data)

    def request(
        self, method: str, target: str, headers: Pairs = (), body: bytes | None = None
    ) -> None:
        """Send a request; `host` and `content-length` are added unless they are given."""
        self._begin()
        self.send(build_request(self.host, method, target, headers, body))

    def read_some(self) -> bytes:
        """Return the next bytes of the connection; empty when the peer ended it."""
        try:
            data = self._socket.recv(_READ_BYTES)
        except ConnectionResetError:
            self._reset, data = True, b""
        self._ended = not data
        self._raw += data
        if self._reader is not None:
            self._reader.feed(data)
        elif found := parse_head(bytes(self._raw)):
            status, reason, headers, rest = found
            self._head = (status, reason, headers)
            self._reader = BodyReader(status, headers)
            self._reader.feed(rest)
        return data

    def read_head(self) -> RawResponse:
        """Read until the head of the response is there (interim 1xx responses are skipped)."""
        return self._read_until(lambda: self._head is not None)

    def read_body(self, met: Callable[[bytes], bool]) -> bytes:
        """Read until the body so far meets a condition or ends; return the body so far."""
        return self._read_until(lambda: met(self._body())).body

    def read_response(self) -> RawResponse:
        """Read the whole response, or as much of it as comes before the connection ends."""
        return self._read_until(lambda: False)

    def wait_closed(self) -> bool:
        """Read until the peer ends the connection; return whether by RST."""
        while not self._ended:
            self.read_some()
        return self._reset

    def abort(self) -> None:
        """Leave with an RST."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    def close(self) -> None:
        """Leave with a FIN."""
        self._socket.close()

    def _body(self) -> bytes:
        return bytes(self._reader.body) if self._reader else b""

    def _read_until(self, met: Callable[[], bool]) -> RawResponse:
        while not self._ended and not met() and not (self._reader and self._reader.complete):
            self.read_some()
        if self._head is None:
            how = "reset" if self._reset else "closed"
            raise ConnectionError(f"{how} before a response head, after {len(self._raw)} bytes")
        status, reason, headers = self._head
        reader = self._reader
        by_close = reader is not None and reader.until_close and self._ended and not self._reset
        return RawResponse(
            status=status,
            reason=reason,
            headers=headers,
            body=self._body(),
            raw=bytes(self._raw),
            complete=by_close or (reader is not None and reader.complete),
            reset=self._reset,
        )


def build_request(
    host: str, method: str, target: str, headers: Pairs = (), body: bytes | None = None
) -> bytes:
    """Return the bytes of a request; `target` goes out as it is."""
    names = {name.lower() for name, _ in headers}
    lines = [f"{method} {target} HTTP/1.1"]
    if "host" not in names:
        lines.append(f"Host: {host}")
    lines += [f"{name}: {value}" for name, value in headers]
    if body is not None and not names & {"content-length", "transfer-encoding"}:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + (body or b"")


def exchange(
    url: str,
    method: str,
    target: str,
    headers: Pairs = (),
    body: bytes | None = None,
    *,
    timeout: float = 30,
) -> RawResponse:
    """Send one request on a connection of its own and return the response."""
    with RawConnection(url, timeout=timeout) as connection:
        connection.request(method, target, headers, body)
        return connection.read_response()
