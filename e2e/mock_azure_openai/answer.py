"""What the operations work with: a call, and the answer as blocks that are sent whole."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from . import usage as tokens

if TYPE_CHECKING:
    from .canned import CannedError
    from .script import Action
    from .usage import Usage

HeaderValue = str | Sequence[str]
JSON_TYPE = "application/json"
SSE_TYPE = "text/event-stream; charset=utf-8"
DONE = b"data: [DONE]\n\n"

_TEXT = (
    "Hello| from| the| mock:| na\u00efve| caf\u00e9,| \u6f22\u5b57| \U0001f642\U0001f680| end\u2026"
)
_WORDS = tuple(_TEXT.split("|"))
SAFE = {
    name: {"filtered": False, "severity": "safe"}
    for name in ("hate", "self_harm", "sexual", "violence")
}
PROMPT_SAFE = {**SAFE, "jailbreak": {"filtered": False, "detected": False}}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Call:
    """One request to an operation, read far enough to answer it. `created`: epoch seconds."""

    seq: int
    created: int
    operation: str
    deployment: str
    body: Mapping[str, Any]
    action: Action
    mock: str
    api_version: str | None = None

    @property
    def stream(self) -> bool:
        """Whether the request asks for an event stream."""
        return self.body.get("stream") is True

    @property
    def ident(self) -> str:
        """The part of an answer's ids that names the mock and the request."""
        return f"{self.mock}{self.seq:08d}"

    @property
    def include_usage(self) -> bool:
        """Whether the stream is to end with a usage event."""
        options = self.body.get("stream_options")
        return isinstance(options, Mapping) and options.get("include_usage") is True

    def usage(self, visible: int) -> Usage:
        """Return the script's usage, else the one derived from request and answer."""
        return self.action.usage or tokens.derive(self.body, self.deployment, visible)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Block:
    """One thing that is sent whole: a JSON body or one event.

    `usage` is the usage that can be read in it; `paced` blocks wait for `delta_delay_ms` first.
    """

    data: bytes
    usage: Usage | None = None
    paced: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Answer:
    """A whole answer; header names are lower-case, a list of values is sent as several lines."""

    status: int
    headers: Mapping[str, HeaderValue]
    blocks: tuple[Block, ...]
    stream: bool = False


def compact(data: Any) -> bytes:
    """JSON as the service writes it: no spaces, UTF-8 not escaped."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode()


def event(data: Any, *, name: str | None = None) -> bytes:
    """One server-sent event."""
    head = f"event: {name}\n".encode() if name else b""
    return head + b"data: " + compact(data) + b"\n\n"


def json_answer(
    data: Any, *, usage: Usage | None = None, headers: Mapping[str, str] | None = None
) -> Answer:
    """Return a 200 with a JSON body."""
    block = Block(data=compact(data), usage=usage)
    more = headers or {}
    return Answer(status=200, headers={"content-type": JSON_TYPE, **more}, blocks=(block,))


def stream_answer(blocks: list[Block]) -> Answer:
    """Return a 200 with an event stream."""
    return Answer(status=200, headers={"content-type": SSE_TYPE}, blocks=tuple(blocks), stream=True)


def error_answer(error: CannedError) -> Answer:
    """Return a canned error."""
    headers = {"content-type": JSON_TYPE, **error.headers}
    return Answer(status=error.status, headers=headers, blocks=(Block(data=compact(error.body)),))


def pieces(call: Call) -> tuple[list[str], str]:
    """Return the text deltas of an answer (one token each) and the finish reason."""
    action = call.action
    if action.content is not None:
        words = _cut(action.content, action.deltas or 1)
    elif action.content_bytes is not None:
        words = _cut("mock text " * (action.content_bytes // 10 + 1), action.deltas or 1)
        words = _cut("".join(words)[: action.content_bytes], action.deltas or 1)
    else:
        wanted = len(_WORDS) if action.deltas is None else action.deltas
        words = [_WORDS[i % len(_WORDS)] for i in range(wanted)]
    limit = _limit(call.body)
    return (words[:limit], "length") if limit < len(words) else (words, "stop")


def _cut(text: str, parts: int) -> list[str]:
    size = max(1, -(-len(text) // parts))
    return [text[i : i + size] for i in range(0, len(text), size)]


def _limit(body: Mapping[str, Any]) -> int:
    limits = [
        body[name]
        for name in ("max_tokens", "max_completion_tokens", "max_output_tokens")
        if type(body.get(name)) is int
    ]
    return max(0, min(limits)) if limits else 1 << 62
