from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from lite_harness import Gateway


@pytest.fixture
def gateway(tmp_path):
    """Make gateways in folders of their own; they are stopped at the end."""
    made = []

    def make(*args, **kwargs):
        item = Gateway(tmp_path / f"w{len(made)}", *args, **kwargs)
        made.append(item)
        return item

    yield make
    for item in made:
        item.stop()
