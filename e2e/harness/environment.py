"""The gateway's settings for a test, as environment variables."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from e2e.mock_azure_openai import MockAzureOpenAI

DEFAULTS = {
    "DRAIN_SECONDS": "5",
    "GATEWAY_WORKERS": "2",
    "METRICS_REFRESH_SECONDS": "1",
}
PORTS = ("GATEWAY_PORT", "STATUS_PORT", "CONTROL_PORT", "METRICS_PORT")

_OWN_PREFIXES = (
    "AZURE_OPENAI_",
    "GATEWAY_",
    "AI_PROXY_",
    "AI_RATE_LIMIT_",
    "LB_",
    "FAILOVER_",
    "COOLDOWN_",
    "CIRCUIT_",
    "LATENCY_",
    "ENTRA_",
    "KEY_VAULT_",
    "OPENAI_",
)


@dataclasses.dataclass(frozen=True)
class Backend:
    """A backend of the gateway: a mock, or None with an `endpoint` of one's own.

    Name, key and endpoint come from the mock unless they are given; None = not set. `extra`:
    further fields by name.
    """

    mock: MockAzureOpenAI | None = None
    _: dataclasses.KW_ONLY
    name: str | None = None
    key: str | None = None
    endpoint: str | None = None
    priority: int | None = None
    weight: int | None = None
    auth_mode: str | None = None
    deployments: Sequence[str] = ()
    deployment_map: Mapping[str, str] = dataclasses.field(default_factory=dict)
    api_version: str | None = None
    max_concurrency: int | None = None
    mode: str | None = None
    capacity: str | None = None
    region: str | None = None
    extra: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def variables(self, index: int) -> dict[str, str]:
        """Return `AZURE_OPENAI_<FIELD>_<index>`."""
        names = {field.name for field in dataclasses.fields(self)} - {"mock", "extra"}
        fields = {name: getattr(self, name) for name in sorted(names)}
        if self.mock is not None:
            fields["endpoint"] = fields["endpoint"] or self.mock.url
            fields["name"] = fields["name"] or self.mock.name
            fields["key"] = self.mock.key if fields["key"] is None else fields["key"]
        if not fields["key"] and not fields["auth_mode"]:
            fields["auth_mode"] = "none"
        fields["deployments"] = ",".join(self.deployments)
        fields["deployment_map"] = ",".join(f"{k}={v}" for k, v in self.deployment_map.items())
        found = {name: value for name, value in fields.items() if value not in (None, "")}
        return _indexed("AZURE_OPENAI", {**found, **self.extra}, index)


@dataclasses.dataclass(frozen=True)
class Client:
    """A client of the gateway. `extra`: further fields, e.g. `{"KEY_SECONDARY": "..."}`."""

    name: str = "tests"
    key: str = ""
    extra: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def secret(self) -> str:
        """The key that the client sends: the given one, else one made from the name."""
        return self.key or f"gw-{self.name}-0123456789abcdef"

    def variables(self, index: int) -> dict[str, str]:
        """Return `GATEWAY_CLIENT_<FIELD>_<index>`."""
        return _indexed(
            "GATEWAY_CLIENT", {"name": self.name, "key": self.secret, **self.extra}, index
        )


def _indexed(prefix: str, fields: Mapping[str, Any], index: int) -> dict[str, str]:
    return {f"{prefix}_{name.upper()}_{index}": str(value) for name, value in fields.items()}


def variables(
    backends: Sequence[Backend], clients: Sequence[Client], env: Mapping[str, Any]
) -> dict[str, str]:
    """Return all settings but the ports; `env` wins, and a value of None takes one away."""
    found = dict(DEFAULTS)
    for index, backend in enumerate(backends):
        found |= backend.variables(index)
    for index, client in enumerate(clients):
        found |= client.variables(index)
    found |= {name: str(value) for name, value in env.items() if value is not None}
    return {name: value for name, value in found.items() if env.get(name, "") is not None}


def env_file(values: Mapping[str, str]) -> str:
    """Return the text of an env file; ValueError for a value that it cannot hold."""
    for name, value in values.items():
        if "\n" in value or "\r" in value:
            raise ValueError(f"{name}: a line break does not fit into an env file")
    return "".join(f"{name}={_quoted(value)}\n" for name, value in sorted(values.items()))


def _quoted(value: str) -> str:
    escaped = "".join(f"\\{c}" if c in '"\\$`' else c for c in value)
    return f'"{escaped}"'


def inherited(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the process environment without settings of a gateway."""
    taken = {*PORTS, "REDIS_URL", "STATUS_HOST", "METRICS_HOST"}
    return {
        name: value
        for name, value in environ.items()
        if not name.startswith(_OWN_PREFIXES) and name not in taken
    }
