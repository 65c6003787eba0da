"""Proof, before anything is written, that the engine will read what the model says.

The text is read back the way APISIX and the collector read it, and compared with the document it
was made from and with the model itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import yaml

from renderer.apisix_view import LITERAL, revision
from renderer.errors import VerificationError

if TYPE_CHECKING:
    from renderer.model import Backend, GatewayModel

END_MARK = "#END"
# APISIX's own pattern, a little wider: what it would replace from the environment
_SUBSTITUTION = re.compile(r"\$\{\{")
_REFERENCE = re.compile(r"\$(secret|env)://", re.IGNORECASE)
_EXPANSION = re.compile(r"\$(\$|.?)")


def read_back(name: str, text: str) -> Any:
    """Parse a rendered file and refuse what its reader would replace or miss.

    Raises:
        VerificationError: naming the file, never a value of it.

    """
    if _SUBSTITUTION.search(text):
        raise VerificationError(f"{name}: holds a ${{{{...}}}} that APISIX would replace")
    if not text.isascii():
        raise VerificationError(f"{name}: holds text that is not ASCII")
    if name == "apisix.yaml" and not text.endswith(f"\n{END_MARK}\n"):
        raise VerificationError(f"{name}: does not end with {END_MARK}")
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" at line {mark.line + 1}" if mark else ""
        # the parser's own text quotes the line, and the line may hold a key
        raise VerificationError(f"{name}: is no YAML{line}") from None


def verify_document(name: str, text: str, document: Mapping[str, Any]) -> Any:
    """Read a file back and compare it with the document that it was rendered from."""
    found = read_back(name, text)
    if found != document:
        raise VerificationError(f"{name}: differs from its document at {_where(found, document)}")
    return found


def _where(found: Any, wanted: Any, path: str = "") -> str:
    if isinstance(found, dict) and isinstance(wanted, Mapping):
        for key in [*wanted, *(key for key in found if key not in wanted)]:
            if key not in found or key not in wanted or found[key] != wanted[key]:
                return _where(found.get(key), wanted.get(key), f"{path}/{key}")
    if isinstance(found, list) and isinstance(wanted, list) and len(found) == len(wanted):
        for index, (left, right) in enumerate(zip(found, wanted, strict=True)):
            if left != right:
                return _where(left, right, f"{path}/{index}")
    return path or "/"


def strings(value: Any) -> Iterator[str]:
    """Yield every string of a document, keys included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from strings(key)
            yield from strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)


def stripped(text: str) -> str:
    """Return what our plugins see: one `literal:` less."""
    return text.removeprefix(LITERAL)


def verify_apisix(document: Mapping[str, Any], model: GatewayModel) -> None:
    """Compare apisix.yaml, as the engine sees it, with the model."""
    route = document["routes"][0]
    if any(_REFERENCE.match(text) for text in strings(route["plugins"])):
        raise VerificationError("apisix.yaml: holds a reference that APISIX would resolve")
    conf = route["plugins"]["ai-proxy-multi"]
    if conf["azure_openai"]["revision"] != revision(conf):
        raise VerificationError("apisix.yaml: the revision is not the one of the configuration")
    _compare(
        "instances",
        [_engine_view(instance) for instance in conf["instances"]],
        [_model_view(backend) for backend in model.backends],
    )
    _compare(
        "consumers",
        {
            consumer["username"]: consumer["plugins"]["azure-openai-auth"]["key_sha256"]
            for consumer in document["consumers"]
        },
        {client.name: [key.sha256 for key in client.keys] for client in model.clients},
    )
    if ("azure-openai-auth" in route["plugins"]) is not model.require_auth:
        raise VerificationError("apisix.yaml: authentication is not as configured")
    _unique("instance names", [instance["name"] for instance in conf["instances"]])
    _unique("usernames", [consumer["username"] for consumer in document["consumers"]])


def _engine_view(instance: Mapping[str, Any]) -> tuple[Any, ...]:
    key = instance["auth"].get("header", {}).get("api-key")
    conf = instance["provider_conf"]
    mapping = conf.get("deployment_map", {})
    return (
        instance["name"],
        instance["override"]["endpoint"],
        None if key is None else stripped(key),
        instance["priority"],
        instance["weight"],
        conf["mode"],
        tuple(stripped(name) for name in conf.get("deployments", ())),
        tuple((name, stripped(target)) for name, target in mapping.items()),
        conf.get("api_version"),
    )


def _model_view(backend: Backend) -> tuple[Any, ...]:
    return (
        backend.name,
        backend.endpoint,
        backend.key.value if backend.key else None,
        backend.priority,
        backend.weight,
        backend.mode.value,
        backend.deployments,
        backend.deployment_map,
        backend.api_version,
    )


def _compare(what: str, found: Any, wanted: Any) -> None:
    if found != wanted:
        raise VerificationError(f"apisix.yaml: the {what} are not the ones of the model")


def _unique(what: str, names: list[str]) -> None:
    if len(set(names)) != len(names):
        raise VerificationError(f"apisix.yaml: the {what} are not unique")


def verify_config(document: Mapping[str, Any]) -> None:
    """Check config.yaml: APISIX replaces `${{NAME}}` there after parsing, too."""
    if any(_SUBSTITUTION.search(text) for text in strings(document)):
        raise VerificationError("config.yaml: holds a ${{...}} that APISIX would replace")


def verify_otel(document: Mapping[str, Any]) -> None:
    """Check that every component that a pipeline names exists and that nothing is expanded."""
    if any(_expands(text) for text in strings(document)):
        raise VerificationError("otel-collector.yaml: holds a ${...} that would be expanded")
    service = document["service"]
    for name, pipeline in service["pipelines"].items():
        for kind in ("receivers", "processors", "exporters"):
            parts = pipeline[kind]
            if not parts or any(part not in document[kind] for part in parts):
                raise VerificationError(f"otel-collector.yaml: pipeline {name} lacks {kind}")
    if any(name not in document["extensions"] for name in service["extensions"]):
        raise VerificationError("otel-collector.yaml: an extension is not configured")


def _expands(text: str) -> bool:
    return any(match[1] != "$" for match in _EXPANSION.finditer(text))


CHECKS: Mapping[str, Callable[[Any, GatewayModel], None]] = {
    "apisix.yaml": verify_apisix,
    "config.yaml": lambda document, _model: verify_config(document),
    "otel-collector.yaml": lambda document, _model: verify_otel(document),
}
