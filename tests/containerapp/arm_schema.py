"""Checks a resource against Microsoft's own models of the API, strictly.

The models accept unknown keys and any type when they are made, because they have to read answers
of later API versions. So this walks their type hints instead.
"""

from __future__ import annotations

import enum
import importlib
import sys
import types
import typing

SIMPLE = {str: (str,), bool: (bool,), int: (int,), float: (int, float)}


def problems(model, value, where=""):
    """Return what is wrong with `value` as a `model`, one line for each problem."""
    if not isinstance(value, dict):
        return [f"{where}: expected an object, found {value!r}"]
    fields = rest_fields(model)
    found = []
    for key, item in value.items():
        place = f"{where}.{key}"
        if key not in fields:
            found.append(f"{place}: {model.__name__} has no such property")
            continue
        field, hint = fields[key]
        if field._visibility == ["read"]:  # noqa: SLF001
            found.append(f"{place}: is set by the service only")
        found += wrong(hint, item, place)
    return found


def rest_fields(model):
    """Return name on the wire -> (field, type) of a model."""
    names = vars(sys.modules[model.__module__])
    package = importlib.import_module(model.__module__.rpartition(".")[0])
    hints = typing.get_type_hints(model, {**names, "_models": package})
    found = {}
    for base in reversed(model.__mro__):
        for name, field in vars(base).items():
            if type(field).__name__ == "_RestField":
                wire = field._rest_name_input or name  # noqa: SLF001
                found[wire] = (field, hints[name])
    return found


def wrong(hint, value, where):
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in {typing.Union, types.UnionType}:
        return wrong_union(arguments, value, where)
    if origin is list:
        return wrong_list(arguments[0], value, where)
    if origin is dict:
        return wrong_map(arguments[1], value, where)
    if hint in SIMPLE:
        good = isinstance(value, SIMPLE[hint]) and (hint is bool or not isinstance(value, bool))
        return [] if good else [f"{where}: expected {hint.__name__}, found {value!r}"]
    return problems(hint, value, where)


def wrong_union(arguments, value, where):
    choices = [item for item in arguments if isinstance(item, type) and issubclass(item, enum.Enum)]
    if choices:
        known = [member.value for member in choices[0]]
        return [] if value in known else [f"{where}: {value!r} is none of {', '.join(known)}"]
    if value is None:
        return [f"{where}: is empty"]
    (only,) = [item for item in arguments if item is not type(None)]
    return wrong(only, value, where)


def wrong_list(hint, value, where):
    if not isinstance(value, list):
        return [f"{where}: expected a list, found {value!r}"]
    return [line for i, item in enumerate(value) for line in wrong(hint, item, f"{where}[{i}]")]


def wrong_map(hint, value, where):
    if not isinstance(value, dict):
        return [f"{where}: expected an object, found {value!r}"]
    return [line for k, item in value.items() for line in wrong(hint, item, f"{where}.{k}")]
