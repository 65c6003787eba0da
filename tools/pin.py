"""Pins every transitive version in pyproject.toml, without a lock file.

A lock file of uv carries download addresses; `[tool.uv] constraint-dependencies` carries versions
only. `tools/pin.py` resolves anew and writes them, `--check` fails when the environment differs.
"""

from __future__ import annotations

import importlib.metadata
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import click

ROOT = Path(__file__).parents[1]
PYPROJECT = ROOT / "pyproject.toml"
_BLOCK = re.compile(r"constraint-dependencies = \[\n(?: .*\n)*\]\n")
_OWN = "azure-ai-gateway"


def installed() -> dict[str, str]:
    """Return the versions in this environment by normalised name."""
    found = {}
    for dist in importlib.metadata.distributions():
        name = re.sub(r"[-_.]+", "-", dist.metadata["Name"]).lower()
        if name not in {_OWN, "pip", "setuptools", "wheel"}:
            found[name] = dist.version
    return dict(sorted(found.items()))


def pinned() -> dict[str, str]:
    """Return the versions that pyproject.toml pins."""
    lines = tomllib.loads(PYPROJECT.read_text())["tool"]["uv"].get("constraint-dependencies", [])
    return dict(line.split("==") for line in lines)


def write(versions: dict[str, str]) -> None:
    """Replace the block of pins."""
    lines = "".join(f'    "{name}=={version}",\n' for name, version in versions.items())
    block = f"constraint-dependencies = [\n{lines}]\n"
    text = PYPROJECT.read_text()
    if _BLOCK.search(text):
        text = _BLOCK.sub(block, text)
    else:
        text = text.replace("[tool.uv]\n", f"[tool.uv]\n{block}")
    PYPROJECT.write_text(text)


def upgrade() -> None:
    """Install the newest versions that the requirements allow."""
    uv = shutil.which("uv") or str(ROOT / ".gateway/tools/bin/uv")
    subprocess.run([uv, "sync", "--upgrade", "--quiet"], cwd=ROOT, check=True)  # noqa: S603


@click.command(help=__doc__)
@click.option("--check", is_flag=True, help="Write nothing; fail when the pins are not what runs.")
def main(*, check: bool) -> None:
    """Write or check the pins."""
    versions = installed()
    if not check:
        write({})
        upgrade()
        write(installed())
        return
    pins = pinned()
    wrong = [f"{n} {v} (pinned: {pins.get(n)})" for n, v in versions.items() if pins.get(n) != v]
    if wrong:
        click.echo(
            f"not as pinned: {', '.join(wrong)}; run `make pin` or `make install`",
            err=True,
        )
        sys.exit(1)


if __name__ == "__main__":
    main()
