"""Fixtures of the e2e suite; `e2e/conftest.py` takes them over.

def test_a_throttled_backend_is_passed_over(mocks, gateway):
    first, second = mocks(2)
    first.script(Action(error="429"))
    gw = gateway([Backend(first, priority=10), Backend(second)])
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import Any, Protocol

import pytest

from e2e.mock_azure_openai import MockAzureOpenAI

from . import runtimes
from .environment import Backend, Client
from .gateway import Gateway
from .pools import GatewayPool, MockPool

MakeMocks = Callable[..., list[MockAzureOpenAI]]

_IN_USE = pytest.StashKey[list[Gateway]]()
_LOG_TAIL = 6000


class MakeGateway(Protocol):
    """The `gateway` fixture."""

    def __call__(
        self,
        backends: Sequence[Backend],
        *,
        clients: Sequence[Client] = ...,
        env: Mapping[str, Any] | None = None,
        fresh: bool = False,
    ) -> Gateway:
        """Return a running gateway; `fresh` = one that no other test has used or will use."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--runtime`."""
    parser.addoption(
        "--runtime", choices=runtimes.NAMES, default="lite", help="what the gateway runs on"
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    """Add the logs of the test's gateways to the report of a failure."""
    report: Any = yield
    if report.when == "call" and report.failed:
        for gateway in item.stash.get(_IN_USE, []):
            text = gateway.log_text()[-_LOG_TAIL:]
            report.sections.append((f"log of gateway {gateway.url}", text))
    return report


@pytest.fixture(scope="session")
def runtime(request: pytest.FixtureRequest) -> str:
    """Name the runtime under test; a missing one is a failure, never a skip."""
    name = str(request.config.getoption("--runtime"))
    reason = runtimes.missing(name)
    if reason:
        pytest.fail(reason, pytrace=False)
    return name


@pytest.fixture(scope="session")
def mock_pool() -> Iterator[MockPool]:
    """Hold the mocks of the session."""
    pool = MockPool()
    yield pool
    pool.close()


@pytest.fixture(scope="session")
def gateway_pool(runtime: str, mock_pool: MockPool) -> Iterator[GatewayPool]:  # noqa: ARG001
    """Hold the gateways of the session; they go before the mocks that they talk to."""
    pool = GatewayPool(runtime)
    yield pool
    pool.close()


@pytest.fixture
def mocks(mock_pool: MockPool) -> Iterator[MakeMocks]:
    """Give `mocks(count, **settings)`: clean running mocks, the same ones for each test."""

    def make(count: int = 1, **settings: Any) -> list[MockAzureOpenAI]:
        return mock_pool.take(count, **settings)

    yield make
    mock_pool.recycle()


@pytest.fixture
def gateway(gateway_pool: GatewayPool, request: pytest.FixtureRequest) -> Iterator[MakeGateway]:
    """Give `gateway(backends, clients=..., env=..., fresh=...)`; equal settings are shared."""
    in_use: list[Gateway] = []
    own: list[Gateway] = []
    request.node.stash[_IN_USE] = in_use

    def make(
        backends: Sequence[Backend],
        *,
        clients: Sequence[Client] = (Client(),),
        env: Mapping[str, Any] | None = None,
        fresh: bool = False,
    ) -> Gateway:
        start = gateway_pool.start if fresh else gateway_pool.take
        made = start(backends, clients, env or {})
        in_use.append(made)
        if fresh:
            own.append(made)
        return made

    yield make
    for made in own:
        made.close()
