"""Scripts as JSON. Strict: an unknown name or a wrong type is an error that says where."""

from __future__ import annotations

import base64
import binascii
import dataclasses
import difflib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from . import canned
from .script import Action, At, Match, Rule, Script, Split, SseError
from .usage import Usage

if TYPE_CHECKING:
    from pathlib import Path

_LEAST_STATUS, _MOST_STATUS = 200, 599
_PLACES = ("before_headers", "after_headers")
_FRAMINGS = ("auto", "length", "chunked", "close")
_STYLES = ("auto", "data", "error", "response.failed")
_TYPES: dict[str, tuple[type, ...]] = {
    "bool": (bool,),
    "int": (int,),
    "float": (int, float),
    "str": (str,),
    "None": (type(None),),
}


class ScriptError(ValueError):
    """A script that cannot be used; the text is one line and names the place."""


def parse(document: Any, *, base: Path | None) -> Script:
    """Read a script: `{"rules": [...]}`, a list of rules, or one rule.

    `base` is the folder that `body_file` is relative to; None forbids `body_file` (scripts that
    come over HTTP must not read files).
    """
    if isinstance(document, Mapping) and set(document) == {"rules"}:
        document = document["rules"]
    rules = document if isinstance(document, list) else [document]
    return Script(tuple(_rule(rule, f"rules[{i}]", base) for i, rule in enumerate(rules)))


def load(path: Path) -> Script:
    """Read a script file; ScriptError when it is no JSON or no script."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ScriptError(f"could not read {path}: {error}") from None
    return parse(document, base=path.parent)


def dump(script: Script) -> dict[str, Any]:
    """Return the script as JSON data, without fields at their defaults."""
    return {"rules": [_sparse(rule) for rule in script.rules]}


def _sparse(item: Any) -> Any:
    if not dataclasses.is_dataclass(item) or isinstance(item, type):
        return list(item) if isinstance(item, tuple) else item
    found = {}
    for field in dataclasses.fields(item):
        value = getattr(item, field.name)
        default = field.default
        if field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        if value != default:
            found[field.name] = _sparse(value)
    return found


def _rule(data: Any, where: str, base: Path | None) -> Rule:
    fields = _fields(Rule, data, where)
    if "action" not in fields:
        raise ScriptError(f"{where}: action is missing")
    fields["action"] = _action(fields["action"], f"{where}.action", base)
    if "match" in fields:
        fields["match"] = Match(**_fields(Match, fields["match"], f"{where}.match"))
    return Rule(**fields)


def _action(data: Any, where: str, base: Path | None) -> Action:
    fields = _fields(Action, data, where)
    for name in ("reset", "close"):
        if name in fields:
            fields[name] = _point(fields[name], f"{where}.{name}")
    if "split" in fields:
        fields["split"] = _split(fields["split"], f"{where}.split")
    if "sse_error" in fields:
        fields["sse_error"] = SseError(**_fields(SseError, fields["sse_error"], where))
        _one_of(fields["sse_error"].style, _STYLES, f"{where}.sse_error.style")
    if "usage" in fields:
        fields["usage"] = Usage(**_fields(Usage, fields["usage"], f"{where}.usage"))
    _one_of(fields.get("framing", "auto"), _FRAMINGS, f"{where}.framing")
    if fields.get("error") is not None:
        _one_of(fields["error"], canned.NAMES, f"{where}.error")
    status = fields.get("status")
    if status is not None and not _LEAST_STATUS <= status <= _MOST_STATUS:
        message = f"{status} is not between {_LEAST_STATUS} and {_MOST_STATUS}"
        raise ScriptError(f"{where}.status: {message}")
    _raw_body(fields, where, base)
    return Action(**fields)


def _raw_body(fields: dict[str, Any], where: str, base: Path | None) -> None:
    if fields.get("body_base64") is not None:
        try:
            base64.b64decode(fields["body_base64"], validate=True)
        except binascii.Error as error:
            raise ScriptError(f"{where}.body_base64: {error}") from None
    if fields.get("body_file") is not None:
        if base is None:
            raise ScriptError(f"{where}.body_file: not over HTTP; use body_base64")
        path = base / fields["body_file"]
        if not path.is_file():
            raise ScriptError(f"{where}.body_file: {path} is not a file")
        fields["body_file"] = str(path)


def _point(data: Any, where: str) -> Any:
    if isinstance(data, Mapping):
        return At(**_fields(At, data, where))
    _one_of(data, _PLACES, where)
    return data


def _split(data: Any, where: str) -> Split:
    if isinstance(data, Mapping) and isinstance(data.get("split_at"), int):
        data = {**data, "split_at": [data["split_at"]]}
    fields = _fields(Split, data, where)
    if "split_at" in fields:
        offsets = fields["split_at"]
        if not isinstance(offsets, list) or not all(type(item) is int for item in offsets):
            raise ScriptError(f"{where}.split_at: expected a number or a list of numbers")
        fields["split_at"] = tuple(offsets)
    return Split(**fields)


def _fields(kind: type, data: Any, where: str) -> dict[str, Any]:
    if not isinstance(data, Mapping):
        raise ScriptError(f"{where}: expected an object, got {type(data).__name__}")
    known = {field.name: str(field.type) for field in dataclasses.fields(kind)}
    for name, value in data.items():
        if name not in known:
            near = difflib.get_close_matches(str(name), known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(known)}"
            raise ScriptError(f"{where}: unknown field {name!r}{hint}")
        _check(value, known[name], f"{where}.{name}")
    return dict(data)


def _check(value: Any, annotation: str, where: str) -> None:
    """Check scalars by their annotation; structured fields have parsers of their own."""
    parts = [part.strip() for part in annotation.split("|")]
    if not all(part in _TYPES for part in parts):
        return
    allowed = tuple(kind for part in parts for kind in _TYPES[part])
    wrong_bool = isinstance(value, bool) and bool not in allowed
    if wrong_bool or not isinstance(value, allowed):
        raise ScriptError(f"{where}: expected {annotation}, got {type(value).__name__}")
    if isinstance(value, int | float) and value < 0:
        raise ScriptError(f"{where}: must not be negative")


def _one_of(value: Any, known: tuple[str, ...], where: str) -> None:
    if value not in known:
        raise ScriptError(f"{where}: {value!r} is not one of {', '.join(known)}")
