"""The `gateway` command: the only place of the runtime that reads the process environment."""

from __future__ import annotations

import json
import os
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from renderer.env_file import read_env_file
from renderer.errors import RendererError
from runtime import report, status
from runtime.engine import AUTO, RUNTIMES, engine_for
from runtime.errors import GatewayError
from runtime.rendering import compile_env, render_to
from runtime.up import Gateway
from runtime.workdir import Workdir

if TYPE_CHECKING:
    from collections.abc import Callable

env_file_option = click.option(
    "--env-file",
    type=click.Path(path_type=Path),
    help="KEY=VALUE lines on top of the environment.",
)


@click.group()
@click.version_option(package_name="azure-ai-gateway")
def main() -> None:
    """One endpoint in front of many Azure OpenAI accounts."""


@main.command()
@env_file_option
@click.option("--runtime", type=click.Choice([AUTO, *RUNTIMES]), default=AUTO, show_default=True)
@click.option(
    "--workdir",
    type=click.Path(path_type=Path),
    default=Path(".gateway"),
    show_default=True,
    help="Folder for files of this gateway; one gateway at a time uses it.",
)
def up(env_file: Path | None, runtime: str, workdir: Path) -> None:
    """Render, start, wait until ready, and stay in front.

    SIGTERM and Ctrl-C let open requests finish. SIGHUP reads the variables of --env-file again.
    A set that render-config publishes into WORKDIR/rendered is taken over.
    """

    def run() -> None:
        home = Workdir(workdir)
        engine = engine_for(runtime, home)
        render = partial(render_to, home.rendered, dict(os.environ), env_file)
        Gateway(engine, home, render).run()

    catch(run, as_json=False)


@main.command()
@env_file_option
@click.option("--json", "as_json", is_flag=True, help="Machine output on stdout.")
def check(env_file: Path | None, as_json: bool) -> None:
    """Show what the variables mean: backends in order of use, auth, limits, warnings. No secret."""

    def run() -> None:
        found = report.describe(compile_env(os.environ, env_file))
        if as_json:
            click.echo(json.dumps(found))
        else:
            report.show(found)

    catch(run, as_json=as_json)


@main.command(name="status")
@click.option("--url", help="Control listener; default is CONTROL_PORT on this machine.")
@env_file_option
@click.option("--json", "as_json", is_flag=True, help="Machine output on stdout.")
def show_status(url: str | None, env_file: Path | None, as_json: bool) -> None:
    """Show live backend states of a running gateway."""

    def run() -> None:
        env = {**os.environ, **(read_env_file(env_file) if env_file else {})}
        # the default port may belong to another gateway than the one at --url
        readiness = status.status_url(env) if not url or "STATUS_PORT" in env else None
        found = status.ask(url or status.control_url(env), readiness)
        if as_json:
            click.echo(json.dumps(found))
        else:
            status.show(found)

    catch(run, as_json=as_json)


def catch(run: Callable[[], None], *, as_json: bool) -> None:
    """Run something; an error of ours ends the process with its lines and its code."""
    try:
        run()
    except RendererError as error:
        _fail(error.exit_code, error.lines, as_json=as_json)
    except GatewayError as error:
        _fail(error.exit_code, (str(error),), as_json=as_json)


def _fail(code: int, lines: tuple[str, ...], *, as_json: bool) -> NoReturn:
    if as_json:
        problem: dict[str, Any] = {"status": "error", "exit_code": code, "errors": list(lines)}
        click.echo(json.dumps(problem))
    else:
        for line in lines:
            click.echo(f"error: {line}", err=True)
    sys.exit(code)


if __name__ == "__main__":
    main()
