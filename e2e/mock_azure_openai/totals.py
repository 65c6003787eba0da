"""Sums over finished requests."""

from __future__ import annotations

import dataclasses
from collections import Counter
from typing import Any

from .usage import Usage

_KINDS = tuple(Usage().as_dict())


@dataclasses.dataclass(kw_only=True)
class _Deployment:
    requests: int = 0
    tokens: Counter[str] = dataclasses.field(default_factory=Counter)


class Totals:
    """Requests by status and by end, and the tokens of the usage that was sent."""

    def __init__(self) -> None:
        self._by_status: Counter[str] = Counter()
        self._by_end: Counter[str] = Counter()
        self._tokens: Counter[str] = Counter()
        self._without_usage = 0
        self._deployments: dict[str, _Deployment] = {}
        self._in_flight = 0
        self._max_in_flight = 0

    def in_flight(self, now: int) -> None:
        """Note how many requests are open."""
        self._in_flight = now
        self._max_in_flight = max(self._max_in_flight, now)

    def add(
        self, status: int | None, ended: str, deployment: str | None, usage: Usage | None
    ) -> None:
        """Add a finished request; status None means that no headers were sent."""
        self._by_status["none" if status is None else str(status)] += 1
        self._by_end[ended] += 1
        counts = usage.as_dict() if usage else {}
        self._tokens.update(counts)
        if deployment is None:
            return
        if status == 200 and usage is None:
            self._without_usage += 1
        own = self._deployments.setdefault(deployment, _Deployment())
        own.requests += 1
        own.tokens.update(counts)

    def as_dict(self) -> dict[str, Any]:
        """JSON data; every token kind is there."""
        return {
            "requests": sum(self._by_end.values()),
            "by_status": dict(self._by_status),
            "by_end": dict(self._by_end),
            "tokens": {kind: self._tokens[kind] for kind in _KINDS},
            "without_usage": self._without_usage,
            "deployments": {
                name: {
                    "requests": own.requests,
                    "tokens": {kind: own.tokens[kind] for kind in _KINDS},
                }
                for name, own in self._deployments.items()
            },
            "in_flight": self._in_flight,
            "max_in_flight": self._max_in_flight,
        }
