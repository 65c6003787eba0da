"""Whether the ports of a configuration are free, and which variable to change when not."""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING

from runtime.errors import PortInUseError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from runtime.lite_config import Listener


def check_free(listeners: Iterable[Listener], ours: Collection[Listener] = ()) -> None:
    """Try to bind every address that is not in `ours`.

    nginx itself tries for seconds, and then names an address but no variable.

    Raises:
        PortInUseError: an address is taken or cannot be used; the message names its variable.
    """
    for listener in listeners:
        if listener not in ours:
            _try(listener)


def _try(listener: Listener) -> None:
    family = socket.AF_INET6 if listener.host.startswith("[") else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        try:
            probe.bind((listener.host.strip("[]"), listener.port))
            probe.listen(1)
        except OSError as error:
            reason = "is in use" if error.errno == errno.EADDRINUSE else error.strerror
            raise PortInUseError(
                f"{listener.variable}: {listener.host}:{listener.port} {reason}"
            ) from None
