"""`apisix`: a private instance of a local Apache APISIX, as a child of `gateway up`.

`$APISIX_HOME/bin/apisix-run DIR` starts an instance in the foreground from DIR/conf with its logs
in DIR/logs. Routes change without touching the engine: APISIX reads a new apisix.yaml within a
second. A change of config.yaml needs a restart of the gateway and is refused.
"""

from __future__ import annotations

import ctypes
import json
import os
import pwd
import re
import signal
import stat
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from runtime import ports, probe
from runtime.errors import EngineStartError, RuntimeNotAvailableError, UnsupportedError
from runtime.lite_config import Listener
from runtime.log_mirror import LogMirror

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runtime.rendered import RenderedSet
    from runtime.workdir import Workdir

PR_SET_PDEATHSIG = 1
HOME_VARIABLE = "APISIX_HOME"
INSTANCE = "apisix"
# what Debian's nginx uses for workers that should own nothing
UNPRIVILEGED = ("nobody", "nogroup")
# APISIX reads it every second, and complains each time when its workers may not
DEBUG_YAML = """\
basic: {enable: false}
http_filter: {enable: false, enable_header_name: X-APISIX-Dynamic-Debug}
hook_conf: {enable: false, name: hook_phase, log_level: warn}
hook_phase: {}
#END
"""


def runner(environ: Mapping[str, str]) -> Path | None:
    """Return the program that starts an instance, None when there is none."""
    home = environ.get(HOME_VARIABLE)
    found = Path(home) / "bin/apisix-run" if home else None
    return found if found and os.access(found, os.X_OK) else None


def available() -> bool:
    """Whether this machine has what the runtime needs."""
    return runner(os.environ) is not None


def create(workdir: Workdir) -> Apisix:
    """Return the engine.

    Raises:
        RuntimeNotAvailableError: there is no local APISIX.
    """
    program = runner(os.environ)
    if program is None:
        raise RuntimeNotAvailableError(
            f"runtime apisix needs {HOME_VARIABLE} with bin/apisix-run, or use --runtime lite"
        )
    return Apisix(workdir, program)


