"""The gateway that most scenarios share: three mocks and some backends that are out of order.

A deployment's name says who serves it, so that one gateway holds many constellations:

* `solo`: alpha. `pair`: alpha, then bravo. `trio`: alpha, bravo, charlie.
* `dead-solo`, `dead-pair`, `dead-trio`: nobody listens at the preferred backend(s), then charlie.
* `before-dead`: alpha, then one where nobody listens. `drained`: only a backend that drains.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from .calls import chat, legacy
from .environment import Backend, Client

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from e2e.mock_azure_openai import MockAzureOpenAI
    from e2e.mock_azure_openai.journal import Entry

    from .gateway import Gateway
    from .plugin import MakeGateway, MakeMocks
    from .raw import RawResponse

ENV = {"GATEWAY_WORKERS": "1"}
TEAM_A = Client("team-a", extra={"KEY_SECONDARY": "gw-team-a-secondary-0123456789"})
TEAM_B = Client("team-b")
AZURE_LIKE = Client("azure-like", "F" + "1aB2cD3e" * 10 + "AzK")
VERBOSE = Client("verbose", "v" * 512)
CLIENTS = (Client(), TEAM_A, TEAM_B, AZURE_LIKE, VERBOSE)
NAMES = ("alpha", "bravo", "charlie")


@dataclasses.dataclass(frozen=True)
class Fleet:
    """A gateway and its mocks in order of preference."""

    gateway: Gateway
    mocks: Sequence[MockAzureOpenAI]

    @property
    def alpha(self) -> MockAzureOpenAI:
        """The preferred mock."""
        return self.mocks[0]

    @property
    def bravo(self) -> MockAzureOpenAI:
        """The mock after alpha."""
        return self.mocks[1]

    @property
    def charlie(self) -> MockAzureOpenAI:
        """The last mock."""
        return self.mocks[2]

    def ask(
        self,
        deployment: str,
        *,
        stream: bool = False,
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> RawResponse:
        """Send a chat request on the deployment route; `more` goes into its body."""
        body = chat(stream=stream, **more)
        return self.gateway.request("POST", legacy(deployment), body=body, headers=headers)

    def calls(self) -> list[int]:
        """Return how many requests each mock got."""
        return [len(mock.journal) for mock in self.mocks]

    def received(self) -> Entry:
        """Return the one request that reached a mock, answered."""
        (mock,) = [mock for mock in self.mocks if mock.journal]
        return only(mock)

    def secrets(self) -> list[str]:
        """Return what no answer of the gateway's own may contain: names, addresses, keys."""
        names = [*NAMES, "void", "drainer", "127.0.0.1"]
        ports = [f":{mock.port}" for mock in self.mocks]
        keys = [mock.key for mock in self.mocks] + [client.secret for client in CLIENTS]
        return names + ports + keys


def only(mock: MockAzureOpenAI) -> Entry:
    """Return the one request that a mock got, once it has ended."""
    (entry,) = mock.wait_done(1)
    return entry


def backends(mocks: Sequence[MockAzureOpenAI], dead: Sequence[int]) -> list[Backend]:
    """Return the fleet's backends; `dead`: two ports that refuse connections."""
    alpha, bravo, charlie = mocks
    void1, void2 = (f"http://127.0.0.1:{port}" for port in dead)
    solo, pair = ("solo", "pair", "trio", "before-dead"), ("pair", "trio")
    served_last = ("trio", "dead-pair", "dead-trio")
    dead_first = ("dead-solo", "dead-pair", "dead-trio")
    return [
        Backend(alpha, priority=10, deployments=solo),
        Backend(bravo, priority=5, deployments=pair),
        Backend(charlie, priority=1, deployments=served_last),
        Backend(name="void1", endpoint=void1, priority=20, deployments=dead_first),
        Backend(name="void2", endpoint=void2, priority=15, deployments=("dead-trio",)),
        Backend(name="void3", endpoint=void2, priority=0, deployments=("before-dead",)),
        Backend(alpha, name="drainer", mode="drain", deployments=("drained",)),
    ]


def make(
    mocks: MakeMocks,
    gateway: MakeGateway,
    dead: Sequence[int],
    *,
    env: Mapping[str, Any] | None = None,
    clients: Sequence[Client] = CLIENTS,
) -> Fleet:
    """Return a fleet; the same settings give the same gateway."""
    made = [mocks(1, name=name, api_keys=[f"canary-key-of-{name}"])[0] for name in NAMES]
    shared = gateway(backends(made, dead), clients=clients, env={**ENV, **(env or {})})
    return Fleet(shared, made)
