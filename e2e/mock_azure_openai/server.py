"""The mock as a Python object: its own uvicorn in a thread of its own."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Self

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount

from . import script_json
from .admin import Admin
from .delivery import Gate
from .journal import Entry, Journal
from .matching import RuleBook
from .protocol import Connection
from .script import Action, Rule, Script
from .surface import Core, Surface

if TYPE_CHECKING:
    from types import TracebackType

DEFAULT_KEY = "mock-key"
_START_SECONDS = 10.0
_STOP_SECONDS = 10.0
_BACKLOG = 2048

ScriptLike = Script | Rule | Action | dict[str, Any] | Sequence[Any] | None


class _Server(uvicorn.Server):
    """uvicorn that says when it listens and stops at once, open connections or not."""

    def __init__(self, config: uvicorn.Config, core: Core) -> None:
        super().__init__(config)
        self._core = core
        self._stop = asyncio.Event()
        self.listening = threading.Event()
        self.loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.loop = asyncio.get_running_loop()
        self.listening.set()

    async def main_loop(self) -> None:
        while not self._stop.is_set():
            await self.on_tick(0)
            try:
                await asyncio.wait_for(self._stop.wait(), 1)
            except TimeoutError:
                continue

    def stop(self) -> None:
        """End `main_loop`; on the loop's thread."""
        self._core.stopping = True
        self._stop.set()

    def cut_in_flight(self) -> None:
        """End the connections that have an answer under way; on the loop's thread."""
        for connection in list(self.server_state.connections):
            if isinstance(connection, Connection) and connection.is_answering:
                connection.transport.abort()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for sock in sockets or []:
            sock.close()
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        tasks = list(self.server_state.tasks)
        if tasks:
            await asyncio.wait(tasks, timeout=_STOP_SECONDS)