class Apisix:
    """APISIX in a work directory. See `runtime.engine.Engine` for what the methods promise."""

    def __init__(self, workdir: Workdir, program: Path) -> None:
        self._workdir = workdir
        self._program = program
        self._folder = workdir.path / INSTANCE
        self._process: subprocess.Popen[bytes] | None = None
        self._mirror = LogMirror(self._folder / "logs/error.log")
        self._config: dict[str, Any] = {}
        self._config_text = ""
        self._revision = ""
        self._mtime = 0

    def start(self, rendered: RenderedSet) -> None:
        """Write the instance's files and start it; returns before it is ready."""
        self._config_text = rendered.config_yaml
        self._config = yaml.safe_load(rendered.config_yaml)
        ports.check_free(self._listeners())
        for folder in (self._folder, self._folder / "conf", self._folder / "logs"):
            folder.mkdir(mode=0o700, exist_ok=True)
        owner = self._owner()
        if owner is not None:
            self._workdir.give_to(owner)
            for folder in (self._folder, self._folder / "conf", self._folder / "logs"):
                os.chown(folder, *owner)
        self._write("config.yaml", self._with_user(rendered.config_yaml))
        self._write("debug.yaml", DEBUG_YAML)
        self._write_routes(rendered)
        self._process = self._spawn()

    def apply(self, rendered: RenderedSet) -> None:
        """Change the routes; the old set stays in use when this raises."""
        if rendered.config_yaml != self._config_text:
            raise UnsupportedError(
                "a changed config.yaml (ports, workers, limits of the engine) needs a restart"
            )
        self._write_routes(rendered)

    def ready(self) -> bool:
        """Whether every worker serves the newest routes."""
        status = probe.get(self._status().url, "/status/ready")
        if status is None or status.status != 200:  # noqa: PLR2004
            return False
        reply = probe.get(self._control().url, "/backends")
        try:
            workers = json.loads(reply.body)["workers"] if reply else []
        except (ValueError, KeyError):
            return False
        return bool(workers) and all(revision == self._revision for revision in workers)

    def exit_code(self) -> int | None:
        """Return None while APISIX runs, else how it ended."""
        return self._process.poll() if self._process else None

    def stop(self) -> None:
        """Let open requests finish, then end."""
        if self._process and self._process.poll() is None:
            self._process.send_signal(signal.SIGQUIT)

    def kill(self) -> None:
        """End APISIX and its workers now."""
        if self._process and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def news(self) -> list[str]:
        """Return what APISIX logged as an error since the last call."""
        # APISIX asks for more open files than a machine may allow, in every process; harmless
        return [line for line in self._mirror.lines() if "setrlimit(RLIMIT_NOFILE" not in line]

    def start_problem(self) -> str:
        """Return why it did not start, as far as it said."""
        text = (self._folder / "logs/start.log").read_text(errors="replace").strip()
        return text.splitlines()[-1] if text else f"see {self._folder / 'logs/error.log'}"

    def summary(self) -> str:
        """Return one line with the addresses."""
        return f"{self._gateway().url} (apisix; status {self._status().url}/status/ready)"

    def drain_seconds(self) -> int:
        """Return how long open requests may take after `stop`."""
        text = str(self._config["nginx_config"].get("worker_shutdown_timeout", "240s"))
        found = re.match(r"\d+", text)
        return int(found[0]) if found else 0

    def _gateway(self) -> Listener:
        item = self._config["apisix"]["node_listen"]
        item = item[0] if isinstance(item, list) else item
        item = item if isinstance(item, dict) else {"port": item}
        host = item.get("ip", "0.0.0.0")  # noqa: S104 -- APISIX's default
        return Listener(variable="GATEWAY_PORT", host=host, port=int(item["port"]))

    def _status(self) -> Listener:
        item = self._config["apisix"]["status"]
        return Listener(variable="STATUS_PORT", host=item["ip"], port=int(item["port"]))

    def _control(self) -> Listener:
        snippet = self._config["nginx_config"]["http_configuration_snippet"]
        found = re.search(r"listen 127\.0\.0\.1:(\d+)", snippet)
        if found is None:
            raise EngineStartError("config.yaml has no control listener")
        return Listener(variable="CONTROL_PORT", host="127.0.0.1", port=int(found[1]))

    def _listeners(self) -> tuple[Listener, ...]:
        item = self._config["plugin_attr"]["prometheus"]["export_addr"]
        metrics = Listener(variable="METRICS_PORT", host=item["ip"], port=int(item["port"]))
        return self._gateway(), self._status(), self._control(), metrics

    def _owner(self) -> tuple[int, int] | None:
        if os.getuid() != 0 or not _open_to_others(self._workdir.path.parent):
            return None
        entry = pwd.getpwnam(UNPRIVILEGED[0])
        return entry.pw_uid, entry.pw_gid

    def _with_user(self, text: str) -> str:
        # a text edit: dumping the parsed file would undo the escapes that keep APISIX from
        # replacing a user's value
        if os.getuid() != 0:
            return text
        user = " ".join(UNPRIVILEGED) if self._owner() else "root"
        line = f'nginx_config:\n  user: "{user}"\n'
        return re.sub(r"^nginx_config:\n", line, text, count=1, flags=re.MULTILINE)

    def _write(self, name: str, text: str) -> Path:
        return self._workdir.write(f"{INSTANCE}/conf/{name}", text, owner=self._owner())

    def _write_routes(self, rendered: RenderedSet) -> None:
        found = re.search(r'"?revision"?: "?([0-9a-f]{64})\b', rendered.apisix_yaml)
        self._revision = found[1] if found else ""
        path = self._folder / "conf/apisix.yaml"
        fresh = self._workdir.path / "temp/apisix.yaml"
        self._workdir.write("temp/apisix.yaml", rendered.apisix_yaml, owner=self._owner())
        # APISIX sees a change by whole seconds of the modification time, so it is set before
        # the file is in place
        self._mtime = max(int(time.time()), self._mtime + 1)
        os.utime(fresh, (self._mtime, self._mtime))
        fresh.replace(path)

    def _spawn(self) -> subprocess.Popen[bytes]:
        log = self._folder / "logs/start.log"
        with log.open("wb") as stream:
            return subprocess.Popen(  # noqa: S603
                [str(self._program), str(self._folder)],
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                umask=0o077,
                start_new_session=True,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 -- no threads here
            )


def _open_to_others(folder: Path) -> bool:
    # below a private folder only its owner's processes can read anything: workers stay root then
    return all(path.stat().st_mode & stat.S_IXOTH for path in (folder, *folder.parents))


def _die_with_parent() -> None:
    """Have the engine drain and end when `gateway up` is killed without a chance to say so."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGQUIT)
