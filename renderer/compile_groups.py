"""From indexed groups to backends and clients."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeVar

from renderer.endpoints import parse_endpoint
from renderer.errors import ConflictError, MissingValueError, NotAvailableError
from renderer.indexed_env import Group, missing_indexes
from renderer.model import AuthMode, Backend, BackendMode, Client
from renderer.planned import PLANNED_BACKEND_FIELDS, PLANNED_CLIENT_FIELDS
from renderer.redact import Secret, shape
from renderer.settings import MIN_CLIENT_KEY, Settings
from renderer.values import choice, parse_secret_text, whole

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from renderer.findings import Findings
    from renderer.secrets import SecretStore

T = TypeVar("T")

LEGACY_CLIENT = "gateway-client"
PLACEHOLDER_KEY = "pending-foundry"
AUTH_MODES = {
    "api-key": "api-key",
    "apikey": "api-key",
    "none": "none",
    "entra": "entra",
    "aad": "entra",
    "entra-id": "entra",
    "entra_id": "entra",
}
_CONSUMER = re.compile(r"[A-Za-z0-9_-]{1,100}")
_LABEL = re.compile(r"[!-~]([ -~]{0,98}[!-~])?")
_DEPLOYMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@+-]{0,127}")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,31}")
_REGION = re.compile(r"[A-Za-z0-9]([A-Za-z0-9 _-]{0,62}[A-Za-z0-9])?")


class Fields:
    """Reads the fields of one group; a wrong one becomes a problem and its default."""

    def __init__(self, group: Group, store: SecretStore, found: Findings) -> None:
        self.group = group
        self.found = found
        self._store = store

    def variable(self, field: str) -> str:
        """Return the name of a field's variable."""
        return self.group.variable(field)

    def read(self, field: str, parse: Callable[[str], T], default: T) -> T:
        """Return a field's value, or its default when it is unset or wrong."""
        text = self.group.values.get(field)
        return default if text is None else self._parse(field, text, parse, default)

    def secret(self, field: str) -> Secret | None:
        """Return a secret from the environment or the store, or None."""
        text = self.group.values.get(field) or self._store.get(self.variable(field))
        if text is None:
            return None
        return self._parse(field, text, lambda value: Secret(parse_secret_text(value)), None)

    def required(self, field: str, what: str) -> bool:
        """Tell whether a field is there; its absence becomes a problem."""
        known = field in self.group.values or bool(self._store.get(self.variable(field)))
        if not known:
            others = ", ".join(self.variable(name) for name in sorted(self.group.values))
            self.found.add(
                MissingValueError(self.variable(field), f"is not set beside {others}; set {what}")
            )
        return known

    def _parse(self, field: str, text: str, parse: Callable[[str], T], default: T) -> T:
        try:
            return parse(text)
        except ValueError as error:
            self.found.invalid(self.variable(field), error)
            return default


def compile_backends(
    groups: Sequence[Group], settings: Settings, store: SecretStore, found: Findings
) -> tuple[Backend, ...]:
    """Compile all backends, in the order of their index."""
    missing = missing_indexes(groups)
    if missing:
        found.warnings.append(
            f"AZURE_OPENAI_ENDPOINT_{missing[0]}: is not set although a higher index is; "
            "the gap is skipped"
        )
    backends = [_backend(Fields(group, store, found), settings) for group in groups]
    _check_unique_names(backends, groups, found)
    if backends and all(backend.mode is BackendMode.DRAIN for backend in backends):
        found.warnings.append("AZURE_OPENAI_MODE: every backend drains; all requests get a 503")
    return tuple(backends)


def _backend(fields: Fields, settings: Settings) -> Backend:
    for name, planned in PLANNED_BACKEND_FIELDS.items():
        fields.found.planned(fields.variable(name), fields.group.values.get(name, ""), planned)
    auth_mode, key = _auth(fields)
    deployments = fields.read("DEPLOYMENTS", _deployments, tuple[str, ...]())
    mapping = fields.read("DEPLOYMENT_MAP", _deployment_map, tuple[tuple[str, str], ...]())
    for name, _ in mapping:
        if deployments and name not in deployments:
            fields.found.warnings.append(
                f"{fields.variable('DEPLOYMENT_MAP')}: maps a name that "
                f"{fields.variable('DEPLOYMENTS')} does not list, so it is never used"
            )
    return Backend(
        index=fields.group.index,
        name=fields.read("NAME", _backend_name, f"backend{fields.group.index}"),
        endpoint=_endpoint(fields, settings.allow_http),
        auth_mode=auth_mode,
        key=key,
        priority=fields.read("PRIORITY", whole(-1_000_000, 1_000_000), 5),
        weight=fields.read("WEIGHT", whole(0, 1_000_000), 1),
        mode=BackendMode(fields.read("MODE", choice(*BackendMode), "active")),
        region=fields.read("REGION", _matching(_REGION, "region such as eastus2"), None),
        capacity=fields.read("CAPACITY", choice("ptu", "payg"), None),
        deployments=deployments,
        deployment_map=mapping,
        api_version=fields.read("API_VERSION", _matching(_VERSION, "version: 2024-10-21"), None),
    )


def _endpoint(fields: Fields, allow_http: bool) -> str:
    if not fields.required("ENDPOINT", "https://NAME.openai.azure.com"):
        return ""
    endpoint, dropped = fields.read(
        "ENDPOINT", lambda text: parse_endpoint(text, allow_http=allow_http), ("", False)
    )
    if dropped:
        fields.found.warnings.append(
            f"{fields.variable('ENDPOINT')}: the path is dropped, only {endpoint} is used"
        )
    return endpoint


