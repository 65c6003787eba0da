"""Gateways that several scenario files share."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from e2e.harness import fleet as fleets
from e2e.harness.ports import refusing_port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from e2e.harness.fleet import Fleet
    from e2e.harness.plugin import MakeGateway, MakeMocks


@pytest.fixture(scope="session")
def dead_ports() -> Iterator[list[int]]:
    with ExitStack() as held:
        yield [held.enter_context(refusing_port()) for _ in range(2)]


@pytest.fixture
def fleet(mocks: MakeMocks, gateway: MakeGateway, dead_ports: list[int]) -> Fleet:
    return fleets.make(mocks, gateway, dead_ports)


@pytest.fixture
def open_fleet(mocks: MakeMocks, gateway: MakeGateway, dead_ports: list[int]) -> Fleet:
    """Give a fleet that asks for no key, takes 1 MiB and tells nothing about its backends."""
    env = {
        "GATEWAY_REQUIRE_AUTH": "false",
        "GATEWAY_DEBUG_HEADERS": "false",
        "MAX_REQUEST_BODY_MB": "1",
    }
    return fleets.make(mocks, gateway, dead_ports, env=env, clients=())
