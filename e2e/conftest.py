"""The e2e suite: real gateways in front of mock backends."""

import pytest

from e2e.harness.plugin import (
    gateway,
    gateway_pool,
    mock_pool,
    mocks,
    pytest_addoption,
    pytest_runtest_makereport,
    runtime,
)

__all__ = [
    "gateway",
    "gateway_pool",
    "mock_pool",
    "mocks",
    "pytest_addoption",
    "pytest_runtest_makereport",
    "runtime",
]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the long scenarios out unless `-m` asks for them."""
    if "soak" in str(config.getoption("markexpr")):
        return
    long = [item for item in items if item.get_closest_marker("soak")]
    if long:
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if item not in long]
