"""Drives a local gateway with the official `openai` SDK and shows what happened: `make demo`.

Four calls: a JSON answer, a stream, one whose preferred backend is throttled and one whose
preferred backend is cut before its first token. Exit code 0 only when all went as they should.
"""

from __future__ import annotations

import socket
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click
import openai
from rich.console import Console
from rich.table import Table

from e2e.mock_azure_openai import Action, MockAzureOpenAI
from runtime.playground import Playground, PlaygroundError, start

if TYPE_CHECKING:
    from collections.abc import Callable

MODEL = "gpt-4o"
PROMPT: list[Any] = [{"role": "user", "content": "Say hello."}]
PORTS = ("GATEWAY_PORT", "STATUS_PORT", "CONTROL_PORT", "METRICS_PORT")


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call of the demonstration and what has to come of it."""

    title: str
    east: Action | None
    run: Callable[[openai.OpenAI], tuple[str, Any]]
    backend: str
    attempts: int


@dataclass(frozen=True, kw_only=True)
class Result:
    """What came of a call."""

    text: str
    backend: str
    attempts: int
    east_calls: int
    west_calls: int


def ask(client: openai.OpenAI) -> tuple[str, Any]:
    """Return the text and the headers of a JSON answer."""
    raw = client.chat.completions.with_raw_response.create(model=MODEL, messages=PROMPT)
    return raw.parse().choices[0].message.content or "", raw.headers


def stream(client: openai.OpenAI) -> tuple[str, Any]:
    """Return the text and the headers of a streamed answer."""
    raw = client.chat.completions.with_raw_response.create(
        model=MODEL, messages=PROMPT, stream=True
    )
    deltas = [chunk.choices[0].delta.content or "" for chunk in raw.parse() if chunk.choices]
    return "".join(deltas), raw.headers


CALLS = (
    Call(title="JSON", east=None, run=ask, backend="east", attempts=1),
    Call(title="stream", east=None, run=stream, backend="east", attempts=1),
    Call(
        title="JSON, east answers 429",
        east=Action(error="429"),
        run=ask,
        backend="west",
        attempts=2,
    ),
    Call(
        title="stream, east is cut before its first token",
        east=Action(reset="after_headers"),
        run=stream,
        backend="west",
        attempts=2,
    ),
)


def perform(play: Playground, client: openai.OpenAI, call: Call) -> Result:
    """Run one call."""
    for mock in (play.east, play.west):
        mock.reset()
    if call.east:
        play.east.script(call.east)
    text, headers = call.run(client)
    return Result(
        text=text,
        backend=headers["x-gateway-backend"],
        attempts=int(headers["x-gateway-attempts"]),
        east_calls=_calls(play.east),
        west_calls=_calls(play.west),
    )


def _calls(mock: MockAzureOpenAI) -> int:
    return len(mock.journal)


def as_expected(call: Call, result: Result) -> bool:
    """Whether a call went as it should, by its answer and by the backends' own journals."""
    calls = (result.east_calls, result.west_calls)
    expected = (1, 0) if call.backend == "east" else (1, 1)
    told = (result.backend, result.attempts) == (call.backend, call.attempts)
    return bool(result.text) and told and calls == expected


def show(results: list[tuple[Call, Result]]) -> None:
    """Print the table."""
    table = Table(title="openai SDK -> gateway -> two Azure OpenAI mocks")
    for name in ("call", "answered by", "attempts", "east/west called", "text", ""):
        table.add_column(name)
    for call, result in results:
        table.add_row(
            call.title,
            result.backend,
            str(result.attempts),
            f"{result.east_calls}/{result.west_calls}",
            result.text[:40],
            "ok" if as_expected(call, result) else "NOT AS EXPECTED",
        )
    Console(width=None if sys.stdout.isatty() else 120).print(table)


def free_ports() -> dict[str, int]:
    """Return a free port for each listener."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in PORTS]
    found = [sock.getsockname()[1] for sock in sockets]
    for sock in sockets:
        sock.close()
    return dict(zip(PORTS, found, strict=True))


@click.command(help=__doc__)
def main() -> None:
    """Run the demonstration."""
    try:
        with start(free_ports(), quiet=True) as play:
            # the SDK's own retries would hide what the gateway does
            client = openai.OpenAI(
                base_url=f"{play.url}/openai/v1", api_key=play.key, max_retries=0
            )
            with client:
                results = [(call, perform(play, client, call)) for call in CALLS]
    except PlaygroundError as error:
        raise SystemExit(f"error: {error}") from None
    show(results)
    if not all(as_expected(call, result) for call, result in results):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
