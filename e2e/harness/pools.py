"""Mocks and gateways that tests share: starting a gateway costs about a second."""

from __future__ import annotations

from collections import Counter, OrderedDict
from typing import TYPE_CHECKING, Any

from e2e.mock_azure_openai import MockAzureOpenAI

from . import environment
from .gateway import Gateway, GatewayError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .environment import Backend, Client

_MAX_GATEWAYS = 4


class MockPool:
    """Mocks by their settings; a test gets clean ones and gives them back with `recycle`."""

    def __init__(self) -> None:
        self._mocks: dict[tuple[Any, ...], MockAzureOpenAI] = {}
        self._taken: Counter[tuple[Any, ...]] = Counter()

    def take(self, count: int, **settings: Any) -> list[MockAzureOpenAI]:
        """Return running mocks named mock0, mock1, ... that were not yet taken in this test."""
        return [self._take(settings) for _ in range(count)]

    def _take(self, settings: Mapping[str, Any]) -> MockAzureOpenAI:
        kind = tuple(sorted((name, _frozen(value)) for name, value in settings.items()))
        number = self._taken[kind]
        self._taken[kind] += 1
        key = (kind, number)
        if key not in self._mocks:
            named = {"name": f"mock{number}", **settings}
            self._mocks[key] = MockAzureOpenAI(**named)
        mock = self._mocks[key]
        return mock if mock.running else mock.start()

    def recycle(self) -> None:
        """Clean all mocks that were taken since the last time."""
        self._taken.clear()
        for mock in self._mocks.values():
            mock.reset()

    def close(self) -> None:
        """Stop all mocks."""
        for mock in self._mocks.values():
            mock.stop()


def _key(variables: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(variables.items()))


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


class GatewayPool:
    """Running gateways by their settings; the one unused longest is stopped when it gets full."""

    def __init__(self, runtime: str) -> None:
        self._runtime = runtime
        self._gateways: OrderedDict[tuple[tuple[str, str], ...], Gateway] = OrderedDict()

    def take(
        self, backends: Sequence[Backend], clients: Sequence[Client], env: Mapping[str, Any]
    ) -> Gateway:
        """Return a gateway with these settings; it may have served other tests before."""
        key = _key(environment.variables(backends, clients, env))
        gateway = self._gateways.pop(key, None)
        if gateway is not None and (_key(gateway.variables) != key or not gateway.is_ready()):
            gateway.close()
            gateway = None
        if gateway is None:
            gateway = self.start(backends, clients, env)
        self._gateways[key] = gateway
        while len(self._gateways) > _MAX_GATEWAYS:
            self._gateways.popitem(last=False)[1].close()
        return gateway

    def start(
        self, backends: Sequence[Backend], clients: Sequence[Client], env: Mapping[str, Any]
    ) -> Gateway:
        """Start a gateway that is not shared; the caller closes it."""
        gateway = Gateway(backends=backends, clients=clients, env=env, runtime=self._runtime)
        try:
            return gateway.start()
        except GatewayError:
            gateway.close()
            raise

    def close(self) -> None:
        """Stop all gateways."""
        while self._gateways:
            self._gateways.popitem()[1].close()
