"""What `gateway up` needs from a runtime, and the list of runtimes.

A runtime is one module with `create(workdir) -> Engine`; a new one is a line in `RUNTIMES`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from runtime import apisix, docker, lite

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.rendered import RenderedSet
    from runtime.workdir import Workdir


class Engine(Protocol):
    """A running gateway engine. Methods raise GatewayError with one line for the user."""

    def start(self, rendered: RenderedSet) -> None:
        """Start with a set; returns before it is ready."""

    def apply(self, rendered: RenderedSet) -> None:
        """Change to another set. When it raises, the old set stays in use."""

    def ready(self) -> bool:
        """Whether all of it serves the set that was started or applied last."""

    def exit_code(self) -> int | None:
        """Return None while it runs, else how it ended."""

    def stop(self) -> None:
        """Let open requests finish, then end; returns at once."""

    def kill(self) -> None:
        """End it now."""

    def news(self) -> list[str]:
        """Return lines that the operator should see, since the last call."""

    def start_problem(self) -> str:
        """Return why it did not start, as far as it said."""

    def summary(self) -> str:
        """Return one line with the addresses."""

    def drain_seconds(self) -> int:
        """Return how long open requests may take after `stop`."""


RUNTIMES: dict[str, Callable[[Workdir], Engine]] = {
    "docker": docker.create,
    "apisix": apisix.create,
    "lite": lite.create,
}
AUTO = "auto"


def engine_for(name: str, workdir: Workdir) -> Engine:
    """Return the engine of a runtime; `auto` takes the first that there is.

    Raises:
        GatewayError: this machine does not have it; one line says what is missing.
    """
    return RUNTIMES[chosen() if name == AUTO else name](workdir)


def chosen() -> str:
    """Return the runtime that `auto` stands for on this machine."""
    if docker.available():
        return "docker"
    return "apisix" if apisix.available() else "lite"
