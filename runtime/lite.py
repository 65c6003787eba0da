"""`lite`: the distribution's nginx with our Lua host, as a child of `gateway up`.

Routes change without touching nginx: workers see a new conf/lite.json within half a second. Only
when the rest of the configuration changed is nginx told to reload.
"""

from __future__ import annotations

import grp
import json
import os
import pwd
import re
import signal
import subprocess
import time
from typing import TYPE_CHECKING, Any

from runtime import ports, probe
from runtime.errors import EngineStartError, UnsupportedError
from runtime.lite_config import LiteConfig, check_conf, nginx_conf, read_config
from runtime.lite_host import Machine, inspect
from runtime.log_mirror import LogMirror
from runtime.processes import die_with_parent, kill_group

if TYPE_CHECKING:
    from runtime.rendered import RenderedSet
    from runtime.workdir import Workdir

CHECK_SECONDS = 30
CHECK_MARK = "lite-check: "
START_LOG = "logs/start.log"


def create(workdir: Workdir) -> Lite:
    """Return the engine, after a look at this machine.

    Raises:
        MissingPackageError: nginx or one of its Lua parts is not installed.
    """
    return Lite(workdir, inspect())


class Lite:
    """nginx in a work directory. See `runtime.engine.Engine` for what the methods promise."""

    def __init__(self, workdir: Workdir, machine: Machine) -> None:
        self._workdir = workdir
        self._machine = machine
        self._process: subprocess.Popen[bytes] | None = None
        self._config: LiteConfig | None = None
        self._generation = 0
        self._version = self._last_version()
        self._mirror = LogMirror(workdir.path / "logs/error.log")

    def start(self, rendered: RenderedSet) -> None:
        """Check the set and start nginx with it; returns before it is ready."""
        config = read_config(rendered, self._machine)
        self._check(config)
        ports.check_free(config.listeners)
        owner = self._owner(config)
        if owner is not None:
            self._workdir.give_to(owner)
        self._publish(config, reload=True)
        self._test()
        self._config = config
        self._process = self._spawn()

    def apply(self, rendered: RenderedSet) -> None:
        """Change to another set; the old one stays in use when this raises."""
        old = self._running_config()
        config = read_config(rendered, self._machine)
        self._check(config)
        if config.settings == old.settings:
            self._publish(config, reload=False)
        else:
            ports.check_free(config.listeners, ours=old.listeners)
            self._reload(config)
        self._config = config

    def ready(self) -> bool:
        """Whether every worker of the newest generation has the newest routes."""
        reply = probe.get(self._running_config().status.url, "/status/ready")
        if reply is None or reply.status != 200:  # noqa: PLR2004
            return False
        return (
            int(reply.headers.get("x-config-generation", 0)) == self._generation
            and int(reply.headers.get("x-config-version", 0)) >= self._version
        )

    def exit_code(self) -> int | None:
        """Return None while nginx runs, else how it ended."""
        return self._process.poll() if self._process else None

    def stop(self) -> None:
        """Let open requests finish, then end."""
        self._signal(signal.SIGQUIT)

    def kill(self) -> None:
        """End nginx and its workers now."""
        if self._process:
            kill_group(self._process)

    def news(self) -> list[str]:
        """Return what nginx logged as an error since the last call."""
        return self._mirror.lines()

    def start_problem(self) -> str:
        """Return what nginx said before it ended, in one line."""
        text = (self._workdir.path / START_LOG).read_text(errors="replace")
        return _one_line(text) or f"see {self._workdir.path / 'logs/error.log'}"

    def summary(self) -> str:
        """Return the addresses in one line."""
        config = self._running_config()
        parts = [f"lite, {config.workers} worker{'s' if config.workers > 1 else ''}"]
        parts.append(f"status {config.status.url}/status/ready")
        if config.metrics:
            uri = config.settings["plugin_attr"]["prometheus"]["export_uri"]
            parts.append(f"metrics {config.metrics.url}{uri}")
        return f"{config.gateway[0].url} ({'; '.join(parts)})"

    def drain_seconds(self) -> int:
        """Return how long open requests may take after `stop`."""
        text = str(self._running_config().settings["nginx_config"]["worker_shutdown_timeout"])
        return int(re.match(r"\d+", text)[0]) if re.match(r"\d+", text) else 0  # type: ignore[index]

    def _running_config(self) -> LiteConfig:
        if self._config is None:
            raise EngineStartError("lite was not started")
        return self._config

    def _last_version(self) -> int:
        try:
            text = (self._workdir.path / "conf/lite.json").read_text()
            return int(json.loads(text)["version"])
        except (OSError, ValueError, KeyError):
            return 0

    def _owner(self, config: LiteConfig) -> tuple[int, int] | None:
        user = config.settings["nginx_config"].get("user")
        if self._machine.user is None or not user:
            return None
        name, *group = str(user).split()
        try:
            entry = pwd.getpwnam(name)
            return entry.pw_uid, grp.getgrnam(group[0]).gr_gid if group else entry.pw_gid
        except KeyError:
            raise UnsupportedError(f"config.yaml: there is no user {user} here") from None

    def _documents(self, config: LiteConfig, version: int) -> dict[str, str]:
        # the version comes first: workers read only the beginning to see a change
        routes: dict[str, Any] = {"version": version, **config.routes}
        settings = {"generation": self._generation, "local_conf": config.settings}
        return {"lite.json": json.dumps(routes), "config.json": json.dumps(settings)}

    def _check(self, config: LiteConfig) -> None:
        """Let a process that serves nobody load the set with the code that workers use."""
        folder = self._workdir.path / "check"
        for name, text in self._documents(config, 1).items():
            self._workdir.write(f"check/{name}", text)
        self._workdir.write("check/check.conf", check_conf(config, self._machine, folder))
        try:
            done = self._run_nginx("check/check.conf")
        finally:
            (folder / "lite.json").unlink(missing_ok=True)
        if done.returncode == 0:
            return
        said = done.stderr.decode(errors="replace")
        found = re.search(rf"{CHECK_MARK}(.*)", said)
        raise UnsupportedError(found[1].strip() if found else _one_line(said))

    def _test(self) -> None:
        done = self._run_nginx("conf/nginx.conf", "-t")
        if done.returncode != 0:
            said = done.stderr.decode(errors="replace")
            raise EngineStartError(f"nginx refuses its configuration: {_one_line(said)}")

    def _run_nginx(self, conf: str, *flags: str) -> subprocess.CompletedProcess[bytes]:
        try:
            return subprocess.run(  # noqa: S603
                self._command(conf, *flags),
                stdin=subprocess.DEVNULL, capture_output=True, timeout=CHECK_SECONDS, check=False,
                umask=0o077,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise EngineStartError(
                f"nginx did not finish checking {conf} within {CHECK_SECONDS} s"
            ) from None

    def _publish(self, config: LiteConfig, *, reload: bool) -> None:
        self._version = max(self._version + 1, int(time.time()))
        if reload:
            self._generation += 1
            conf_dir = self._workdir.path / "conf"
            text = nginx_conf(config, self._machine, conf_dir)
            self._workdir.write("conf/nginx.conf", text)
        owner = self._owner(config)
        for name, text in self._documents(config, self._version).items():
            self._workdir.write(f"conf/{name}", text, owner=owner)

    def _reload(self, config: LiteConfig) -> None:
        names = ("nginx.conf", "config.json", "lite.json")
        folder = self._workdir.path / "conf"
        before = {name: (folder / name).read_text() for name in names}
        generation, version = self._generation, self._version
        self._publish(config, reload=True)
        try:
            self._test()
        except EngineStartError:
            for name, text in before.items():
                self._workdir.write(f"conf/{name}", text, owner=self._owner(config))
            self._generation, self._version = generation, version
            raise
        self._signal(signal.SIGHUP)

    def _command(self, conf: str, *flags: str) -> list[str]:
        folder = str(self._workdir.path)
        return [self._machine.nginx, "-p", folder, "-c", conf, "-e", "stderr", *flags]

    def _spawn(self) -> subprocess.Popen[bytes]:
        log = self._workdir.path / START_LOG
        log.unlink(missing_ok=True)
        with os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
            return subprocess.Popen(  # noqa: S603
                self._command("conf/nginx.conf"),
                stdin=subprocess.DEVNULL, stderr=stream, umask=0o077,
                # its own session: Ctrl-C in a terminal must drain, not cut
                start_new_session=True,
                preexec_fn=die_with_parent,  # noqa: PLW1509 -- no threads here
            )  # fmt: skip

    def _signal(self, number: signal.Signals) -> None:
        if self._process and self._process.poll() is None:
            self._process.send_signal(number)


def _one_line(text: str) -> str:
    """Return the first complaint in nginx's output, without time and process."""
    lines = [line for line in text.splitlines() if re.search(r"\[(error|crit|alert|emerg)\]", line)]
    first = (lines or text.splitlines() or [""])[0]
    return re.sub(r"^.*?\[\w+\]\s*(\d+#\d+:)?\s*", "", first).strip()
