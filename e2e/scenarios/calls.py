"""What the scenarios send and how they look at what comes back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from e2e.harness import Client, Gateway, Metrics, RawConnection

CHAT = "/openai/v1/chat/completions"
COMPLETIONS = "/openai/v1/completions"
EMBEDDINGS = "/openai/v1/embeddings"
RESPONSES = "/openai/v1/responses"
GAUGES = ("gateway_requests_in_flight", "apisix_llm_active_connections")

# A hold that no test outlasts: what is held is let go by an event, never by the clock.
LONG_HOLD = {"STREAM_HOLD_MS": "600000"}


def legacy(
    deployment: str, operation: str = "chat/completions", version: str = "2024-10-21"
) -> str:
    """Return the target of an operation on the deployment routes."""
    return f"/openai/deployments/{deployment}/{operation}?api-version={version}"


def chat(model: str = "gpt-4o", **more: Any) -> dict[str, Any]:
    """Return the body of a chat request."""
    return {"model": model, "messages": [{"role": "user", "content": "Say hello."}], **more}


def encoded(body: Any) -> bytes:
    """Return a request body as bytes."""
    return body if isinstance(body, bytes) else json.dumps(body).encode()


def post(
    connection: RawConnection,
    gateway: Gateway,
    target: str,
    body: Any,
    *,
    headers: Mapping[str, str] | None = None,
    client: Client | None = None,
) -> None:
    """Send a request and do not wait for its answer."""
    key = client.secret if client else gateway.key
    sent = {"api-key": key, "content-type": "application/json", **(headers or {})}
    connection.request("POST", target, list(sent.items()), encoded(body))


def events(stream: bytes) -> list[bytes]:
    """Return the events of a stream, each with the empty line that ends it; the rest comes last."""
    end = b"\r\n\r\n" if b"\r\n\r\n" in stream else b"\n\n"
    parts = stream.split(end)
    return [part + end for part in parts[:-1]] + ([parts[-1]] if parts[-1] else [])


def without_usage(stream: bytes) -> bytes:
    """Return a stream without its usage event; an error when there is not exactly one."""
    all_ = events(stream)
    kept = [event for event in all_ if b'"usage":{' not in event]
    assert len(kept) == len(all_) - 1, "expected exactly one usage event"
    return b"".join(kept)


def error_of(event: bytes) -> dict[str, Any]:
    """Return the error object of an SSE event that carries nothing else."""
    assert event.startswith(b"data: {"), event
    found = json.loads(event[len(b"data: ") :])
    assert set(found) == {"error"}, found
    error: dict[str, Any] = found["error"]
    return error


def wait_idle(gateway: Gateway, *, timeout: float = 15) -> Metrics:
    """Wait until nothing is in flight, as far as the gauges say."""
    return gateway.wait_for_metric(idle, timeout)


def idle(metrics: Metrics) -> bool:
    """Whether every in-flight gauge is at 0; one that never rose is not there."""
    return not any(value for name in GAUGES for _, value in metrics.select(name))


def tokens_of(deployment: str, **kinds: int) -> Callable[[Metrics], bool]:
    """Return whether the counters of a deployment stand at these numbers."""

    def met(metrics: Metrics) -> bool:
        counted = {
            kind: metrics.value("gateway_tokens_total", deployment=deployment, kind=kind)
            for kind in kinds
        }
        return counted == kinds

    return met
