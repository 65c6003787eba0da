"""Ports for processes that tests start."""

from __future__ import annotations

import contextlib
import random
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# Below Linux' ephemeral range: a port from it could be taken by any outgoing connection between
# the moment it is chosen and the moment the gateway listens on it.
_FIRST, _LAST = 20_000, 31_999
_TRIES = 200


def free_ports(count: int) -> list[int]:
    """Return `count` different loopback ports that nothing listens on right now."""
    found: list[int] = []
    for port in random.SystemRandom().sample(range(_FIRST, _LAST + 1), _TRIES):
        if _is_free(port):
            found.append(port)
        if len(found) == count:
            return found
    raise OSError(f"could not find {count} free ports between {_FIRST} and {_LAST}")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


@contextlib.contextmanager
def refusing_port() -> Iterator[int]:
    """Give a loopback port that refuses connections and that nobody else can take meanwhile."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]
