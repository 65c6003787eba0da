"""Completions, embeddings and the list of models."""

from __future__ import annotations

import base64
import hashlib
import struct
from typing import TYPE_CHECKING, Any

from . import usage as tokens
from .answer import DONE, PROMPT_SAFE, SAFE, Answer, Block, Call, event, json_answer, pieces
from .answer import stream_answer as as_stream
from .usage import Usage

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_DIMENSIONS = 8
_MAX_DIMENSIONS = 4096


def completions(call: Call) -> Answer:
    """Return the honest answer to a (legacy) completions request."""
    texts, reason = pieces(call)
    if call.stream:
        return as_stream(list(_completions_stream(call, texts, reason)))
    usage = call.usage(len(texts))
    body = _completion(call, "".join(texts), reason)
    body["prompt_filter_results"] = [{"prompt_index": 0, "content_filter_results": PROMPT_SAFE}]
    return json_answer(body | {"usage": tokens.chat_form(usage)}, usage=usage)


def _completions_stream(call: Call, texts: Sequence[str], reason: str) -> Iterator[Block]:
    null = {"usage": None} if call.include_usage else {}
    for text in texts:
        yield Block(data=event(_completion(call, text, None) | null), paced=True)
    yield Block(data=event(_completion(call, "", reason) | null))
    if call.include_usage:
        usage = call.usage(len(texts))
        last = _completion(call, "", None) | {"choices": [], "usage": tokens.chat_form(usage)}
        yield Block(data=event(last), usage=usage)
    yield Block(data=DONE)


def _completion(call: Call, text: str, reason: str | None) -> dict[str, Any]:
    choice = {
        "content_filter_results": SAFE if text else {},
        "finish_reason": reason,
        "index": 0,
        "logprobs": None,
        "text": text,
    }
    return {
        "choices": [choice],
        "created": call.created,
        "id": f"cmpl-{call.ident}",
        "model": call.deployment,
        "object": "text_completion",
    }


def embeddings(call: Call) -> Answer:
    """Return the honest answer to an embeddings request: floats, or base64 when asked for.

    A vector is derived from its input alone, so equal inputs have equal vectors.
    """
    given = call.body.get("input")
    many = isinstance(given, list) and not (given and isinstance(given[0], int))
    inputs = given if many and isinstance(given, list) else [given]
    wanted = call.body.get("dimensions")
    size = wanted if type(wanted) is int and 0 < wanted <= _MAX_DIMENSIONS else _DIMENSIONS
    data = []
    for index, item in enumerate(inputs):
        vector = _vector(repr(item), size)
        encoded = call.body.get("encoding_format") == "base64"
        packed = struct.pack(f"<{size}f", *vector)
        value: Any = base64.b64encode(packed).decode() if encoded else vector
        data.append({"embedding": value, "index": index, "object": "embedding"})
    scripted = call.action.usage
    usage = Usage(prompt=scripted.prompt if scripted else tokens.count_prompt(call.body))
    body = {"data": data, "model": call.deployment, "object": "list"}
    return json_answer(body | {"usage": tokens.embeddings_form(usage)}, usage=usage)


def _vector(text: str, size: int) -> list[float]:
    digest = hashlib.shake_256(text.encode()).digest(size)
    return [byte / 256 - 0.5 for byte in digest]


def models(names: Sequence[str], created: int) -> Answer:
    """Return the list of models on the v1 surface."""
    return json_answer({"data": [_model(name, created) for name in names], "object": "list"})


def model(name: str, created: int) -> Answer:
    """One model on the v1 surface."""
    return json_answer(_model(name, created))


def _model(name: str, created: int) -> dict[str, Any]:
    return {
        "capabilities": {
            "chat_completion": not name.startswith("text-embedding"),
            "completion": False,
            "embeddings": name.startswith("text-embedding"),
            "fine_tune": False,
            "inference": True,
        },
        "created": created,
        "id": name,
        "lifecycle_status": "generally-available",
        "object": "model",
        "owned_by": "system",
        "status": "succeeded",
    }
