"""What APISIX reads and where it listens, however it is started: locally or in a container."""

from __future__ import annotations

import json
import os
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from runtime import probe
from runtime.errors import UnsupportedError
from runtime.lite_config import Listener
from runtime.lite_defaults import merged

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from runtime.rendered import RenderedSet
    from runtime.workdir import Workdir

OK = 200
# `ai-proxy*` does not load without it
NEEDED_BY_AI_PROXY = "prometheus"
# APISIX reads it every second, and complains each time when its workers may not
DEBUG_YAML = """\
basic: {enable: false}
http_filter: {enable: false, enable_header_name: X-APISIX-Dynamic-Debug}
hook_conf: {enable: false, name: hook_phase, log_level: warn}
hook_phase: {}
#END
"""
# APISIX's own zones; the path of the first is missing
CACHE_ZONES: tuple[dict[str, str], ...] = (
    {"name": "disk_cache_one", "memory_size": "50m", "disk_size": "1G", "cache_levels": "1:2"},
    {"name": "memory_cache", "memory_size": "50m"},
)
REFUSAL = "the gateway refuses this engine: "
SHOWN = re.compile(r"\[(error|crit|alert|emerg)\]")
# APISIX asks for more open files than a machine may allow, in every process; harmless
NOISE = "setrlimit(RLIMIT_NOFILE"


@dataclass(frozen=True, kw_only=True, slots=True)
class EngineConfig:
    """What config.yaml and apisix.yaml of a set mean for whoever starts APISIX.

    `settings` is config.yaml over APISIX's defaults; `revision` is what workers report when they
    serve the routes; `workers` is None for one per CPU.
    """

    settings: dict[str, Any]
    gateway: Listener
    status: Listener
    metrics: Listener
    control: Listener
    revision: str
    workers: int | None
    drain_seconds: int

    @property
    def listeners(self) -> tuple[Listener, ...]:
        """Return every listener."""
        return self.gateway, self.status, self.control, self.metrics


def read_config(rendered: RenderedSet) -> EngineConfig:
    """Read a rendered set.

    Raises:
        UnsupportedError: it cannot work on APISIX as this runtime starts it; one line says why.
    """
    settings = merged(_load(rendered.config_yaml, "config.yaml"))
    _check_plugins(_load(rendered.apisix_yaml, "apisix.yaml"), settings["plugins"])
    nginx = settings["nginx_config"]
    found = re.search(r'"?revision"?: "?([0-9a-f]{64})\b', rendered.apisix_yaml)
    drain = re.match(r"\d+", str(nginx["worker_shutdown_timeout"]))
    workers = nginx["worker_processes"]
    return EngineConfig(
        settings=settings,
        gateway=_gateway(settings["apisix"]["node_listen"]),
        status=_listener("STATUS_PORT", settings["apisix"].get("status"), "apisix.status"),
        metrics=_listener(
            "METRICS_PORT", settings["plugin_attr"]["prometheus"]["export_addr"], "export_addr"
        ),
        control=_control(nginx["http_configuration_snippet"]),
        revision=found[1] if found else "",
        workers=None if workers == "auto" else int(workers),
        drain_seconds=int(drain[0]) if drain else 0,
    )


def serves(config: EngineConfig) -> bool:
    """Whether every worker that reports has the routes of the set."""
    status = probe.get(config.status.url, "/status/ready")
    if status is None or status.status != OK:
        return False
    reply = probe.get(config.control.url, "/backends")
    try:
        workers = json.loads(reply.body)["workers"] if reply else []
    except (ValueError, KeyError):
        return False
    return bool(workers) and all(revision == config.revision for revision in workers)


def adapted(text: str, config: EngineConfig, *, user: str | None, cache: str) -> str:
    """Return config.yaml with what depends on where the instance runs.

    Lines are put into the text: dumping the parsed file would undo the escapes that keep APISIX
    from replacing a user's value.

    Args:
        text: config.yaml as rendered.
        config: what it means; what it sets by itself stays.
        user: nginx's user of the workers, None to leave that to nginx.
        cache: folder of the disk zone; APISIX's default is one for all instances of a machine.
    """
    lines = {}
    if "proxy_cache" not in config.settings["apisix"]:
        zones = [{**CACHE_ZONES[0], "disk_path": cache}, *CACHE_ZONES[1:]]
        lines["apisix"] = f"proxy_cache: {json.dumps({'cache_ttl': '10s', 'zones': zones})}"
    if user and not config.settings["nginx_config"].get("user"):
        lines["nginx_config"] = f'user: "{user}"'
    for section, line in lines.items():
        before, head, after = f"\n{text}".partition(f"\n{section}:\n")
        text = f"{before}{head}  {line}\n{after}"[1:] if head else text
    return text


