"""Golden cases: an env file and the exact files it becomes.

Refresh after a wanted change, then read the diff:
UPDATE_GOLDEN=1 uv run pytest tests/renderer/test_renderer_golden.py
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from renderer.compile import load_model
from renderer.env_file import read_env_file
from renderer.pipeline import render

GOLDEN = Path(__file__).resolve().parent.parent / "golden"
CASES = sorted(path.parent.name for path in GOLDEN.glob("*/env"))


@pytest.mark.parametrize("case", CASES)
def test_an_environment_becomes_exactly_the_golden_files(case: str):
    folder = GOLDEN / case

    files = render(load_model(read_env_file(folder / "env")).model)

    if os.environ.get("UPDATE_GOLDEN"):
        for name, data in files.items():
            (folder / name).write_bytes(data)
    assert files == {name: (folder / name).read_bytes() for name in files}


@pytest.mark.parametrize("case", CASES)
def test_the_same_input_gives_the_same_bytes_in_any_order(case: str):
    env = read_env_file(GOLDEN / case / "env")
    backwards = dict(reversed(list(env.items())))

    assert render(load_model(env).model) == render(load_model(backwards).model)


def test_there_are_golden_cases():
    assert len(CASES) >= 4
