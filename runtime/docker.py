"""`docker`: the official image of Apache APISIX in a container of this machine's engine.

The container shares the host's network, so that addresses mean the same inside and outside: the
ports of the gateway, and backends on loopback. It reads configuration and plugins from read-only
mounts and writes to memory only.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runtime import apisix_files as files
from runtime import docker_client, ports
from runtime import docker_container as container
from runtime.docker_output import Output
from runtime.errors import EngineStartError, UnsupportedError
from runtime.processes import serving_workers

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

    from runtime.rendered import RenderedSet
    from runtime.workdir import Workdir

INSTANCE = "docker"
PLUGINS = "apisix/plugins"
GONE = 1


def available() -> bool:
    """Whether an engine of this machine answers; quick when there is none."""
    return docker_client.answering(os.environ) is not None


def create(workdir: Workdir) -> Docker:
    """Return the engine.

    Raises:
        RuntimeNotAvailableError: no container engine of this machine answers.
    """
    return Docker(workdir, docker_client.connect(os.environ))


class Docker:
    """APISIX in a container. See `runtime.engine.Engine` for what the methods promise."""

    def __init__(self, workdir: Workdir, client: DockerClient) -> None:
        self._workdir = workdir
        self._client = client
        self._container: Container | None = None
        self._output = Output()
        self._code: int | None = None
        self._was_ready = False
        self._leaving: frozenset[int] = frozenset()

    def start(self, rendered: RenderedSet) -> None:
        """Write the files and start a container; returns before it is ready."""
        self._config = files.read_config(rendered)
        plugins = self._plugins(self._config)
        container.remove_leftovers(self._client, self._workdir.path)
        ports.check_free(self._config.listeners)
        self._rootless = container.is_rootless(self._client)
        owner = container.APISIX_USER if os.getuid() == 0 and not self._rootless else None
        self._conf = files.ConfFolder(self._workdir, f"{INSTANCE}/conf", owner)
        self._conf.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if owner is not None:
            os.chown(self._conf.path, *owner)
        self._conf.write_settings(self._adapted(rendered.config_yaml, self._config))
        self._conf.write_routes(rendered)
        self._rendered = rendered
        self._run(plugins)

    def apply(self, rendered: RenderedSet) -> None:
        """Change to another set; the old one stays in use when this raises."""
        config = files.read_config(rendered)
        changed = rendered.config_yaml != self._rendered.config_yaml
        if changed:
            self._remake(config, rendered)
        self._conf.write_routes(rendered)
        if changed:
            self._leaving = serving_workers(self._pid())
            self._signal("SIGHUP")
        self._config, self._rendered = config, rendered

    def ready(self) -> bool:
        """Whether every worker of the newest generation serves the newest routes."""
        refusal = files.refusal(self._output.tail())
        if refusal and not self._was_ready:
            raise EngineStartError(f"the engine did not start: {refusal}")
        if self._leaving and self._leaving & serving_workers(self._pid()):
            return False
        serving = files.serves(self._config)
        self._was_ready = self._was_ready or serving
        return serving

    def exit_code(self) -> int | None:
        """Return None while the container runs, else how it ended; then it is removed."""
        state = self._state()
        if state is not None and state["Status"] in {"exited", "dead"}:
            self._code = int(state["ExitCode"])
            self._output.finish()
            self.kill()
        return self._code

    def stop(self) -> None:
        """Let open requests finish, then end."""
        self._signal("SIGQUIT")

    def kill(self) -> None:
        """End and remove the container now."""
        mine, self._container = self._container, None
        if mine is not None:
            self._code = GONE if self._code is None else self._code
            container.attempt(lambda: mine.remove(force=True))

    def news(self) -> list[str]:
        """Return what APISIX logged as an error since the last call."""
        return self._output.news()

    def start_problem(self) -> str:
        """Return why it did not start, as far as it said."""
        said = files.first_problem("\n".join(self._output.tail()))
        return (
            said or f"the container of {container.IMAGE} ended with {self._code} and said nothing"
        )

    def summary(self) -> str:
        """Return one line with the addresses."""
        return f"{self._config.gateway.url} (docker; status {self._config.status.url}/status/ready)"

    def drain_seconds(self) -> int:
        """Return how long open requests may take after `stop`."""
        return self._config.drain_seconds

    def _run(self, plugins: Path) -> None:
        from docker.errors import DockerException  # noqa: PLC0415 -- see docker_client

        try:
            container.need_image(self._client)
            self._container = container.create(
                self._client,
                user=self._user(),
                conf=self._conf.path,
                plugins=plugins,
                workdir=self._workdir.path,
            )
            self._container.start()
        except (DockerException, OSError) as error:
            self.kill()
            said = container.one_line(error)
            raise EngineStartError(f"the container cannot be started: {said}") from None
        self._output.follow(self._container)

    def _user(self) -> tuple[int, int]:
        if self._rootless:
            # root of the container is the user who runs the engine, so this one
            return 0, 0
        return container.APISIX_USER if os.getuid() == 0 else (os.getuid(), os.getgid())

    def _plugins(self, config: files.EngineConfig) -> Path:
        path = str(config.settings["apisix"]["extra_lua_path"])
        folder = Path(path.removesuffix("/?.lua"))
        if not path.endswith("/?.lua") or not (folder / PLUGINS).is_dir():
            raise UnsupportedError(
                f"config.yaml: extra_lua_path {path} has no {PLUGINS} on this machine"
            )
        return folder / "apisix"

    def _adapted(self, text: str, config: files.EngineConfig) -> str:
        user = "root" if self._rootless else None
        text = files.adapted(text, config, user=user, cache=f"{container.HOME}/cache")
        line = rf'\g<1>"{container.LUA_PATH}/?.lua"'
        return re.sub(r"^(\s*extra_lua_path:\s*).*$", line, text, count=1, flags=re.MULTILINE)

    def _remake(self, config: files.EngineConfig, rendered: RenderedSet) -> None:
        """Make nginx.conf from a changed config.yaml and test it; raising leaves the old one."""
        if self._plugins(config) != self._plugins(self._config):
            raise UnsupportedError("another path of the plugins (GATEWAY_LUA_PATH) needs a restart")
        files.check_workers(config, len(serving_workers(self._pid())))
        ports.check_free(config.listeners, ours=self._config.listeners)
        self._conf.write_settings(self._adapted(rendered.config_yaml, config))
        mine = self._container
        command = ["/bin/sh", "-c", container.REMAKE]
        done = container.attempt(lambda: mine and mine.exec_run(command))
        if not done or done.exit_code != 0:
            self._conf.write_settings(self._adapted(self._rendered.config_yaml, self._config))
            said = files.first_problem(done.output.decode(errors="replace")) if done else ""
            said = said or "the container does not answer"
            raise UnsupportedError(f"APISIX refuses the changed config.yaml: {said}")

    def _state(self) -> dict[str, Any] | None:
        """Return the container's state; None when there is none or the engine does not answer."""
        from docker.errors import NotFound  # noqa: PLC0415 -- see docker_client

        if self._container is None:
            return None
        try:
            container.attempt(self._container.reload, NotFound)
        except NotFound:
            self._container, self._code = None, GONE
            return None
        state: dict[str, Any] = self._container.attrs["State"]
        return state

    def _pid(self) -> int:
        state = self._state()
        return int(state["Pid"]) if state else 0

    def _signal(self, name: str) -> None:
        mine = self._container
        if mine is not None:
            container.attempt(lambda: mine.kill(signal=name))
