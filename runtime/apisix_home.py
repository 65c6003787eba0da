"""Finds a local APISIX and knows how to start a private instance of it in a folder.

`$APISIX_HOME/bin/apisix-run DIR` does that by itself. The CLI of an installed APISIX does it when
its current folder holds `apisix/cli/apisix.lua`: then that folder is its home, so a link to the
installed tree makes any folder one.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.errors import RuntimeNotAvailableError

if TYPE_CHECKING:
    from collections.abc import Mapping

HOME_VARIABLE = "APISIX_HOME"
USAGE_SECONDS = 10
CLI_FILE = "apisix/cli/apisix.lua"
TREES = (Path("/usr/local/apisix"), Path("/usr/local/share/lua/5.1"))
OPENRESTY = Path("/usr/local/openresty/bin/openresty")
# nginx takes the shell's place, so that signals reach it
INIT_AND_RUN = '"$0" init && exec "$1" -p "$2" -c "$2/conf/nginx.conf" '


@dataclass(frozen=True, kw_only=True, slots=True)
class Installation:
    """How to start an instance: commands that take a folder with conf/config.yaml in it.

    `remake` makes the instance's nginx.conf again and tests it, None when that is not possible.
    `links` and `copies` are made in the folder before, by name.
    """

    run: tuple[str, ...]
    remake: tuple[str, ...] | None
    links: Mapping[str, Path]
    copies: Mapping[str, Path]
    environ: Mapping[str, str]

    def prepare(self, folder: Path) -> None:
        """Put what the CLI needs into an instance's folder."""
        for name, target in self.links.items():
            link = folder / name
            if not link.is_symlink() or link.readlink() != target:
                link.unlink(missing_ok=True)
                link.symlink_to(target)
        for name, source in self.copies.items():
            shutil.copyfile(source, folder / name)
        # nginx does not start on what an instance left that was killed
        for left in (folder / "logs").glob("*.sock"):
            left.unlink()


def wanted(environ: Mapping[str, str]) -> bool:
    """Whether the environment names an APISIX, be it usable or not."""
    return bool(environ.get(HOME_VARIABLE)) or _which("apisix", environ) is not None


def find(environ: Mapping[str, str]) -> Installation:
    """Find APISIX.

    Raises:
        RuntimeNotAvailableError: there is none that can run a private instance.
    """
    home = environ.get(HOME_VARIABLE)
    if not home:
        program = _which("apisix", environ)
        if program is None:
            raise RuntimeNotAvailableError(
                f"runtime apisix needs {HOME_VARIABLE}, or apisix on PATH; or use --runtime lite"
            )
        return _by_cli(program, [program.resolve().parent.parent, *TREES], environ)
    runner = Path(home) / "bin/apisix-run"
    if os.access(runner, os.X_OK):
        return _by_runner(runner, environ)
    program = _which("apisix", {"PATH": f"{home}/bin"}) or _which("apisix", environ)
    if program is None:
        raise RuntimeNotAvailableError(
            f"{HOME_VARIABLE}={home} has neither bin/apisix-run nor bin/apisix"
        )
    return _by_cli(program, [Path(home)], environ)


def _by_runner(runner: Path, environ: Mapping[str, str]) -> Installation:
    try:
        asked = subprocess.run(  # noqa: S603
            [runner, "--help"], stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=USAGE_SECONDS, check=False,
        )  # fmt: skip
        usage = asked.stdout + asked.stderr
    except (OSError, subprocess.TimeoutExpired):
        usage = ""
    remake = (
        (str(runner), "-t") if "-t" in usage.replace("[", " ").replace("]", " ").split() else None
    )
    return Installation(run=(str(runner),), remake=remake, links={}, copies={}, environ=environ)


def _by_cli(program: Path, trees: list[Path], environ: Mapping[str, str]) -> Installation:
    tree = next((tree for tree in trees if (tree / CLI_FILE).is_file()), None)
    if tree is None or f"./{CLI_FILE}".encode() not in program.read_bytes():
        raise RuntimeNotAvailableError(
            f"{program} cannot run a private instance: it does not take the current folder as its "
            f"home, or there is no {CLI_FILE} in {' or '.join(map(str, trees))}"
        )
    nearby = str(tree / "openresty/bin")
    openresty = _which("openresty", environ) or _which("openresty", {"PATH": nearby}) or OPENRESTY
    mime = _mime_types(tree, openresty)
    if mime is None:
        raise RuntimeNotAvailableError(f"{program} cannot run: openresty is not on PATH")
    command = ("/bin/sh", "-c")
    names = (str(program), str(openresty))
    path = f"{openresty.parent}:{environ.get('PATH', os.defpath)}"
    deps = {"deps": tree / "deps"} if (tree / "deps").is_dir() else {}
    return Installation(
        run=(*command, INIT_AND_RUN + "-g 'daemon off;'", *names),
        remake=(*command, INIT_AND_RUN + "-t", *names),
        links={"apisix": tree / "apisix", **deps},
        copies={"conf/mime.types": mime},
        environ={**environ, "PATH": path},
    )


def _mime_types(tree: Path, openresty: Path) -> Path | None:
    places = (tree / "conf", openresty.resolve().parent.parent / "conf")
    found = (place / "mime.types" for place in places)
    return next((path for path in found if path.is_file()), None) if openresty.is_file() else None


def _which(name: str, environ: Mapping[str, str]) -> Path | None:
    found = shutil.which(name, path=environ.get("PATH", os.defpath))
    return Path(found) if found else None
