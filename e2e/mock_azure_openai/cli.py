"""`mock-azure-openai`: the mock as a command."""

from __future__ import annotations

import signal
from pathlib import Path

import click

from . import script_json
from .server import DEFAULT_KEY, MockAzureOpenAI


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), required=True, help="0 = a free one.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--script",
    "script_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="JSON file with rules; without it every answer is honest.",
)
@click.option("--name", default="mock", show_default=True, help="Part of the ids in answers.")
@click.option("--api-key", "api_keys", multiple=True, help=f"Repeatable. [default: {DEFAULT_KEY}]")
@click.option("--deployment", "deployments", multiple=True, help="Repeatable. [default: any name]")
@click.option("--region", default="East US", show_default=True, help="For x-ms-region.")
def main(  # noqa: PLR0913, PLR0917 -- click passes one argument for each option
    port: int,
    host: str,
    script_file: Path | None,
    name: str,
    api_keys: tuple[str, ...],
    deployments: tuple[str, ...],
    region: str,
) -> None:
    """Serve a mock Azure OpenAI resource until SIGINT or SIGTERM."""
    try:
        script = script_json.load(script_file) if script_file else None
    except script_json.ScriptError as error:
        raise click.ClickException(str(error)) from None
    mock = MockAzureOpenAI(
        name=name,
        script=script,
        api_keys=api_keys or (DEFAULT_KEY,),
        deployments=deployments or None,
        region=region,
        host=host,
        port=port,
    )
    _serve(mock)


def _serve(mock: MockAzureOpenAI) -> None:
    stop = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, stop)
    try:
        mock.start()
    except OSError as error:
        message = f"could not listen on {mock.host}:{mock.port}: {error.strerror}"
        raise click.ClickException(message) from None
    click.echo(f"mock Azure OpenAI {mock.name!r} ready on {mock.url}")
    signal.sigwait(stop)
    mock.stop()


if __name__ == "__main__":
    main()
