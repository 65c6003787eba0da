"""The life of `gateway up`: render, start, wait until ready, follow changes, drain, end."""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from renderer.errors import RendererError
from runtime.errors import EngineDiedError, EngineStartError, GatewayError
from runtime.rendered import current_target, read_set

if TYPE_CHECKING:
    from types import FrameType

    from runtime.engine import Engine
    from runtime.workdir import Workdir

TICK_SECONDS = 0.25
READY_TICK_SECONDS = 0.03
READY_SECONDS = 30.0
KILL_AFTER_SECONDS = 5.0
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)

Render = Callable[[], tuple[str, ...]]


class Signals:
    """Signals as something to ask about and to wait for; must be made in the main thread."""

    def __init__(self) -> None:
        self.stop = 0
        self.reload = False
        self._read, write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(write, False)
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        for number in (*STOP_SIGNALS, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(number, self._note)

    def wait(self, seconds: float) -> None:
        """Sleep until a signal comes or the time is over."""
        select.select([self._read], [], [], seconds)
        try:
            while os.read(self._read, 512):
                pass
        except BlockingIOError:
            return

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if number in STOP_SIGNALS:
            self.stop += 1
        elif number == signal.SIGHUP:
            self.reload = True


class Gateway:
    """One run of `gateway up`.

    Args:
        engine: what serves.
        workdir: where the rendered set is.
        render: publishes a set into the work directory and returns warnings.
    """

    def __init__(self, engine: Engine, workdir: Workdir, render: Render) -> None:
        self._engine = engine
        self._workdir = workdir
        self._render = render
        self._signals = Signals()
        self._target: str | None = None
        self._refused: str | None = None
        self._pending: str | None = None

    def run(self) -> None:
        """Serve until a signal says stop.

        Raises:
            RendererError, GatewayError: it cannot start, or the engine ended by itself.
        """
        for warning in self._render():
            say(f"warning: {warning}")
        self._target = current_target(self._workdir.rendered)
        self._engine.start(read_set(self._workdir.rendered))
        try:
            if self._wait_ready():
                print(f"gateway ready on {self._engine.summary()}", flush=True)  # noqa: T201
            while not self._signals.stop:
                self._signals.wait(TICK_SECONDS)
                self._tick()
        except BaseException:
            self._engine.kill()
            raise
        self._drain()

    def _wait_ready(self) -> bool:
        deadline = time.monotonic() + READY_SECONDS
        while not self._signals.stop:
            if self._engine.exit_code() is not None:
                raise EngineStartError(f"the engine did not start: {self._engine.start_problem()}")
            if self._engine.ready():
                return True
            if time.monotonic() > deadline:
                self._show_news()
                raise EngineStartError(f"not ready within {READY_SECONDS:.0f} s")
            self._signals.wait(READY_TICK_SECONDS)
        return False

    def _tick(self) -> None:
        self._show_news()
        code = self._engine.exit_code()
        if code is not None and not self._signals.stop:
            raise EngineDiedError(f"the engine ended by itself (exit code {code})")
        if self._signals.reload:
            self._signals.reload = False
            self._render_again()
        target = current_target(self._workdir.rendered)
        if target is not None and target not in (self._target, self._refused):
            self._apply(target)
        if self._pending and self._engine.ready():
            say(f"configuration {self._pending} is in use")
            self._pending = None

    def _render_again(self) -> None:
        # what stood in the way of a set that was refused may be gone
        self._refused = None
        try:
            for warning in self._render():
                say(f"warning: {warning}")
        except (RendererError, GatewayError) as error:
            say(f"not applied, the old configuration stays: {error}")

    def _apply(self, target: str) -> None:
        try:
            rendered = read_set(self._workdir.rendered)
            self._engine.apply(rendered)
        except GatewayError as error:
            self._refused = target
            say(f"not applied, the old configuration stays: {error}")
        else:
            self._target, self._refused = target, None
            self._pending = rendered.digest[:12]

    def _drain(self) -> None:
        seconds = self._engine.drain_seconds()
        self._engine.stop()
        deadline = time.monotonic() + seconds + KILL_AFTER_SECONDS
        while self._engine.exit_code() is None:
            if self._signals.stop > 1 or time.monotonic() > deadline:
                self._engine.kill()
                break
            self._signals.wait(TICK_SECONDS)
            self._show_news()

    def _show_news(self) -> None:
        for line in self._engine.news():
            say(line)


def say(line: str) -> None:
    """Tell the operator one line, on stderr."""
    print(f"gateway: {line}", file=sys.stderr, flush=True)  # noqa: T201
