"""The answer to a request: the honest one, shaped or replaced by the rule's action."""

from __future__ import annotations

import base64
import dataclasses
import re
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import canned, chat, responses, simple_operations
from .answer import (
    JSON_TYPE,
    SSE_TYPE,
    Answer,
    Block,
    Call,
    HeaderValue,
    compact,
    error_answer,
    event,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from .routing import Target
    from .script import Action, SseError

_BUILDERS: Mapping[str, Callable[[Call], Answer]] = {
    "chat": chat.answer,
    "completions": simple_operations.completions,
    "embeddings": simple_operations.embeddings,
    "responses": responses.answer,
}
_DEFAULT_MODELS = ("gpt-4o", "gpt-4o-mini", "o3-mini", "text-embedding-3-small")
_COMMENT = b": mock comment\n\n"
_EVENT_END = re.compile(rb"(?<=\n\n)|(?<=\r\n\r\n)")
_BARE_NEWLINE = re.compile(rb"(?<!\r)\n")
_MODELS_CREATED = 1_700_000_000
_GZIP = 31


def answer(call: Call, deployments: Sequence[str] | None) -> Answer:
    """Return the honest answer of a mock that serves `deployments` (None = every name)."""
    names = _DEFAULT_MODELS if deployments is None else deployments
    if call.operation == "models":
        return simple_operations.models(names, _MODELS_CREATED)
    if deployments is not None and call.deployment not in deployments:
        return error_answer(canned.named("DeploymentNotFound"))
    if call.operation == "model":
        return simple_operations.model(call.deployment, _MODELS_CREATED)
    return _BUILDERS[call.operation](call)


def scripted(action: Action, target: Target | None, *, stream: bool) -> Answer:
    """Return the answer that the action brings itself (`action.has_answer`)."""
    if action.error is not None:
        error = canned.named(
            action.error,
            operation=target.operation if target else "chat",
            api_version=target.api_version if target else None,
            retry_after_ms=action.retry_after_ms,
        )
        found = error_answer(error)
        return dataclasses.replace(found, status=action.status or found.status)
    raw, kind = _own_body(action)
    status = action.status or 200
    is_stream = kind is None and stream and status < 300 and bool(raw)
    blocks = _EVENT_END.split(raw) if is_stream else [raw]
    sent = [Block(data=block, paced=is_stream) for block in blocks if block or not is_stream]
    sent[-1] = dataclasses.replace(sent[-1], usage=action.usage)
    headers = {"content-type": kind or (SSE_TYPE if is_stream else JSON_TYPE)} if raw else {}
    return Answer(status=status, headers=headers, blocks=tuple(sent), stream=is_stream)


def _own_body(action: Action) -> tuple[bytes, str | None]:
    """Return the bytes, and their content type when it does not depend on the request."""
    if action.body_base64 is not None:
        return base64.b64decode(action.body_base64), None
    if action.body_file is not None:
        return Path(action.body_file).read_bytes(), None
    if action.body is None:
        return b"", None
    if isinstance(action.body, str):
        return action.body.encode(), None
    return compact(action.body), JSON_TYPE


def shape(answer: Answer, action: Action, operation: str) -> Answer:
    """Apply what the action says about events, compression and headers."""
    blocks: Sequence[Block] = answer.blocks
    if answer.stream:
        blocks = _shape_events(blocks, action, operation)
    headers: dict[str, HeaderValue] = dict(answer.headers)
    if action.gzip:
        blocks = _compress(blocks)
        headers["content-encoding"] = "gzip"
    for name, value in action.headers.items():
        headers.pop(name.lower(), None)
        if value is not None:
            headers[name.lower()] = value
    return dataclasses.replace(answer, headers=headers, blocks=tuple(blocks))


def _shape_events(blocks: Sequence[Block], action: Action, operation: str) -> list[Block]:
    shaped = list(blocks)
    if action.comments:
        shaped = [item for block in shaped for item in (Block(data=_COMMENT), block)]
    if action.sse_error is not None:
        after = action.sse_error.after_events
        shaped = [*shaped[:after], Block(data=_error_event(action.sse_error, operation, after))]
    if action.crlf:
        shaped = [
            dataclasses.replace(block, data=_BARE_NEWLINE.sub(b"\r\n", block.data))
            for block in shaped
        ]
    return shaped


def _error_event(error: SseError, operation: str, number: int) -> bytes:
    style = error.style
    if style == "auto":
        style = "error" if operation == "responses" else "data"
    detail: dict[str, Any] = {"code": error.code, "message": error.message}
    if error.type is not None:
        detail["type"] = error.type
    if style == "data":
        return event({"error": detail})
    if style == "error":
        flat = {"type": "error", "code": error.code, "message": error.message, "param": None}
        return event({**flat, "sequence_number": number}, name="error")
    failed = {"id": "resp_failed", "object": "response", "status": "failed", "error": detail}
    data = {"type": style, "response": failed, "sequence_number": number}
    return event(data, name=style)


def _compress(blocks: Sequence[Block]) -> list[Block]:
    """One gzip stream, flushed after every block so that each can be read when it arrives."""
    packer = zlib.compressobj(wbits=_GZIP)
    packed = []
    for index, block in enumerate(blocks):
        last = index == len(blocks) - 1
        mode = zlib.Z_FINISH if last else zlib.Z_SYNC_FLUSH
        data = packer.compress(block.data) + packer.flush(mode)
        packed.append(dataclasses.replace(block, data=data))
    return packed
