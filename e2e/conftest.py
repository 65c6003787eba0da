"""The e2e suite: real gateways in front of mock backends."""

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
