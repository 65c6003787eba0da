"""A real gateway for tests: started as a process, watched, and stopped by its pid."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import psutil

from . import environment, metrics
from .environment import PORTS, Backend, Client
from .ports import free_ports
from .raw import RawResponse, exchange

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType

    from .metrics import Metrics

_ROOT = Path(__file__).parents[2]
# The `gateway` command, which gets SIGTERM (PR_SET_PDEATHSIG, 1) when the test process is killed.
_GATEWAY = """
import ctypes, signal
from runtime.cli import main
ctypes.CDLL(None).prctl(1, signal.SIGTERM)
main()
"""
_PORT_TAKEN = re.compile(r":\d+ is in use|Address already in use", re.IGNORECASE)
_START_SECONDS = 60.0
_STOP_SECONDS = 30.0
_STEP_SECONDS = 0.05
_START_TRIES = 3
_LOG_TAIL = 4000


class GatewayError(RuntimeError):
    """The gateway did not do what the harness asked for; the text ends with its log."""


class Gateway:
    """One gateway; start it with `with`, or `start` and `stop`.

    `backends` in order of their index; `env` adds settings or, with None, takes one away.
    """

    def __init__(
        self,
        *,
        backends: Sequence[Backend],
        clients: Sequence[Client] = (Client(),),
        env: Mapping[str, Any] | None = None,
        runtime: str = "lite",
    ) -> None:
        self.runtime = runtime
        self.clients = tuple(clients)
        self.variables = environment.variables(backends, clients, env or {})
        self._folder = tempfile.TemporaryDirectory(prefix="gateway-e2e-")
        self.folder = Path(self._folder.name)
        # workers that are not root have to get through to what is theirs below
        self.folder.chmod(0o711)
        self.workdir = self.folder / "work"
        self._log = self.folder / "gateway.log"
        self._env_file = self.folder / "gateway.env"
        self._process: subprocess.Popen[bytes] | None = None
        self._ports: dict[str, int] = {}

    @property
    def url(self) -> str:
        """Where clients connect: `http://127.0.0.1:<GATEWAY_PORT>`."""
        return self._at("GATEWAY_PORT")

    @property
    def status_url(self) -> str:
        """Where `/status` and `/status/ready` are."""
        return self._at("STATUS_PORT")

    @property
    def control_url(self) -> str:
        """Where the control listener is."""
        return self._at("CONTROL_PORT")

    @property
    def metrics_url(self) -> str:
        """Where the Prometheus text is."""
        return self._at("METRICS_PORT")

    @property
    def key(self) -> str:
        """The first client's key; empty without clients."""
        return self.clients[0].secret if self.clients else ""

    @property
    def pid(self) -> int:
        """The pid of `gateway up`."""
        return self._running().pid

    def start(self) -> Self:
        """Start and wait until it is ready; GatewayError, with the log, when it is not."""
        for attempt in range(_START_TRIES):
            self._launch()
            try:
                self._wait_ready()
            except GatewayError as error:
                self._kill()
                if attempt + 1 == _START_TRIES or not _PORT_TAKEN.search(str(error)):
                    raise
            else:
                return self
        raise AssertionError("unreachable")

    def stop(self) -> int:
        """Drain with SIGTERM and return the exit code; GatewayError when it does not stop."""
        process = self._running()
        process.send_signal(signal.SIGTERM)
        try:
            return process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            raise GatewayError(self._with_log("gateway up did not stop on SIGTERM")) from None
        finally:
            self._kill()

    def close(self) -> None:
        """Stop when it runs, and remove its files."""
        try:
            if self._process is not None and self._process.poll() is None:
                self.stop()
        finally:
            self._folder.cleanup()

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def request(
        self,
        method: str,
        target: str,
        *,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> RawResponse:
        """Send one request with the first client's key; a body that is not bytes is JSON."""
        sent = {"api-key": self.key, **(headers or {})}
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            sent = {"content-type": "application/json", **sent}
        return exchange(self.url, method, target, list(sent.items()), body)

    def metrics(self) -> Metrics:
        """Return the present samples (as old as METRICS_REFRESH_SECONDS, 1 s in tests)."""
        found = exchange(self.metrics_url, "GET", "/apisix/prometheus/metrics")
        if found.status != 200:
            raise GatewayError(self._with_log(f"the metrics endpoint answers {found.status}"))
        return metrics.parse(found.body.decode())

    def wait_for_metric(self, met: Callable[[Metrics], bool], timeout: float = 10) -> Metrics:
        """Wait until the metrics meet a condition; GatewayError with the samples else."""
        found = self.metrics()
        deadline = time.monotonic() + timeout
        while not met(found):
            if time.monotonic() > deadline:
                samples = "\n".join(
                    f"{n} {dict(ls)} {v}" for (n, ls), v in sorted(found.items(), key=str)
                )
                raise GatewayError(f"metrics not met within {timeout} s:\n{samples}")
            time.sleep(_STEP_SECONDS)
            found = self.metrics()
        return found

    def status(self) -> Any:
        """Return the JSON of `GET /status`."""
        return json.loads(exchange(self.status_url, "GET", "/status").body)

    def control(self, target: str) -> Any:
        """Return the JSON of a GET on the control listener, e.g. `/backends`."""
        return json.loads(exchange(self.control_url, "GET", target).body)

    def is_ready(self) -> bool:
        """Return whether `GET /status/ready` answers 200 now."""
        try:
            return exchange(self.status_url, "GET", "/status/ready", timeout=5).status == 200
        except OSError:
            return False

    def rerender(self, env: Mapping[str, Any], timeout: float = 15) -> None:
        """Change settings (None takes one away), SIGHUP, and wait until a new set is published.

        Workers take it up to a second later: wait for the behaviour that the test is about.
        """
        before = self._published()
        self.variables |= {name: str(value) for name, value in env.items()}
        for name in [name for name, value in env.items() if value is None]:
            del self.variables[name]
        self._write_env()
        self._running().send_signal(signal.SIGHUP)
        self._wait(lambda: self._published() != before, timeout, "no new set was published")

    def log_text(self) -> str:
        """Return everything that the process and its children wrote, log files included."""
        files = [self._log, *sorted(self.workdir.rglob("*.log"))]
        return "".join(path.read_text(errors="replace") for path in files if path.is_file())

    def worker_pids(self) -> list[int]:
        """Return the pids of the nginx workers that take requests."""
        children = psutil.Process(self.pid).children(recursive=True)
        found = [child.pid for child in children if _is_worker(child)]
        if not found:
            raise GatewayError(f"no nginx workers below `gateway up` on runtime {self.runtime}")
        return sorted(found)

    def _at(self, port: str) -> str:
        return f"http://127.0.0.1:{self._ports[port]}"

    def _launch(self) -> None:
        self._ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
        self._write_env()
        command = [sys.executable, "-c", _GATEWAY, "up", "--env-file", str(self._env_file)]
        command += ["--runtime", self.runtime, "--workdir", str(self.workdir)]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd=_ROOT,
                env=environment.inherited(os.environ),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _write_env(self) -> None:
        ports = {name: str(port) for name, port in self._ports.items()}
        text = environment.env_file({**ports, **self.variables})
        self._env_file.touch(mode=0o600)
        self._env_file.write_text(text, encoding="utf-8")

    def _wait_ready(self) -> None:
        process = self._running()

        def ready_or_dead() -> bool:
            # APISIX calls itself ready when it has read its files, not when routes are live
            said = b"gateway ready" in self._log.read_bytes()
            return process.poll() is not None or (said and self.is_ready())

        self._wait(ready_or_dead, _START_SECONDS, "not ready")
        if process.poll() is not None:
            raise GatewayError(self._with_log(f"gateway up ended with {process.returncode}"))

    def _wait(self, met: Callable[[], bool], timeout: float, message: str) -> None:
        deadline = time.monotonic() + timeout
        while not met():
            if time.monotonic() > deadline:
                raise GatewayError(self._with_log(f"{message} within {timeout} s"))
            time.sleep(_STEP_SECONDS)

    def _published(self) -> str:
        # nothing is searched for: old sets are removed while this looks
        return str((self.workdir / "rendered/.current").readlink())

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise GatewayError("the gateway was not started")
        return self._process

    def _kill(self) -> None:
        """End whatever is left of the process and the children in its session."""
        process = self._running()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(_STOP_SECONDS)

    def _with_log(self, message: str) -> str:
        return f"{message}; log:\n{self.log_text()[-_LOG_TAIL:]}"


def _is_worker(process: psutil.Process) -> bool:
    try:
        return process.cmdline()[:1] == ["nginx: worker process"]
    except psutil.Error:
        return False
