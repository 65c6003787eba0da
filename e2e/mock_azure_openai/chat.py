"""Chat completions: JSON and stream, text and tool calls."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from . import usage as tokens
from .answer import DONE, PROMPT_SAFE, SAFE, Answer, Block, Call, event, json_answer, pieces
from .answer import stream_answer as as_stream

_ARGUMENTS = ('{"location":"', "M\u00fcnchen \U0001f956", '"}')
_FINGERPRINT = "fp_mock000000"


def answer(call: Call) -> Answer:
    """Return the honest answer to a chat completions request."""
    return as_stream(list(_stream(call))) if call.stream else _json(call)


def _json(call: Call) -> Answer:
    texts, reason = pieces(call)
    function = _function(call.body)
    message: dict[str, Any] = {"annotations": [], "content": "".join(texts), "refusal": None}
    message["role"] = "assistant"
    if function:
        reason = "tool_calls"
        arguments = "".join(_ARGUMENTS)
        message |= {"content": None, "tool_calls": [_tool_call(call, function, arguments)]}
    choice = {
        "content_filter_results": {} if function else SAFE,
        "finish_reason": reason,
        "index": 0,
        "logprobs": None,
        "message": message,
    }
    usage = call.usage(len(_ARGUMENTS) if function else len(texts))
    body = _frame(call, "chat.completion") | {"choices": [choice]}
    body["prompt_filter_results"] = _prompt_filter()
    body["usage"] = tokens.chat_form(usage)
    return json_answer(body, usage=usage)


def _stream(call: Call) -> Iterator[Block]:
    yield Block(data=event(_filter_chunk()))
    function = _function(call.body)
    role: dict[str, Any] = {"content": "", "refusal": None, "role": "assistant"}
    deltas, reason = pieces(call)
    if function:
        role["content"], reason = None, "tool_calls"
        role["tool_calls"] = [{"index": 0, **_tool_call(call, function, "")}]
    yield Block(data=event(_chunk(call, role)))
    for part in _ARGUMENTS if function else deltas:
        delta = _arguments_delta(part) if function else {"content": part}
        yield Block(data=event(_chunk(call, delta, safe=not function)), paced=True)
    yield Block(data=event(_chunk(call, {}, finish=reason)))
    if call.include_usage:
        usage = call.usage(len(_ARGUMENTS) if function else len(deltas))
        frame = _frame(call, "chat.completion.chunk")
        frame |= {"choices": [], "usage": tokens.chat_form(usage)}
        yield Block(data=event(frame), usage=usage)
    yield Block(data=DONE)


def _chunk(
    call: Call, delta: Mapping[str, Any], *, finish: str | None = None, safe: bool = False
) -> dict[str, Any]:
    choice = {
        "content_filter_results": SAFE if safe else {},
        "delta": delta,
        "finish_reason": finish,
        "index": 0,
        "logprobs": None,
    }
    chunk = {"choices": [choice], **_frame(call, "chat.completion.chunk")}
    return chunk | ({"usage": None} if call.include_usage else {})


def _frame(call: Call, kind: str) -> dict[str, Any]:
    return {
        "created": call.created,
        "id": f"chatcmpl-{call.ident}",
        "model": f"{call.deployment}-2024-11-20",
        "object": kind,
        "system_fingerprint": _FINGERPRINT,
    }


def _filter_chunk() -> dict[str, Any]:
    return {
        "choices": [],
        "created": 0,
        "id": "",
        "model": "",
        "object": "",
        "prompt_filter_results": _prompt_filter(),
    }


def _prompt_filter() -> list[dict[str, Any]]:
    return [{"prompt_index": 0, "content_filter_results": PROMPT_SAFE}]


def _function(body: Mapping[str, Any]) -> str | None:
    """Return the name of the function to call: the first tool, unless the request says `none`."""
    tools = body.get("tools")
    if not isinstance(tools, list) or not tools or body.get("tool_choice") == "none":
        return None
    function = tools[0].get("function") if isinstance(tools[0], Mapping) else None
    return str(function["name"]) if isinstance(function, Mapping) and "name" in function else None


def _tool_call(call: Call, function: str, arguments: str) -> dict[str, Any]:
    return {
        "function": {"arguments": arguments, "name": function},
        "id": f"call_{call.ident}",
        "type": "function",
    }


def _arguments_delta(part: str) -> dict[str, Any]:
    return {"tool_calls": [{"function": {"arguments": part}, "index": 0}]}
