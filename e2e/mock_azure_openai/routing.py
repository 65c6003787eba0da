"""From method, raw path, query and body to an operation, with the service's own refusals."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from . import canned

if TYPE_CHECKING:
    from .canned import CannedError

_LEGACY = re.compile(
    r"/openai/deployments/(?P<d>[^/]+)/(?P<op>chat/completions|completions|embeddings|responses)"
)
_ACCOUNT = re.compile(r"/openai/(?P<op>responses)")
_V1 = re.compile(r"/openai/v1/(?P<op>chat/completions|completions|embeddings|responses)")
_MODELS = re.compile(r"/openai/v1/models(?:/(?P<id>[^/]+))?")
_API_VERSION = re.compile(r"\d{4}-\d\d-\d\d(-preview)?")
_V1_VERSIONS = ("v1", "preview", "latest")
_STREAM_OPTIONS_SINCE = "2024-09-01"
_OPERATIONS = {"chat/completions": "chat"}
_REQUIRED = {
    "chat": "messages",
    "completions": "prompt",
    "embeddings": "input",
    "responses": "input",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Target:
    """What a request is for. `operation` also: `models`, `model` (then `deployment` is its id)."""

    operation: str
    deployment: str
    body: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    api_version: str | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Hint:
    """What can be told about any request for the journal and the rules, however wrong it is."""

    deployment: str | None
    stream: bool


def hint(path: str, body: Any) -> Hint:
    """Deployment (from the path, else the body's `model`) and `stream`, where they are there."""
    found = re.match(r"/openai/deployments/([^/]+)/", path)
    fields = body if isinstance(body, Mapping) else {}
    model = fields.get("model")
    deployment = unquote(found[1]) if found else model if isinstance(model, str) else None
    return Hint(deployment=deployment, stream=fields.get("stream") is True)


def parse_body(raw: bytes) -> Any:
    """Return the JSON value of a body, None when it is not JSON."""
    try:
        return json.loads(raw)
    except ValueError:
        return None


def resolve(
    method: str, path: str, query: Sequence[tuple[str, str]], body: Any
) -> Target | CannedError:
    """Return the target of a request or the error that the service answers with."""
    versions = [value for name, value in query if name == "api-version"]
    if models := _MODELS.fullmatch(path):
        return _resolve_models(method, models, versions)
    legacy, account = _LEGACY.fullmatch(path), _ACCOUNT.fullmatch(path)
    found = legacy or account or _V1.fullmatch(path)
    if found is None or method != "POST":
        return canned.named("404")
    dated = legacy or account
    refused = _refuse_legacy_version(versions) if dated else _refuse_v1_version(versions)
    if refused:
        return refused
    if not isinstance(body, Mapping):
        return canned.bad_request("We could not parse the JSON body of your request.")
    deployment = unquote(legacy["d"]) if legacy else body.get("model")
    if not isinstance(deployment, str) or not deployment:
        return canned.bad_request("you must provide a model parameter", param="model")
    target = Target(
        operation=_OPERATIONS.get(found["op"], found["op"]),
        deployment=deployment,
        body=body,
        api_version=versions[0] if versions else None,
    )
    return _refuse_body(target, legacy=bool(legacy)) or target


def _resolve_models(
    method: str, found: re.Match[str], versions: Sequence[str]
) -> Target | CannedError:
    if method != "GET":
        return canned.named("404")
    name = unquote(found["id"] or "")
    target = Target(operation="model" if name else "models", deployment=name)
    return _refuse_v1_version(versions) or target


def _refuse_legacy_version(versions: Sequence[str]) -> CannedError | None:
    if not versions:
        return canned.named("404")
    if len(versions) > 1 or not _API_VERSION.fullmatch(versions[0]):
        return canned.bad_api_version("API version not supported")
    return None


def _refuse_v1_version(versions: Sequence[str]) -> CannedError | None:
    if len(versions) > 1 or (versions and versions[0] not in _V1_VERSIONS):
        return canned.bad_api_version(
            "api-version query parameter is not allowed when using /v1 path"
        )
    return None


def _refuse_body(target: Target, *, legacy: bool) -> CannedError | None:
    required = _REQUIRED[target.operation]
    if required not in target.body:
        return canned.bad_request(f"'{required}' is a required property")
    if target.operation not in ("chat", "completions") or "stream_options" not in target.body:
        return None
    if legacy and (target.api_version or "") < _STREAM_OPTIONS_SINCE:
        return canned.named("stream_options")
    if target.body.get("stream") is not True:
        message = "The 'stream_options' parameter is only allowed when 'stream' is enabled."
        return canned.bad_request(message, param="stream_options")
    return None
