"""The Responses API: JSON and event stream, text and tool calls. Nothing is stored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from . import usage as tokens
from .answer import Answer, Block, Call, event, json_answer, pieces
from .answer import stream_answer as as_stream

if TYPE_CHECKING:
    from .usage import Usage

_ARGUMENTS = ('{"location":"', "M\u00fcnchen \U0001f956", '"}')


def answer(call: Call) -> Answer:
    """Return the honest answer to a Responses request."""
    if call.stream:
        return as_stream(_numbered(_stream(call)))
    item, _, usage = _finished(call)
    return json_answer(_response(call, "completed", [item], usage), usage=usage)


def _finished(call: Call) -> tuple[dict[str, Any], Sequence[str], Usage]:
    """Return the finished output item, its deltas, and the usage."""
    function = _function(call.body)
    if function:
        return _call_item(call, function, "".join(_ARGUMENTS)), _ARGUMENTS, call.usage(3)
    texts, _ = pieces(call)
    return _message(call, [_part("".join(texts))]), texts, call.usage(len(texts))


def _stream(call: Call) -> Iterator[tuple[dict[str, Any], Usage | None]]:
    """Events without their sequence numbers; the usage with the one that carries it."""
    opening = _response(call, "in_progress", [], None)
    yield {"type": "response.created", "response": opening}, None
    yield {"type": "response.in_progress", "response": opening}, None
    item, deltas, usage = _finished(call)
    body = _call_events if item["type"] == "function_call" else _text_events
    for data in body(item, deltas):
        yield data, None
    yield {"type": "response.output_item.done", "output_index": 0, "item": item}, None
    done = _response(call, "completed", [item], usage)
    yield {"type": "response.completed", "response": done}, usage


def _text_events(item: Mapping[str, Any], deltas: Sequence[str]) -> Iterator[dict[str, Any]]:
    started = {**item, "status": "in_progress", "content": []}
    yield {"type": "response.output_item.added", "output_index": 0, "item": started}
    at = {"item_id": item["id"], "output_index": 0, "content_index": 0}
    yield {"type": "response.content_part.added", **at, "part": _part("")}
    for delta in deltas:
        yield {"type": "response.output_text.delta", **at, "delta": delta, "logprobs": []}
    text = "".join(deltas)
    yield {"type": "response.output_text.done", **at, "text": text, "logprobs": []}
    yield {"type": "response.content_part.done", **at, "part": _part(text)}


def _call_events(item: Mapping[str, Any], deltas: Sequence[str]) -> Iterator[dict[str, Any]]:
    started = {**item, "status": "in_progress", "arguments": ""}
    yield {"type": "response.output_item.added", "output_index": 0, "item": started}
    at = {"item_id": item["id"], "output_index": 0}
    for delta in deltas:
        yield {"type": "response.function_call_arguments.delta", **at, "delta": delta}
    arguments = "".join(deltas)
    yield {
        "type": "response.function_call_arguments.done",
        **at,
        "name": item["name"],
        "arguments": arguments,
    }


def _numbered(events: Iterator[tuple[dict[str, Any], Usage | None]]) -> list[Block]:
    blocks = []
    for number, (data, usage) in enumerate(events):
        block = event({**data, "sequence_number": number}, name=data["type"])
        blocks.append(Block(data=block, usage=usage, paced=data["type"].endswith(".delta")))
    return blocks


def _response(
    call: Call, status: str, output: list[dict[str, Any]], usage: Usage | None
) -> dict[str, Any]:
    return {
        "id": f"resp_{call.ident}",
        "object": "response",
        "created_at": call.created,
        "status": status,
        "background": False,
        "content_filters": [],
        "error": None,
        "incomplete_details": None,
        "instructions": call.body.get("instructions"),
        "max_output_tokens": call.body.get("max_output_tokens"),
        "metadata": call.body.get("metadata") or {},
        "model": call.deployment,
        "output": output,
        "parallel_tool_calls": True,
        "previous_response_id": call.body.get("previous_response_id"),
        "store": call.body.get("store", True),
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": call.body.get("tool_choice", "auto"),
        "tools": call.body.get("tools", []),
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": tokens.responses_form(usage) if usage else None,
    }


def _message(call: Call, content: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": f"msg_{call.ident}",
        "type": "message",
        "status": "completed",
        "content": content,
        "role": "assistant",
    }


def _part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "annotations": [], "logprobs": [], "text": text}


def _call_item(call: Call, function: str, arguments: str) -> dict[str, Any]:
    return {
        "id": f"fc_{call.ident}",
        "type": "function_call",
        "status": "completed",
        "arguments": arguments,
        "call_id": f"call_{call.ident}",
        "name": function,
    }


def _function(body: Mapping[str, Any]) -> str | None:
    tools = body.get("tools")
    if not isinstance(tools, list) or body.get("tool_choice") == "none":
        return None
    names = [t.get("name") for t in tools if isinstance(t, Mapping) and t.get("type") == "function"]
    return str(names[0]) if names and names[0] else None