def check_workers(config: EngineConfig, serving: int) -> None:
    """Refuse fewer workers than serve now.

    APISIX counts who reported, and those that are gone stay reported: it is never ready again.

    Raises:
        UnsupportedError: a restart is needed.
    """
    if (config.workers or os.cpu_count() or 1) < serving:
        raise UnsupportedError("fewer workers (GATEWAY_WORKERS) need a restart")


def important(lines: list[str]) -> list[str]:
    """Return the lines of an error log that the operator should see, without configurations."""
    shown = [line for line in lines if SHOWN.search(line) and NOISE not in line]
    # APISIX writes a refused route with all that is in it, keys included
    return [re.sub(r"\s*,val: .*", "", line) for line in shown]


def first_problem(text: str) -> str:
    """Return the line of APISIX's or nginx's output that says why it ended, "" without output."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    found = refusal(lines)
    if found:
        return found
    loud = important(lines)
    said = loud[0] if loud else (lines[-1] if lines else "")
    return re.sub(r"^.*?\[\w+\]\s*(\d+#\d+:)?\s*(init_by_lua error:)?\s*", "", said)


def refusal(lines: list[str]) -> str | None:
    """Return why our plugins refuse the engine, None when they do not."""
    for line in lines:
        if REFUSAL in line:
            text = line[line.index(REFUSAL) :]
            return re.sub(r", (context|client): .*$", "", text)
    return None


class ConfFolder:
    """The three files that APISIX reads, in a folder of the work directory.

    Args:
        workdir: writes them.
        name: the folder below it.
        owner: uid and gid of the workers, None for those of this process.
    """

    def __init__(self, workdir: Workdir, name: str, owner: tuple[int, int] | None) -> None:
        self._workdir = workdir
        self._name = name
        self._owner = owner
        self.path: Path = workdir.path / name

    def write_settings(self, config_yaml: str) -> None:
        """Write config.yaml; APISIX reads it when it starts and when it is told to reload."""
        self._write("config.yaml", config_yaml)
        self._write("debug.yaml", DEBUG_YAML)

    def write_routes(self, rendered: RenderedSet) -> None:
        """Write apisix.yaml, newer than the one before by a second at least.

        APISIX sees a change by whole seconds of the modification time, so it is set before the
        file is in place.
        """
        path = self.path / "apisix.yaml"
        fresh = self._workdir.write("temp/apisix.yaml", rendered.apisix_yaml, owner=self._owner)
        last = int(path.stat().st_mtime) if path.exists() else 0
        newer = max(int(time.time()), last + 1)
        os.utime(fresh, (newer, newer))
        fresh.replace(path)

    def _write(self, name: str, text: str) -> None:
        self._workdir.write(f"{self._name}/{name}", text, owner=self._owner)


def _load(text: str, name: str) -> dict[str, Any]:
    try:
        document = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" in line {mark.line + 1}" if mark else ""
        raise UnsupportedError(f"{name} is not valid YAML{line}") from None
    if not isinstance(document, dict):
        raise UnsupportedError(f"{name} is not a mapping")
    return document


def _check_plugins(document: dict[str, Any], enabled: list[str]) -> None:
    for label, name in _used_plugins(document):
        if name not in enabled:
            raise UnsupportedError(
                f"{label}: plugin {name} is not in the list of plugins of config.yaml"
            )
        if name.startswith("ai-proxy") and NEEDED_BY_AI_PROXY not in enabled:
            raise UnsupportedError(
                f"{label}: plugin {name} needs {NEEDED_BY_AI_PROXY} in the list of plugins of "
                "config.yaml"
            )


def _used_plugins(document: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for kind, key in (("route", "id"), ("consumer", "username")):
        for index, item in enumerate(document.get(f"{kind}s") or [], 1):
            for name in item.get("plugins") or {}:
                yield f"{kind} {item.get(key) or index}", name


def _gateway(wanted: Any) -> Listener:
    item = wanted[0] if isinstance(wanted, list) else wanted
    item = item if isinstance(item, dict) else {"port": item}
    host = item.get("ip", "0.0.0.0")  # noqa: S104 -- APISIX's default
    return Listener(variable="GATEWAY_PORT", host=host, port=int(item["port"]))


def _listener(variable: str, address: Any, place: str) -> Listener:
    if not isinstance(address, dict) or not {"ip", "port"} <= address.keys():
        raise UnsupportedError(f"config.yaml: {place} needs ip and port")
    return Listener(variable=variable, host=str(address["ip"]), port=int(address["port"]))


def _control(snippet: str) -> Listener:
    found = re.search(r"\blisten\s+127\.0\.0\.1:(\d+)\s*;", snippet)
    if found is None:
        raise UnsupportedError("config.yaml has no control listener on 127.0.0.1")
    return Listener(variable="CONTROL_PORT", host="127.0.0.1", port=int(found[1]))
