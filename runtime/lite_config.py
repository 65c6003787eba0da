"""From the rendered set to what `lite` runs: documents for the Lua host, and nginx.conf.

Everything that needs plugin code (is there such a plugin, is its configuration valid) is checked by
the Lua host itself; here is only what can be seen from the files.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from runtime.errors import UnsupportedError
from runtime.lite_defaults import merged

if TYPE_CHECKING:
    from runtime.lite_host import Machine
    from runtime.rendered import RenderedSet

LUA_HOST = Path(__file__).parent / "lite"
NEEDS_APISIX = "needs the docker or apisix runtime"
TOP_LEVEL = {"routes", "consumers", "plugin_metadata"}
ROUTE_KEYS = {
    "id", "name", "desc", "labels", "uri", "uris", "methods", "vars", "priority", "plugins",
    "status",
}  # fmt: skip
CONSUMER_KEYS = {"username", "desc", "labels", "plugins"}
REFERENCES = ("$env://", "$secret://")


@dataclass(frozen=True, kw_only=True, slots=True)
class Listener:
    """An address that nginx will listen on, and the variable that sets its port."""

    variable: str
    host: str
    port: int

    @property
    def url(self) -> str:
        """Return an address that a client on this machine can use."""
        host = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}.get(self.host, self.host)  # noqa: S104
        return f"http://{host}:{self.port}"


@dataclass(frozen=True, kw_only=True, slots=True)
class LiteConfig:
    """What a rendered set means for lite.

    `settings` is config.yaml over APISIX's defaults; `routes` the documents of apisix.yaml.
    `gateway` may listen on several addresses, the first is the one to show.
    """

    settings: dict[str, Any]
    routes: dict[str, Any]
    gateway: tuple[Listener, ...]
    status: Listener
    metrics: Listener | None
    control: Listener | None
    workers: int

    @property
    def listeners(self) -> tuple[Listener, ...]:
        """Return every listener."""
        others = (self.status, self.metrics, self.control)
        return (*self.gateway, *(item for item in others if item is not None))


def read_config(rendered: RenderedSet, machine: Machine) -> LiteConfig:
    """Read a rendered set.

    Raises:
        UnsupportedError: it asks for something that lite does not have; the message names it.
    """
    settings = merged(_load(rendered.config_yaml, "config.yaml"))
    if not re.search(r"#END\s*$", rendered.apisix_yaml[-10:]):
        raise UnsupportedError("apisix.yaml does not end with #END: it is not complete")
    routes = _read_routes(_load(rendered.apisix_yaml, "apisix.yaml"))
    wanted = settings["nginx_config"]["worker_processes"]
    return LiteConfig(
        settings=settings,
        routes=routes,
        gateway=_gateway_listeners(settings["apisix"], machine),
        status=_status_listener(settings["apisix"]),
        metrics=_metrics_listener(settings["plugin_attr"]["prometheus"]),
        control=_control_listener(settings["nginx_config"]["http_configuration_snippet"]),
        workers=machine.cpus if wanted == "auto" else int(wanted),
    )


def nginx_conf(config: LiteConfig, machine: Machine, conf_dir: Path) -> str:
    """Return nginx.conf; `conf_dir` is where the Lua host finds its documents."""
    return _template("nginx.conf.j2", config, machine, conf_dir)


def check_conf(config: LiteConfig, machine: Machine, conf_dir: Path) -> str:
    """Return the configuration of a process that only checks the documents in `conf_dir`."""
    return _template("check.conf.j2", config, machine, conf_dir)


def _template(name: str, config: LiteConfig, machine: Machine, conf_dir: Path) -> str:
    # autoescape is for HTML; every value here comes from files that the renderer verified
    environment = Environment(  # noqa: S701
        loader=FileSystemLoader(LUA_HOST), undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    nginx = config.settings["nginx_config"]
    files = int(nginx["worker_rlimit_nofile"])
    if machine.max_files > 0:
        files = min(files, machine.max_files)
    return environment.get_template(name).render(
        config=config,
        machine=machine,
        apisix=config.settings["apisix"],
        nginx=nginx,
        http=nginx["http"],
        lua_hook=config.settings["apisix"].get("lua_module_hook"),
        lua_path=_lua_path(config.settings["apisix"]["extra_lua_path"]),
        shared_dicts={
            **nginx["meta"]["lua_shared_dict"],
            **nginx["http"]["custom_lua_shared_dict"],
        },
        trusted_certificate=_trusted(config.settings["apisix"]["ssl"], machine),
        user=nginx.get("user") or machine.user,
        max_files=files,
        connections=min(int(nginx["event"]["worker_connections"]), files),
        conf_dir=conf_dir,
    )


def _lua_path(extra: str) -> str:
    own = f"{LUA_HOST}/?.lua;{LUA_HOST}/?/init.lua"
    return f"{extra.rstrip(';')};{own};;" if extra else f"{own};;"


def _trusted(ssl: Mapping[str, Any], machine: Machine) -> str | None:
    wanted = ssl.get("ssl_trusted_certificate")
    return machine.ca_bundle if wanted == "system" else wanted


def _load(text: str, name: str) -> dict[str, Any]:
    if "${{" in text:
        raise UnsupportedError(f"{name}: a ${{{{NAME}}}} reference {NEEDS_APISIX}")
    try:
        document = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" in line {mark.line + 1}" if mark else ""
        raise UnsupportedError(f"{name} is not valid YAML{line}") from None
    if not isinstance(document, dict):
        raise UnsupportedError(f"{name} is not a mapping")
    return document


def _read_routes(document: dict[str, Any]) -> dict[str, Any]:
    for key, value in document.items():
        if key not in TOP_LEVEL and value:
            raise UnsupportedError(f"apisix.yaml: {key} {NEEDS_APISIX}")
    routes = [
        _read_item(f"route {index}", item, ROUTE_KEYS, index)
        for index, item in enumerate(document.get("routes") or [], 1)
    ]
    consumers = [
        _read_item(f"consumer {index}", item, CONSUMER_KEYS, index)
        for index, item in enumerate(document.get("consumers") or [], 1)
    ]
    return {
        "routes": routes,
        "consumers": consumers,
        "plugin_metadata": document.get("plugin_metadata") or [],
    }


def _read_item(label: str, item: Any, known: set[str], index: int) -> dict[str, Any]:
    if not isinstance(item, dict):
        raise UnsupportedError(f"apisix.yaml: {label} is not a mapping")
    label = f"{label.split(maxsplit=1)[0]} {item.get('id') or item.get('username') or index}"
    unknown = sorted(set(item) - known)
    if unknown:
        raise UnsupportedError(f"apisix.yaml: {label}: {unknown[0]} {NEEDS_APISIX}")
    if "username" in known and not item.get("username"):
        raise UnsupportedError(f"apisix.yaml: {label} has no username")
    if "uri" in known and not (item.get("uri") or item.get("uris")):
        raise UnsupportedError(f"apisix.yaml: {label} has no uri")
    for name, conf in (item.get("plugins") or {}).items():
        if any(text.lower().startswith(REFERENCES) for text in _strings(conf)):
            raise UnsupportedError(
                f"apisix.yaml: {label}: plugin {name}: a reference to a secret {NEEDS_APISIX}"
            )
    return item if "username" in known else {**item, "id": str(item.get("id") or f"arr_{index}")}


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)


def _gateway_listeners(apisix: Mapping[str, Any], machine: Machine) -> tuple[Listener, ...]:
    wanted = apisix["node_listen"]
    found = []
    for item in wanted if isinstance(wanted, list) else [wanted]:
        port = int(item["port"] if isinstance(item, Mapping) else item)
        host = item.get("ip") if isinstance(item, Mapping) else None
        hosts = [host or "0.0.0.0"]  # noqa: S104 -- what APISIX does with a bare port
        if host is None and apisix["enable_ipv6"] and machine.ipv6_listen:
            hosts.append("[::]")
        found += [Listener(variable="GATEWAY_PORT", host=name, port=port) for name in hosts]
    return tuple(found)


def _status_listener(apisix: Mapping[str, Any]) -> Listener:
    status = apisix.get("status")
    if not status:
        raise UnsupportedError("config.yaml: lite needs the status listener (apisix.status)")
    return Listener(variable="STATUS_PORT", host=str(status["ip"]), port=int(status["port"]))


def _metrics_listener(prometheus: Mapping[str, Any]) -> Listener | None:
    if not prometheus["enable_export_server"]:
        return None
    address = prometheus["export_addr"]
    return Listener(variable="METRICS_PORT", host=str(address["ip"]), port=int(address["port"]))


def _control_listener(snippet: str) -> Listener | None:
    found = re.search(r"\blisten\s+([\d.]+|\[[^\]]*\]):(\d+)\s*;", snippet)
    if found is None:
        return None
    return Listener(variable="CONTROL_PORT", host=found[1], port=int(found[2]))
