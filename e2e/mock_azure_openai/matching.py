"""Chooses the rule for a request and keeps the rules' counters."""

from __future__ import annotations

import dataclasses
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from .script import Action, Match, Script

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclasses.dataclass(frozen=True, kw_only=True)
class Facts:
    """What a rule can look at."""

    method: str
    path: str
    headers: Sequence[tuple[str, str]]
    deployment: str | None
    stream: bool


class RuleBook:
    """A script with its counters; used from the server's event loop only."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self._seen = [0] * len(script.rules)
        self._used = [0] * len(script.rules)

    def choose(self, facts: Facts) -> tuple[int | None, Action]:
        """Return index and action of the first rule that fits, else None and the honest action."""
        for index, rule in enumerate(self.script.rules):
            if not fits(rule.match, facts):
                continue
            self._seen[index] += 1
            if rule.match.nth is not None and self._seen[index] != rule.match.nth:
                continue
            if rule.times is not None and self._used[index] >= rule.times:
                continue
            self._used[index] += 1
            return index, rule.action
        return None, Action()


def fits(match: Match, facts: Facts) -> bool:
    """Whether every field of the match that is set fits the request (`nth` aside)."""
    headers = {(name.lower(), value) for name, value in facts.headers}
    wanted = {(name.lower(), value) for name, value in match.headers.items()}
    return (
        (match.path is None or fnmatchcase(facts.path, match.path))
        and (match.method is None or match.method.upper() == facts.method)
        and (match.deployment is None or match.deployment == facts.deployment)
        and (match.stream is None or match.stream == facts.stream)
        and wanted <= headers
    )
