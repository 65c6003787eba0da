"""Which variable names are ours, and what to say about the ones that almost are."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from renderer.errors import UnknownVariableError
from renderer.indexed_env import GroupSpec
from renderer.planned import PLANNED, PLANNED_BACKEND_FIELDS, PLANNED_CLIENT_FIELDS
from renderer.settings import INJECTED_SCHEMES, MIN_CLIENT_KEY, Settings
from renderer.values import hint

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True, slots=True)
class IndexedField:
    """One field of an indexed group, with what the reference says about it."""

    name: str
    values: str
    default: str
    effect: str
    secret: bool = False


BACKEND_FIELDS = (
    IndexedField(
        "ENDPOINT",
        "https://host[:port]",
        "required",
        "Where the account is; a path is dropped. http:// only for loopback, or with ALLOW_HTTP.",
    ),
    IndexedField(
        "KEY", "printable ASCII", "none", "The account's key, sent as `api-key`.", secret=True
    ),
    IndexedField(
        "NAME",
        "up to 100 printable ASCII characters, not $ in front",
        "`backend<N>`",
        "Unique name in metrics, logs and `x-gateway-backend`.",
    ),
    IndexedField("PRIORITY", "whole number", "5", "A higher number is preferred."),
    IndexedField(
        "WEIGHT", "0 to 1000000", "1", "Share inside one priority; 0 = only when nobody else can."
    ),
    IndexedField(
        "AUTH_MODE",
        "api-key, none (entra is not available in this version)",
        "api-key with a key, entra without",
        "How the gateway authenticates to the backend.",
    ),
    IndexedField("REGION", "text such as eastus2", "none", "Label in metrics and logs."),
    IndexedField("CAPACITY", "ptu, payg", "none", "Label and routing hint."),
    IndexedField("DEPLOYMENTS", "comma list", "all", "Deployments that the backend serves."),
    IndexedField(
        "DEPLOYMENT_MAP",
        "client=backend,...",
        "none",
        "Deployments whose name on the backend is another one than the client's.",
    ),
    IndexedField(
        "API_VERSION", "for example 2024-10-21", "the client's", "Override on legacy routes."
    ),
    IndexedField(
        "MODE",
        "active, standby, drain",
        "active",
        "standby: only when no active backend can. drain: no new request.",
    ),
)
CLIENT_FIELDS = (
    IndexedField(
        "NAME", "letters, digits, _ and -", "required", "Unique name in metrics and logs."
    ),
    IndexedField(
        "KEY",
        f"{MIN_CLIENT_KEY} or more printable ASCII characters",
        "required",
        "The key that the client presents; only its digest is rendered.",
        secret=True,
    ),
    IndexedField(
        "KEY_SECONDARY", "like KEY", "none", "A second valid key, for rotation.", secret=True
    ),
)

BACKENDS = GroupSpec(
    "AZURE_OPENAI_", (*(field.name for field in BACKEND_FIELDS), *PLANNED_BACKEND_FIELDS)
)
CLIENTS = GroupSpec(
    "GATEWAY_CLIENT_", (*(field.name for field in CLIENT_FIELDS), *PLANNED_CLIENT_FIELDS)
)

SCALARS = tuple(sorted({*(name.upper() for name in Settings.model_fields), *PLANNED}))
SCALAR_PREFIXES = (
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
)

# what Kubernetes adds to every container for a service in the same namespace
_SERVICE_LINK = re.compile(
    r".+_SERVICE_(HOST|PORT(_.+)?)|.+_PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?"
)
_INDEXED = re.compile(r"(AZURE_OPENAI|GATEWAY_CLIENT)_[A-Z0-9_]+_[0-9]+")


def without_service_links(env: Mapping[str, str]) -> dict[str, str]:
    """Drop what Kubernetes injects: it may look like ours but nobody has set it."""
    return {name: text for name, text in env.items() if not _is_service_link(name, text)}


def _is_service_link(name: str, text: str) -> bool:
    if _SERVICE_LINK.fullmatch(name):
        return True
    return text.startswith(INJECTED_SCHEMES) and not _INDEXED.fullmatch(name)


def unknown_names(env: Mapping[str, str]) -> list[UnknownVariableError]:
    """Return an error for each name under one of our prefixes that means nothing.

    Names without an index under AZURE_OPENAI_ belong to the SDKs and are left alone.
    """
    return [
        UnknownVariableError(name, f"is not known{_nearest(name)}")
        for name in sorted(env)
        if name.startswith(SCALAR_PREFIXES) and name not in SCALARS and not _INDEXED.fullmatch(name)
    ]


def _nearest(name: str) -> str:
    indexed = [f"{CLIENTS.prefix}{field.name}_0" for field in CLIENT_FIELDS]
    return hint(name, (*SCALARS, *indexed)) or "; see docs/configuration.md for the names"


def strangers(names: Iterable[str]) -> list[str]:
    """Return a warning for each name of an env file that no part of the gateway knows.

    An env file is written for the gateway, so a name in it that means nothing is most likely a
    slip; the process environment is full of others' names.
    """
    known = (*SCALAR_PREFIXES, "AZURE_", "OPENAI_", "IDENTITY_", "MSI_", "REDIS_")
    return [
        f"{name}: in the env file, but not a setting of the gateway{_nearest(name.upper())}"
        for name in sorted(set(names) - set(SCALARS))
        if not name.startswith(known)
    ]


def near_misses(env: Mapping[str, str]) -> list[str]:
    """Return a warning for each name outside our prefixes that is one slip away from a setting."""
    open_names = [name for name in SCALARS if not name.startswith(SCALAR_PREFIXES)]
    warnings = []
    for name in sorted(set(env) - set(SCALARS)):
        if name.startswith((*SCALAR_PREFIXES, BACKENDS.prefix)):
            continue
        near = difflib.get_close_matches(name.upper(), open_names, n=1, cutoff=0.93)
        if near:
            warnings.append(f"{name}: is not a setting of the gateway; did you mean {near[0]}?")
    return warnings
