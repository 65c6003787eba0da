"""The gateway image's file system in a folder, with a local APISIX in the image's place.

What `gateway-entrypoint.sh` finds in the container it finds here below one root. APISIX comes from
`$APISIX_HOME/bin/apisix-run`. Started by root, everything runs as the image's user.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from e2e.harness import exchange, free_ports
from e2e.harness.environment import PORTS, inherited
from renderer.compile import load_model
from renderer.output import Owner, publish
from renderer.pipeline import render

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

UID = 636  # of the user `apisix` in the official image
REPOSITORY = Path(__file__).resolve().parents[1]
ENTRYPOINT = "gateway-entrypoint.sh"
HEALTH = "gateway-health.sh"
_STEP_SECONDS = 0.02
_STOP_SECONDS = 30.0


class LocalError(RuntimeError):
    """The container did not do what was asked; the text ends with its log."""


def runner(environ: Mapping[str, str]) -> Path | None:
    """Return the program that starts a local APISIX; None when there is none."""
    home = environ.get("APISIX_HOME")
    found = Path(home) / "bin/apisix-run" if home else None
    return found if found and os.access(found, os.X_OK) else None


class LocalContainer:
    """One replica: `render` is its init container, `start` its gateway container."""

    def __init__(self, settings: Mapping[str, str], **options: str) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="containerapp-"))
        self.root.chmod(0o755)
        self.shared = self.root / "shared-configs"
        self.prefix = self.root / "apisix"
        self.conf = self.prefix / "conf"
        self.log = self.root / "log"
        self.ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
        self.settings = dict(settings)
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        self._fill()

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"http://127.0.0.1:{self.ports['GATEWAY_PORT']}"

    @property
    def status_url(self) -> str:
        """Where probes ask."""
        return f"http://127.0.0.1:{self.ports['STATUS_PORT']}"

    @property
    def pid(self) -> int:
        """The pid of the container's first process."""
        return self._running().pid

    def render(self, out: Path | None = None, **changes: str) -> str:
        """Publish a set, readable from its first moment on; return what `.current` points to.

        `out`: another folder than the volume. `changes`: settings, kept for later sets.
        """
        self.settings |= changes
        files = render(load_model(self._renderer_environment()).model, str(self.root / "lua"))
        owner = Owner(UID, UID) if os.getuid() == 0 else None
        return publish(files, out or self.shared, owner).directory.name

    def render_by_command(self) -> None:
        """Publish a set with the renderer's own command, before the container is started."""
        program = Path(sys.executable).parent / "render-config"
        command = [str(program), "--out", str(self.shared), "--lua-path", str(self.root / "lua")]
        environment = {**inherited(os.environ), **self._renderer_environment()}
        subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)  # noqa: S603
        self._give(self.shared)

    def start(self, *command: str) -> Self:
        """Start the entrypoint; `command` starts the engine, by default the local APISIX."""
        program = runner(os.environ)
        if not command and program is None:
            raise LocalError("needs APISIX_HOME with bin/apisix-run")
        line = [str(self.root / ENTRYPOINT), *(command or (str(program), str(self.prefix)))]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603
                line,
                env={**inherited(os.environ), **self._environment()},
                cwd=self.root,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **self._user(),
            )
        return self

    def run(self, *command: str) -> tuple[int, list[str]]:
        """Start it and wait for its end; return the exit code and the lines that it wrote."""
        self.start(*command)
        return self.wait(), self.lines()

    def wait(self) -> int:
        """Wait for the container's end and return its exit code."""
        return self._running().wait(_STOP_SECONDS)

    def terminate(self) -> None:
        """Say SIGTERM to the container's first process, as Container Apps does."""
        self._running().send_signal(signal.SIGTERM)

    def lines(self) -> list[str]:
        """Return the entrypoint's own lines."""
        mark = "gateway-entrypoint: "
        text = self.log.read_text(errors="replace")
        return [line.removeprefix(mark) for line in text.splitlines() if line.startswith(mark)]

    def wait_until(self, met: Callable[[], bool], what: str, seconds: float = 30) -> None:
        """Wait for a condition; LocalError when it is not met or the container ends."""
        deadline = time.monotonic() + seconds
        while not met():
            ended = self._running().poll()
            if ended is not None or time.monotonic() > deadline:
                text = self.log.read_text(errors="replace")[-4000:]
                raise LocalError(
                    f"{what}: not within {seconds} s (exit code {ended}); log:\n{text}"
                )
            time.sleep(_STEP_SECONDS)

    def wait_ready(self) -> Self:
        """Wait until the readiness probe would pass."""
        self.wait_until(self.ready, "ready")
        return self

    def ready(self) -> bool:
        """Whether the readiness probe would pass."""
        try:
            return exchange(self.status_url, "GET", "/status/ready", timeout=5).status == 200  # noqa: PLR2004
        except OSError:
            return False

    def health(self) -> bool:
        """Whether the image's health check passes."""
        command = [str(self.root / HEALTH), str(self.ports["STATUS_PORT"])]
        return subprocess.run(command, check=False, capture_output=True).returncode == 0  # noqa: S603

    def close(self) -> None:
        """End what is left of it and remove its files."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(_STOP_SECONDS)
        shutil.rmtree(self.root)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _fill(self) -> None:
        shutil.copytree(REPOSITORY / "apisix/plugins", self.root / "lua/apisix/plugins")
        for name in (ENTRYPOINT, HEALTH):
            shutil.copy(REPOSITORY / "containerapp" / name, self.root / name)
        for folder in (self.shared, self.conf, self.prefix / "logs"):
            folder.mkdir(parents=True)
        self._give(self.shared)
        self._give(self.prefix)

    def _renderer_environment(self) -> dict[str, str]:
        return {**{name: str(port) for name, port in self.ports.items()}, **self.settings}

    def _environment(self) -> dict[str, str]:
        return {
            "RENDERED_DIR": str(self.shared),
            "APISIX_PREFIX": str(self.prefix),
            "STOP_DELAY_SECONDS": "0",
            "FOLLOW_SECONDS": "0.2",
            **self._options,
        }

    def _give(self, folder: Path) -> None:
        if os.getuid() == 0:
            for path in (folder, *folder.rglob("*")):
                os.chown(path, UID, UID, follow_symlinks=False)

    def _user(self) -> dict[str, Any]:
        return {"user": UID, "group": UID, "extra_groups": []} if os.getuid() == 0 else {}

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise LocalError("the container was not started")
        return self._process
