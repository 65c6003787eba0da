from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

from renderer.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Run render-config with exactly the given process environment."""

    def run(env: Mapping[str, str], *arguments: str) -> Result:
        for name in list(os.environ):
            monkeypatch.delenv(name)
        for name, text in env.items():
            monkeypatch.setenv(name, text)
        return CliRunner().invoke(main, arguments)

    return run
