"""An independent reading of event streams, to hold the gateway's against."""

import json
import re
from dataclasses import dataclass

LINE = re.compile(rb"([^\r\n]*)(\r\n|\n|\r)")


@dataclass(frozen=True)
class Event:
    """One event: where its bytes are (`stop` is after the empty line) and its joined data."""

    start: int
    stop: int
    data: bytes | None


def events(stream: bytes) -> list[Event]:
    """Split a stream at its empty lines, line by line as the WHATWG format says."""
    found: list[Event] = []
    start, data = 0, list[bytes]()
    for line in LINE.finditer(stream):
        text = line[1]
        if text:
            if text.startswith(b"data:"):
                data.append(text[5:].removeprefix(b" "))
            continue
        found.append(Event(start, line.end(), b"\n".join(data) if data else None))
        start, data = line.end(), []
    return found


def boundaries(stream: bytes) -> list[int]:
    """List the lengths of beginnings of the stream that end with a complete event; 0 is one."""
    return [0, *(event.stop for event in events(stream))]


def bare_usage(stream: bytes) -> Event:
    """Find the chat event that carries the usage and no choice."""
    for event in events(stream):
        if event.data and event.data.startswith(b"{"):
            decoded = json.loads(event.data)
            if decoded.get("usage") and decoded.get("choices") == []:
                return event
    raise AssertionError("no bare usage event")


def without_usage(stream: bytes) -> bytes:
    """Give the stream minus exactly the bare usage event."""
    event = bare_usage(stream)
    return stream[: event.start] + stream[event.stop :]