class MockAzureOpenAI:
    """A mock Azure OpenAI resource; start it with `with`, or `start` and `stop`.

    `api_keys` empty: no key is asked for. `deployments` None: every name exists. After `stop`, a
    `start` listens on the same port again. `clock` gives epoch seconds.
    """

    def __init__(  # noqa: PLR0913 -- one keyword for each thing that can be set
        self,
        *,
        name: str = "mock",
        script: ScriptLike = None,
        api_keys: Iterable[str] = (DEFAULT_KEY,),
        deployments: Iterable[str] | None = None,
        region: str = "East US",
        host: str = "127.0.0.1",
        port: int = 0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._core = Core(
            name=name,
            api_keys=tuple(api_keys),
            deployments=None if deployments is None else tuple(deployments),
            region=region,
            clock=clock,
            journal=Journal(clock),
            book=RuleBook(_as_script(script)),
        )
        self.host = host
        self.port = port
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def name(self) -> str:
        """The mock's name: part of the ids in its answers."""
        return self._core.name

    @property
    def key(self) -> str:
        """The first of the keys; empty when none is asked for."""
        return self._core.api_keys[0] if self._core.api_keys else ""

    @property
    def running(self) -> bool:
        """Whether it listens."""
        return self._server is not None

    @property
    def url(self) -> str:
        """`http://host:port`, no slash at the end; the port is known once it was started."""
        return f"http://{self.host}:{self.port}"

    def start(self) -> Self:
        """Listen, unless it does already; OSError when the port is taken."""
        if self.running:
            return self
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((self.host, self.port))
        except OSError:
            listener.close()
            raise
        self.port = listener.getsockname()[1]
        self._core.stopping = False
        self._core.gate = Gate()  # the old one belongs to the loop of the last run
        self._server = server = _Server(_config(self._core), self._core)
        self._thread = threading.Thread(
            target=server.run, args=([listener],), name=f"mock-{self.name}", daemon=True
        )
        self._thread.start()
        if not server.listening.wait(_START_SECONDS):
            raise TimeoutError(f"mock {self.name} did not start within {_START_SECONDS} s")
        return self

    def stop(self) -> None:
        """Cut all connections and stop listening; nothing when it does not run."""
        server, thread = self._server, self._thread
        if server is None or thread is None or server.loop is None:
            return
        server.loop.call_soon_threadsafe(server.stop)
        thread.join(_STOP_SECONDS)
        self._server = self._thread = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def script(self, script: ScriptLike) -> None:
        """Replace the script; counters start anew.

        Takes a Script, a Rule, an Action (for every request), a list of rules and actions, JSON
        data, or None (honest answers only).
        """
        book = RuleBook(_as_script(script))
        self._on_loop(lambda: setattr(self._core, "book", book))

    @property
    def journal(self) -> list[Entry]:
        """Copies of all requests since the last reset, oldest first."""
        return self._core.journal.entries()

    def wait_for(self, count: int, timeout: float = 10) -> list[Entry]:
        """Wait until `count` requests were received whole; TimeoutError else."""
        return self.wait_until(
            lambda all_: _count(all_, lambda e: e.state != "receiving") >= count, timeout
        )

    def wait_done(self, count: int, timeout: float = 10) -> list[Entry]:
        """Wait until `count` requests have ended, in whichever way."""
        return self.wait_until(
            lambda all_: _count(all_, lambda e: e.state == "done") >= count, timeout
        )

    def wait_held(self, count: int = 1, timeout: float = 10) -> list[Entry]:
        """Wait until `count` answers are held at a gate."""
        return self.wait_until(
            lambda all_: _count(all_, lambda e: e.state == "holding") >= count, timeout
        )

    def wait_gone(self, count: int = 1, timeout: float = 10) -> list[Entry]:
        """Wait until `count` requests were left by their peer."""
        return self.wait_until(lambda all_: _count(all_, lambda e: e.client_gone) >= count, timeout)

    def wait_until(
        self, met: Callable[[Sequence[Entry]], bool], timeout: float = 10
    ) -> list[Entry]:
        """Wait until the entries meet a condition (asked after each change of state)."""
        return self._core.journal.wait_until(met, timeout)

    def release(self) -> None:
        """Let all answers that are held now go on."""
        self._on_loop(self._core.gate.release)

    def totals(self) -> dict[str, Any]:
        """Return the sums since the last reset; see the README."""
        return self._core.journal.totals()

    def reset(self) -> None:
        """Forget script, journal and sums, and cut the answers that are under way."""
        self.script(None)
        if self._server is not None:
            self._on_loop(self._server.cut_in_flight)
        self._on_loop(self._core.journal.clear)

    def _on_loop(self, act: Callable[[], None]) -> None:
        """Run on the server's loop and wait for it; directly when there is none."""
        server = self._server
        if server is None or server.loop is None:
            act()
            return
        done = threading.Event()

        def run() -> None:
            act()
            done.set()

        server.loop.call_soon_threadsafe(run)
        if not done.wait(_STOP_SECONDS):
            raise TimeoutError(f"mock {self.name} does not react")


def _config(core: Core) -> uvicorn.Config:
    routes = [Mount("/_mock", routes=Admin(core).routes), Mount("", app=Surface(core))]
    return uvicorn.Config(
        Starlette(routes=routes),
        http=Connection,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="error",
        access_log=False,
        server_header=False,
        backlog=_BACKLOG,
        timeout_keep_alive=60,
    )


def _as_script(script: ScriptLike) -> Script:
    if script is None:
        return Script()
    if isinstance(script, Script):
        return script
    if isinstance(script, Rule | Action):
        return Script((_as_rule(script),))
    if isinstance(script, dict) or not all(isinstance(item, Rule | Action) for item in script):
        return script_json.parse(script, base=None)
    return Script(tuple(_as_rule(item) for item in script))


def _as_rule(item: Rule | Action) -> Rule:
    return Rule(action=item) if isinstance(item, Action) else item


def _count(entries: Sequence[Entry], fits: Callable[[Entry], bool]) -> int:
    return sum(1 for entry in entries if fits(entry))
