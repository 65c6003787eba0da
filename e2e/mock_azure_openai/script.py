"""The script language: which request gets which answer, and how its bytes are sent.

Frozen data only. `script_json` reads and writes the same as JSON; `matching` keeps the counters.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .usage import Usage

Place = Literal["before_headers", "after_headers"]
Framing = Literal["auto", "length", "chunked", "close"]
SseErrorStyle = Literal["auto", "data", "error", "response.failed"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class At:
    """A point of the body: before its byte number `at_byte` (0 = nothing of the body was sent).

    A point beyond the body is its end, before the end of the message is marked.
    """

    at_byte: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Split:
    """Boundaries between writes to the socket, in bytes of the body."""

    split_at: tuple[int, ...] = ()
    split_every: int = 0
    pause_ms: float = 2
    """Time between two writes, so that the peer's kernel does not hand out both in one read."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SseError:
    """An error event that ends the stream after `after_events` events.

    `style`: `data` is `data: {"error":...}` as chat sends it; `error` and `response.failed` are
    the events of the Responses API; `auto` is `error` on Responses and `data` elsewhere.
    """

    code: str | int | None = "429"
    message: str = "Rate limit is exceeded. Try again later."
    after_events: int = 0
    style: SseErrorStyle = "auto"
    type: str | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Action:
    """What a matched request gets. Without a field set, the honest answer, sent honestly.

    The answer: `error` (name of a canned Azure error), or `status` with `body` (a string is sent
    as it is, anything else as JSON), or raw bytes from `body_base64` or `body_file`. `headers`
    replace those of the same name: a list is sent as several lines, None takes one away. `usage`,
    `deltas`, `content` and `content_bytes` shape the honest answer. Times are milliseconds.
    """

    status: int | None = None
    error: str | None = None
    retry_after_ms: int = 1000
    headers: Mapping[str, str | Sequence[str] | None] = dataclasses.field(default_factory=dict)
    body: Any = None
    body_base64: str | None = None
    body_file: str | None = None

    usage: Usage | None = None
    deltas: int | None = None
    content: str | None = None
    content_bytes: int | None = None
    delta_delay_ms: float = 0
    crlf: bool = False
    comments: bool = False
    sse_error: SseError | None = None

    delay_ms: float = 0
    hang: bool = False
    hold_before_headers: bool = False
    hold_after_bytes: int | None = None
    hold_after_events: int | None = None
    reset: Place | At | None = None
    close: Place | At | None = None
    split: Split | None = None
    gzip: bool = False
    framing: Framing = "auto"

    @property
    def has_answer(self) -> bool:
        """Whether the action brings an answer of its own instead of shaping the honest one."""
        own = (self.status, self.error, self.body, self.body_base64, self.body_file)
        return any(value is not None for value in own)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Match:
    """Which requests a rule is for; every field that is set must fit.

    `path` is a glob over the raw path without the query; `nth` is the n-th request (from 1) that
    fits the other fields.
    """

    path: str | None = None
    method: str | None = None
    deployment: str | None = None
    stream: bool | None = None
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)
    nth: int | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rule:
    """One line of a script; `times` limits how often it is used (None = always)."""

    action: Action
    match: Match = dataclasses.field(default_factory=Match)
    times: int | None = None


@dataclasses.dataclass(frozen=True)
class Script:
    """Rules in order; the first that fits is used, and without one the honest answer is sent."""

    rules: tuple[Rule, ...] = ()