def _auth(fields: Fields) -> tuple[AuthMode, Secret | None]:
    variable, key_name = fields.variable("AUTH_MODE"), fields.variable("KEY")
    key = fields.secret("KEY")
    key_is_wrong = key is None and "KEY" in fields.group.values
    default = "api-key" if key or key_is_wrong else "entra"
    mode = AUTH_MODES[fields.read("AUTH_MODE", choice(*AUTH_MODES), default)]
    if mode == "entra":
        explicit = "AUTH_MODE" in fields.group.values
        name, why = (variable, "entra") if explicit else (key_name, "is not set, which means entra")
        fields.found.add(
            NotAvailableError(
                name,
                f"{why}: managed identity is not available in this version; set {key_name}, "
                f"or {variable}=none for a backend without a key",
            )
        )
    elif mode == "none":
        if key:
            fields.found.warnings.append(f"{key_name}: is not used, {variable} is none")
        return AuthMode.NONE, None
    elif key is None and not key_is_wrong:
        fields.found.add(
            MissingValueError(key_name, f"is not set, {variable} is api-key; set the key")
        )
    elif key and key.value == PLACEHOLDER_KEY:
        fields.found.invalid(key_name, "is a deployment's placeholder; set the account's real key")
    return AuthMode.API_KEY, key


def _check_unique_names(
    backends: Sequence[Backend], groups: Sequence[Group], found: Findings
) -> None:
    owner: dict[str, str] = {}
    for backend, group in zip(backends, groups, strict=True):
        variable = group.variable("NAME")
        if backend.name in owner:
            found.add(ConflictError(variable, f"is the name of {owner[backend.name]}; change one"))
        owner.setdefault(backend.name, variable)


def compile_clients(
    groups: Sequence[Group], settings: Settings, store: SecretStore, found: Findings
) -> tuple[Client, ...]:
    """Compile the clients, the one without an index included."""
    for index in missing_indexes(groups):
        found.add(
            MissingValueError(
                f"GATEWAY_CLIENT_KEY_{index}",
                "is not set although a higher index is; clients are numbered without gaps",
            )
        )
    named: list[tuple[str, str, Client]] = []
    for group in groups:
        client = _client(Fields(group, store, found))
        if client:
            named.append((group.variable("NAME"), group.variable("KEY"), client))
    if settings.gateway_client_key:
        legacy = Client(name=LEGACY_CLIENT, key=settings.gateway_client_key, key_secondary=None)
        named.append(("GATEWAY_CLIENT_KEY", "GATEWAY_CLIENT_KEY", legacy))
    _check_unique_clients(named, found)
    return tuple(client for _, _, client in named)


def _client(fields: Fields) -> Client | None:
    for field, planned in PLANNED_CLIENT_FIELDS.items():
        fields.found.planned(fields.variable(field), fields.group.values.get(field, ""), planned)
    fields.required("NAME", "the client's name")
    fields.required("KEY", "the client's key")
    name = fields.read("NAME", _matching(_CONSUMER, "name of letters, digits, _ and -"), None)
    key, second = fields.secret("KEY"), fields.secret("KEY_SECONDARY")
    for field, secret in (("KEY", key), ("KEY_SECONDARY", second)):
        if secret and len(secret.value) < MIN_CLIENT_KEY:
            fields.found.invalid(
                fields.variable(field),
                f"{shape(secret.value)} is too short for a client key; "
                f"use {MIN_CLIENT_KEY} or more random characters",
            )
    if key and key == second:
        fields.found.warnings.append(f"{fields.variable('KEY_SECONDARY')}: is the same as the KEY")
    return Client(name=name, key=key, key_secondary=second) if name and key else None


def _check_unique_clients(named: Sequence[tuple[str, str, Client]], found: Findings) -> None:
    names: dict[str, str] = {}
    keys: dict[str, str] = {}
    for name_variable, key_variable, client in named:
        if client.name in names:
            found.add(ConflictError(name_variable, f"is the name of {names[client.name]}"))
        names.setdefault(client.name, name_variable)
        for secret in client.keys:
            if secret.value in keys:
                found.add(
                    ConflictError(
                        key_variable,
                        f"is the key of {keys[secret.value]} too; each client needs its own",
                    )
                )
            keys.setdefault(secret.value, key_variable)


def _matching(pattern: re.Pattern[str], what: str) -> Callable[[str], str | None]:
    def parse(text: str) -> str | None:
        text = text.strip()
        if not pattern.fullmatch(text):
            raise ValueError(f"{shape(text)} is no {what}")
        return text

    return parse


def _backend_name(text: str) -> str:
    text = text.strip()
    if not _LABEL.fullmatch(text) or text.startswith(("$", "literal:")):
        raise ValueError(
            f"{shape(text)} is no name; use up to 100 printable ASCII characters, not $ in front"
        )
    return text


def _deployment(text: str) -> str:
    if not _DEPLOYMENT.fullmatch(text):
        raise ValueError(f"{shape(text)} is no deployment name; use letters, digits and ._-")
    return text


def _deployments(text: str) -> tuple[str, ...]:
    names = [name for name in (part.strip() for part in text.split(",")) if name]
    return tuple(dict.fromkeys(_deployment(name) for name in names))


def _deployment_map(text: str) -> tuple[tuple[str, str], ...]:
    mapping: dict[str, str] = {}
    for part in (part.strip() for part in text.split(",")):
        if not part:
            continue
        client, separator, backend = (piece.strip() for piece in part.partition("="))
        if not separator:
            raise ValueError(f"{shape(part)} is no pair; use CLIENT_NAME=BACKEND_NAME,...")
        if client in mapping:
            raise ValueError("maps one client name twice; keep one")
        mapping[_deployment(client)] = _deployment(backend)
    return tuple(mapping.items())
