"""A gateway with two mock Azure OpenAI backends on this machine: `make run`.

No Azure, no container engine: the mocks listen on ports of their own, the gateway is started as
`gateway up` starts it, with settings in an environment file.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import select
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from e2e.mock_azure_openai import MockAzureOpenAI

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

READY_SECONDS = 30.0
STOP_SECONDS = 45.0
_SETTINGS = ("AZURE_OPENAI_", "GATEWAY_", "AI_PROXY_", "FAILOVER_", "LB_")


class PlaygroundError(RuntimeError):
    """The gateway did not come up; what it printed says why."""


@dataclass(frozen=True, kw_only=True)
class Playground:
    """A running gateway and its two backends; `east` is preferred."""

    url: str
    key: str
    east: MockAzureOpenAI
    west: MockAzureOpenAI
    process: subprocess.Popen[bytes]


def settings(
    east: MockAzureOpenAI, west: MockAzureOpenAI, key: str, ports: Mapping[str, int]
) -> dict[str, str]:
    """Return the gateway's settings."""
    found = {
        "AZURE_OPENAI_ENDPOINT_0": east.url,
        "AZURE_OPENAI_NAME_0": "east",
        "AZURE_OPENAI_KEY_0": east.key,
        "AZURE_OPENAI_PRIORITY_0": "10",
        "AZURE_OPENAI_ENDPOINT_1": west.url,
        "AZURE_OPENAI_NAME_1": "west",
        "AZURE_OPENAI_KEY_1": west.key,
        "AZURE_OPENAI_PRIORITY_1": "5",
        "GATEWAY_CLIENT_NAME_0": "local",
        "GATEWAY_CLIENT_KEY_0": key,
    }
    return found | {name: str(port) for name, port in ports.items()}


def _write_env(path: Path, values: Mapping[str, str]) -> None:
    path.touch(0o600)
    path.write_text("".join(f"{name}={value}\n" for name, value in values.items()))


def _environment() -> dict[str, str]:
    # a developer's own settings must not change what the playground is
    return {name: value for name, value in os.environ.items() if not name.startswith(_SETTINGS)}


def _wait_ready(process: subprocess.Popen[bytes]) -> str:
    # its own words: another gateway may be the one that answers on the ports
    stdout = process.stdout
    if stdout is None or not select.select([stdout], [], [], READY_SECONDS)[0]:
        raise PlaygroundError(f"the gateway was not ready within {READY_SECONDS:.0f} s")
    line = stdout.readline().decode(errors="replace")
    if not line:
        raise PlaygroundError(f"the gateway stopped with exit code {process.wait(STOP_SECONDS)}")
    return line.rstrip()


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def start(ports: Mapping[str, int], *, quiet: bool = False) -> Iterator[Playground]:
    """Run two mocks and a gateway.

    Args:
        ports: `GATEWAY_PORT`, `STATUS_PORT`, `CONTROL_PORT`, `METRICS_PORT`.
        quiet: Keep the gateway's own ready line off the screen.

    Raises:
        PlaygroundError: the gateway is not ready.
    """
    key = secrets.token_urlsafe(24)
    with (
        tempfile.TemporaryDirectory(prefix="gateway-") as folder,
        MockAzureOpenAI(name="east", api_keys=[secrets.token_urlsafe(24)]) as east,
        MockAzureOpenAI(name="west", api_keys=[secrets.token_urlsafe(24)]) as west,
    ):
        env_file = Path(folder) / "gateway.env"
        _write_env(env_file, settings(east, west, key, ports))
        command = [
            sys.executable,
            "-m",
            "runtime.cli",
            "up",
            "--env-file",
            str(env_file),
        ]
        process = subprocess.Popen(  # noqa: S603
            [*command, "--workdir", str(Path(folder) / "work")],
            stdout=subprocess.PIPE,
            env=_environment(),
            # Ctrl-C goes to the playground alone, which stops the gateway in order
            start_new_session=True,
        )
        try:
            ready = _wait_ready(process)
            if not quiet:
                click.echo(ready)
            url = f"http://127.0.0.1:{ports['GATEWAY_PORT']}"
            yield Playground(url=url, key=key, east=east, west=west, process=process)
        finally:
            _stop(process)


def announce(play: Playground) -> None:
    """Say how to use it."""
    body = '{"model":"gpt-4o","messages":[{"role":"user","content":"hello"}]}'
    click.echo(f"""
URL   {play.url}
key   {play.key}

  curl {play.url}/openai/v1/chat/completions \\
    -H 'api-key: {play.key}' -H 'content-type: application/json' \\
    -d '{body}'

backends: east {play.east.url} (preferred), west {play.west.url}
Ctrl-C stops everything.""")


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


@click.command(help=__doc__)
@click.option("--port", default=9080, show_default=True, help="The gateway's port.")
@click.option("--status-port", default=7085, show_default=True)
@click.option("--control-port", default=9090, show_default=True)
@click.option("--metrics-port", default=9091, show_default=True)
def main(port: int, status_port: int, control_port: int, metrics_port: int) -> None:
    """Run until Ctrl-C."""
    # SIGINT too: a shell without job control starts `make run &` with SIGINT ignored
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    ports = {
        "GATEWAY_PORT": port,
        "STATUS_PORT": status_port,
        "CONTROL_PORT": control_port,
        "METRICS_PORT": metrics_port,
    }
    try:
        with start(ports) as play:
            announce(play)
            play.process.wait()
    except PlaygroundError as error:
        raise SystemExit(f"error: {error}") from None
    except KeyboardInterrupt:
        click.echo("stopped")
    else:
        raise SystemExit("error: the gateway stopped")


if __name__ == "__main__":
    main()
