"""`apisix`: a private instance of a local Apache APISIX, as a child of `gateway up`.

Routes change without touching the engine: APISIX reads a new apisix.yaml within a second. When
config.yaml changes, nginx.conf is made again, tested, and nginx is told to reload.
"""

from __future__ import annotations

import grp
import itertools
import os
import pwd
import signal
import stat
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from runtime import apisix_files as files
from runtime import apisix_home, ports
from runtime.errors import EngineStartError, UnsupportedError, WorkdirError
from runtime.log_mirror import LogMirror
from runtime.processes import die_with_parent, engine_of, kill_group, serving_workers

if TYPE_CHECKING:
    from runtime.apisix_home import Installation
    from runtime.rendered import RenderedSet
    from runtime.workdir import Workdir

INSTANCE = "apisix"
UNPRIVILEGED = "nobody"
REMAKE_SECONDS = 30
NEEDS_RESTART = "a changed config.yaml (ports, workers, limits of the engine) needs a restart"
LONGEST_SOCKET = "logs/stream_worker_events.sock"
# the kernel's limit for the path of a unix socket, less the end of the string
MAX_SOCKET_PATH = 107


def available() -> bool:
    """Whether the environment names an APISIX."""
    return apisix_home.wanted(os.environ)


def create(workdir: Workdir) -> Apisix:
    """Return the engine.

    Raises:
        RuntimeNotAvailableError: there is no local APISIX that can run a private instance.
    """
    return Apisix(workdir, apisix_home.find(os.environ))


