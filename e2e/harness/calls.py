"""Requests that scenarios send, and what every error of the gateway's own has in common."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .raw import RawResponse

API_VERSION = "2024-10-21"


def legacy(
    deployment: str,
    operation: str = "chat/completions",
    query: str = f"api-version={API_VERSION}",
) -> str:
    """Return a target on the deployment routes."""
    return f"/openai/deployments/{deployment}/{operation}?{query}"


def chat(*, stream: bool = False, **more: Any) -> dict[str, Any]:
    """Return a chat body; a streamed one asks for its usage, so that no byte is taken out."""
    body: dict[str, Any] = {"messages": [{"role": "user", "content": "Say hello"}], **more}
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return body


def responses(model: str, *, stream: bool = False) -> dict[str, Any]:
    """Return a body for the Responses API."""
    return {"model": model, "input": "Say hello", **({"stream": True} if stream else {})}


def assert_own_error(response: RawResponse, status: int, code: str) -> dict[str, Any]:
    """Check an error that the gateway makes itself and return its `error` member."""
    assert response.status == status, response.raw[:500]
    assert response.header("content-type") == ["application/json"]
    assert response.complete
    body = json.loads(response.body)
    assert list(body) == ["error"]
    error: dict[str, Any] = body["error"]
    assert set(error) == {"code", "message", "type"}
    assert error["code"] == code
    assert error["message"]
    assert error["type"]
    assert len(response.header("x-request-id")) == 1
    return error
