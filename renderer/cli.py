"""`render-config`: the only place of the renderer that reads the process environment."""

from __future__ import annotations

import json
import os
import pwd
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from renderer.compile import Compiled, load_model
from renderer.env_file import read_env_file
from renderer.errors import ConfigurationError, PublicationError, RendererError
from renderer.output import Owner, digest_of, publish
from renderer.pipeline import masked, render

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Options:
    """The command line."""

    out: Path | None
    env_file: Path | None
    check: bool
    show: bool
    lua_path: str | None
    owner: str | None
    as_json: bool


@click.command()
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Folder that the set is published in.",
)
@click.option(
    "--env-file",
    type=click.Path(path_type=Path),
    help="KEY=VALUE lines on top of the environment.",
)
@click.option("--check", is_flag=True, help="Compile and verify, write nothing.")
@click.option(
    "--print",
    "show",
    is_flag=True,
    help="Print the files, secrets redacted; no writing.",
)
@click.option("--lua-path", help="Folder that holds apisix/plugins, instead of GATEWAY_LUA_PATH.")
@click.option("--owner", help="User that the engine's workers run as, when you are root.")
@click.option("--json", "as_json", is_flag=True, help="Machine output on stdout.")
@click.version_option(package_name="azure-ai-gateway")
def main(**options: Any) -> None:
    """Turn environment variables into the files of APISIX and of the OpenTelemetry collector.

    A wrong variable stops it with one line for each problem, and nothing is written.
    """
    chosen = Options(**options)
    if chosen.out is None and not (chosen.check or chosen.show):
        raise click.UsageError("--out DIR is needed (or --check, or --print)")
    try:
        run(chosen, os.environ)
    except RendererError as error:
        fail(error, as_json=chosen.as_json)


def run(options: Options, environ: Mapping[str, str]) -> None:
    """Render as the options say.

    Raises:
        RendererError: anything that the user has to know.

    """
    in_file = read_env_file(options.env_file) if options.env_file else {}
    compiled = load_model({**environ, **in_file}, from_file=in_file)
    files = render(compiled.model, options.lua_path)
    for warning in compiled.warnings:
        click.echo(f"warning: {warning}", err=True)
    if options.show:
        _print_files(compiled, options)
    elif options.check or options.out is None:
        _report("ok", compiled, files, options, written=False)
    else:
        published = publish(files, options.out, _owner(options.owner))
        word = "published" if published.changed else "unchanged"
        _report(word, compiled, files, options, written=published.changed)


def _owner(name: str | None) -> Owner | None:
    if name is None:
        return None
    try:
        user = pwd.getpwnam(name)
    except KeyError:
        raise PublicationError(f"--owner: there is no user {name} on this machine") from None
    return Owner(user.pw_uid, user.pw_gid)


def _print_files(compiled: Compiled, options: Options) -> None:
    files = render(masked(compiled.model), options.lua_path)
    if options.as_json:
        click.echo(json.dumps({name: data.decode() for name, data in files.items()}))
        return
    for name, data in files.items():
        click.echo(f"# ---- {name}\n{data.decode()}", nl=False)


def _report(
    word: str,
    compiled: Compiled,
    files: Mapping[str, bytes],
    options: Options,
    *,
    written: bool,
) -> None:
    digest = digest_of(files)
    backends, clients = len(compiled.model.backends), len(compiled.model.clients)
    if options.as_json:
        result = {
            "status": word,
            "written": written,
            "digest": digest,
            "out": str(options.out) if options.out else None,
            "backends": backends,
            "clients": clients,
            "warnings": list(compiled.warnings),
        }
        click.echo(json.dumps(result))
        return
    where = "" if word == "ok" else f" in {options.out}"
    click.echo(f"{word} {digest[:12]}{where}: {backends} backend(s), {clients} client(s)")


def fail(error: RendererError, *, as_json: bool) -> NoReturn:
    """Print an error, one line for each problem, and exit with its code."""
    if as_json:
        problems = error.problems if isinstance(error, ConfigurationError) else ()
        result: dict[str, Any] = {
            "status": "error",
            "exit_code": error.exit_code,
            "errors": [
                {
                    "kind": type(item).__name__,
                    "variable": item.variable,
                    "problem": item.problem,
                }
                for item in problems
            ]
            or [{"kind": type(error).__name__, "problem": str(error)}],
        }
        click.echo(json.dumps(result))
    else:
        for line in error.lines:
            click.echo(f"error: {line}", err=True)
    sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
