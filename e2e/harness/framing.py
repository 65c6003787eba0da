"""HTTP/1.1 responses taken apart as their bytes arrive; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

Head = tuple[int, str, list[tuple[str, str]], bytes]

_NO_BODY = (204, 304)


def parse_head(data: bytes) -> Head | None:
    """Return status, reason, headers and what follows; None while the head is not whole.

    Interim (1xx) heads are skipped. ValueError when the bytes are no HTTP/1.x response.
    """
    head, separator, rest = data.partition(b"\r\n\r\n")
    if not separator:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    version, _, status_and_reason = first.partition(" ")
    status, _, reason = status_and_reason.partition(" ")
    if not version.startswith("HTTP/1.") or not status.isdigit():
        raise ValueError(f"not an HTTP response: {first!r}")
    if status.startswith("1"):
        return parse_head(rest)
    pairs = [line.partition(":") for line in lines]
    return int(status), reason, [(name, value.strip()) for name, _, value in pairs], rest


class BodyReader:
    """Takes the transfer framing off a body.

    `until_close`: the body has neither a length nor chunks and ends with the connection.
    """

    def __init__(self, status: int, headers: Sequence[tuple[str, str]]) -> None:
        fields = {name.lower(): value for name, value in headers}
        self.body = bytearray()
        self.complete = False
        self._chunked = fields.get("transfer-encoding", "").lower() == "chunked"
        self._left: int | None = None
        self._buffer = bytearray()
        if status in _NO_BODY:
            self._left = 0
        elif not self._chunked and "content-length" in fields:
            self._left = int(fields["content-length"])
        self.until_close = not self._chunked and self._left is None
        self.complete = self._left == 0

    def feed(self, data: bytes) -> None:
        """Take the next bytes; those after the end of the body are ignored."""
        if self.complete:
            return
        if self._chunked:
            self._buffer += data
            while self._chunk():
                pass
            return
        if self._left is None:
            self.body += data
            return
        self.body += data[: self._left]
        self._left -= min(self._left, len(data))
        self.complete = self._left == 0

    def _chunk(self) -> bool:
        """Take what is there of a chunk; whether to go on."""
        if self._left:
            part = self._buffer[: self._left]
            self.body += part
            del self._buffer[: len(part)]
            self._left -= len(part)
            return bool(part)
        line, separator, _ = self._buffer.partition(b"\r\n")
        if not separator:
            return False
        if self._left == 0 and not line:
            del self._buffer[:2]
            self._left = None
            return True
        size = int(line.split(b";")[0], 16)
        if size == 0:
            # No trailers are expected: the end is the empty line after the last chunk.
            self.complete = self._buffer.startswith(line + b"\r\n\r\n")
            return False
        del self._buffer[: len(line) + 2]
        self._left = size
        return True
