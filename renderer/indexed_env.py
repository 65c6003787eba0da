"""Reader of the indexed groups: `AZURE_OPENAI_<FIELD>_<N>` and `GATEWAY_CLIENT_<FIELD>_<N>`.

Pure: it sorts texts into groups and reports names that cannot be meant. What a field's text means
is decided elsewhere.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from renderer.errors import ConflictError, UnknownVariableError, VariableError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True)
class GroupSpec:
    """An indexed group: its prefix with the trailing underscore and its fields."""

    prefix: str
    fields: Sequence[str]


@dataclass(frozen=True, slots=True)
class Group:
    """The fields of one index; empty texts are left out."""

    prefix: str
    index: int
    values: Mapping[str, str]

    def variable(self, field: str) -> str:
        """Return the name of a field's variable."""
        return f"{self.prefix}{field}_{self.index}"


def read_groups(env: Mapping[str, str], spec: GroupSpec) -> tuple[list[Group], list[VariableError]]:
    """Sort the variables of one group by index; `_00` and `_0` are the same index."""
    pattern = re.compile(re.escape(spec.prefix) + r"([A-Z0-9_]*?)_?([0-9]+)")
    found: dict[int, dict[str, str]] = {}
    problems: list[VariableError] = []
    spelled: dict[tuple[int, str], str] = {}
    for name in sorted(env):
        match = pattern.fullmatch(name)
        if not match:
            continue
        field, index = match[1], int(match[2])
        glued = not name.endswith(f"_{match[2]}")
        if glued and field not in spec.fields:
            continue
        if glued or field not in spec.fields:
            problems.append(_unknown(name, spec, field, match[2]))
        elif (index, field) in spelled:
            problems.append(
                ConflictError(name, f"is the same as {spelled[index, field]}; keep one")
            )
        else:
            spelled[index, field] = name
            found.setdefault(index, {})[field] = env[name]
    groups = [Group(spec.prefix, index, _not_empty(found[index])) for index in sorted(found)]
    return [group for group in groups if group.values], problems


def _not_empty(values: Mapping[str, str]) -> Mapping[str, str]:
    return {field: text for field, text in values.items() if text.strip()}


def _unknown(name: str, spec: GroupSpec, field: str, index: str) -> UnknownVariableError:
    near = difflib.get_close_matches(field, spec.fields, n=1, cutoff=0.6)
    advice = (
        f"did you mean {spec.prefix}{near[0]}_{index}?"
        if near
        else f"fields are {', '.join(spec.fields)}"
    )
    return UnknownVariableError(name, f"is not known; {advice}")


def missing_indexes(groups: Sequence[Group]) -> list[int]:
    """Return the indexes that are missing below the last one; a group may start at 0 or 1."""
    if not groups:
        return []
    present = {group.index for group in groups}
    first = 0 if 0 in present else 1
    return [index for index in range(first, max(present)) if index not in present][:20]