class Apisix:
    """APISIX in a work directory. See `runtime.engine.Engine` for what the methods promise."""

    def __init__(self, workdir: Workdir, installation: Installation) -> None:
        self._workdir = workdir
        self._installation = installation
        self._folder = _free_folder(workdir.path)
        self._process: subprocess.Popen[bytes] | None = None
        self._mirror = LogMirror(self._folder / "logs/error.log")
        self._unread: list[str] = []
        self._was_ready = False
        self._leaving: frozenset[int] = frozenset()

    def start(self, rendered: RenderedSet) -> None:
        """Write the instance's files and start it; returns before it is ready."""
        self._config = files.read_config(rendered)
        ports.check_free(self._config.listeners)
        self._owner = self._workers_user()
        self._conf = files.ConfFolder(self._workdir, f"{self._folder.name}/conf", self._owner)
        self._make_folders()
        self._conf.write_settings(self._adapted(rendered.config_yaml, self._config))
        self._conf.write_routes(rendered)
        self._rendered = rendered
        self._installation.prepare(self._folder)
        self._process = self._spawn()

    def apply(self, rendered: RenderedSet) -> None:
        """Change to another set; the old one stays in use when this raises."""
        config = files.read_config(rendered)
        if rendered.config_yaml != self._rendered.config_yaml:
            self._remake(config, rendered)
        self._conf.write_routes(rendered)
        if rendered.config_yaml != self._rendered.config_yaml:
            self._leaving = serving_workers(self._pid())
            self._signal(signal.SIGHUP)
        self._config, self._rendered = config, rendered

    def ready(self) -> bool:
        """Whether every worker of the newest generation serves the newest routes."""
        self._read_log()
        refusal = files.refusal(self._unread)
        if refusal and not self._was_ready:
            raise EngineStartError(f"the engine did not start: {refusal}")
        if self._leaving & serving_workers(self._pid()):
            return False
        serving = files.serves(self._config)
        self._was_ready = self._was_ready or serving
        return serving

    def exit_code(self) -> int | None:
        """Return None while APISIX runs, else how it ended."""
        return self._process.poll() if self._process else None

    def stop(self) -> None:
        """Let open requests finish, then end."""
        self._signal(signal.SIGQUIT)

    def kill(self) -> None:
        """End APISIX and its workers now."""
        if self._process:
            kill_group(self._process)

    def news(self) -> list[str]:
        """Return what APISIX logged as an error since the last call."""
        self._read_log()
        lines, self._unread = self._unread, []
        return lines

    def start_problem(self) -> str:
        """Return why it did not start, as far as it said."""
        text = (self._folder / "logs/start.log").read_text(errors="replace")
        return files.first_problem(text) or f"see {self._folder / 'logs/error.log'}"

    def summary(self) -> str:
        """Return one line with the addresses."""
        return f"{self._config.gateway.url} (apisix; status {self._config.status.url}/status/ready)"

    def drain_seconds(self) -> int:
        """Return how long open requests may take after `stop`."""
        return self._config.drain_seconds

    def _read_log(self, without: str = "") -> None:
        lines = files.important(self._mirror.lines())
        self._unread += [line for line in lines if not without or without not in line]

    def _pid(self) -> int:
        return self._process.pid if self._process else 0

    def _signal(self, number: signal.Signals) -> None:
        if self._process and self._process.poll() is None:
            self._process.send_signal(number)

    def _make_folders(self) -> None:
        if len(str(self._folder / LONGEST_SOCKET)) + len(".l") > MAX_SOCKET_PATH:
            raise WorkdirError(
                f"the path of the work directory {self._workdir.path} is too long for APISIX's "
                "sockets: choose a shorter --workdir"
            )
        folders = (self._folder, self._folder / "conf", self._folder / "logs")
        for folder in folders:
            folder.mkdir(mode=0o700, exist_ok=True)
        if self._owner is not None:
            self._workdir.give_to(self._owner)
            for folder in folders:
                os.chown(folder, *self._owner)

    def _workers_user(self) -> tuple[int, int] | None:
        """Return whom the workers run as when this runs as root, None when as this process."""
        extra = self._config.settings["apisix"]["extra_lua_path"]
        plugins = [Path(part).parent for part in extra.split(";") if part.endswith("/?.lua")]
        needed = [self._workdir.path.parent, *(folder / "apisix/plugins" for folder in plugins)]
        if os.getuid() != 0 or self._config.settings["nginx_config"].get("user"):
            return None
        try:
            entry = pwd.getpwnam(UNPRIVILEGED)
        except KeyError:
            return None
        open_to_all = all(_open_to_others(folder) for folder in needed)
        return (entry.pw_uid, entry.pw_gid) if open_to_all else None

    def _adapted(self, text: str, config: files.EngineConfig) -> str:
        user = None
        if os.getuid() == 0:
            group = grp.getgrgid(self._owner[1]).gr_name if self._owner else ""
            user = f"{UNPRIVILEGED} {group}" if self._owner else "root"
        return files.adapted(text, config, user=user, cache=str(self._folder / "cache"))

    def _remake(self, config: files.EngineConfig, rendered: RenderedSet) -> None:
        """Make nginx.conf from a changed config.yaml and test it; raising leaves the old one."""
        if self._installation.remake is None:
            raise UnsupportedError(NEEDS_RESTART)
        files.check_workers(config, len(serving_workers(self._pid())))
        ports.check_free(config.listeners, ours=self._config.listeners)
        nginx_conf = self._folder / "conf/nginx.conf"
        before = nginx_conf.read_text()
        self._conf.write_settings(self._adapted(rendered.config_yaml, config))
        done = subprocess.run(  # noqa: S603
            [*self._installation.remake, str(self._folder)], cwd=self._folder,
            env=self._installation.environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, timeout=REMAKE_SECONDS, check=False, umask=0o077,
        )  # fmt: skip
        if done.returncode != 0:
            self._conf.write_settings(self._adapted(self._rendered.config_yaml, self._config))
            self._workdir.write(f"{self._folder.name}/conf/nginx.conf", before)
            said = files.first_problem(done.stdout.decode(errors="replace"))
            # the test wrote it into the log too
            self._read_log(without=said)
            raise UnsupportedError(f"APISIX refuses the changed config.yaml: {said}")

    def _spawn(self) -> subprocess.Popen[bytes]:
        log = self._folder / "logs/start.log"
        with log.open("wb") as stream:
            return subprocess.Popen(  # noqa: S603
                [*self._installation.run, str(self._folder)],
                cwd=self._folder,
                env=self._installation.environ,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                umask=0o077,
                start_new_session=True,
                preexec_fn=die_with_parent,  # noqa: PLW1509 -- no threads here
            )


def _free_folder(workdir: Path) -> Path:
    """Return a folder for an instance: one that was killed may still finish requests in its own."""
    numbered = (workdir / f"{INSTANCE}-{number}" for number in itertools.count(2))
    folders = itertools.chain([workdir / INSTANCE], numbered)
    return next(folder for folder in folders if engine_of(folder) is None)


def _open_to_others(folder: Path) -> bool:
    # below a private folder only its owner's processes can read anything: workers stay root then
    return all(path.stat().st_mode & stat.S_IXOTH for path in (folder, *folder.parents))
