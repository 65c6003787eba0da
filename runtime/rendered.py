"""The rendered set that is in force, as text: what the engines are started from."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from renderer.errors import PublicationError
from renderer.output import CURRENT, ENGINE, MANIFEST, read_published
from runtime.errors import RenderedSetError

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, kw_only=True, slots=True)
class RenderedSet:
    """A verified set: its folder, its digest, and the text of the two engine files."""

    directory: Path
    digest: str
    apisix_yaml: str
    config_yaml: str


def current_target(root: Path) -> str | None:
    """Return what `.current` points to, None when there is no set."""
    try:
        return os.readlink(root / CURRENT)  # noqa: PTH115 -- the text of the link, unresolved
    except OSError:
        return None


def read_set(root: Path) -> RenderedSet:
    """Read the set in force in `root` and verify it against its manifest.

    Raises:
        RenderedSetError: there is none, its files are not the ones of the manifest, or it was
            rendered for another engine.
    """
    try:
        published, files = read_published(root)
        _check_engine(published.directory)
        return RenderedSet(
            directory=published.directory,
            digest=published.digest,
            apisix_yaml=files["apisix.yaml"].decode(),
            config_yaml=files["config.yaml"].decode(),
        )
    except PublicationError as error:
        raise RenderedSetError(str(error)) from None
    except KeyError as error:
        raise RenderedSetError(f"{root}: the rendered set has no {error.args[0]}") from None


def _check_engine(directory: Path) -> None:
    engine = json.loads((directory / MANIFEST).read_bytes()).get("engine")
    if engine != ENGINE:
        raise RenderedSetError(f"{directory} was rendered for {engine}, not for {ENGINE}")
