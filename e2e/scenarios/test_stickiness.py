"""Consistent hashing: a key stays with its backend, and moves only while that one fails."""

from __future__ import annotations

import pytest

from e2e.harness import Backend, Client
from e2e.harness.calls import chat, legacy
from e2e.mock_azure_openai.script import Action, Match, Rule

TEAMS = [Client(f"team-{number}") for number in range(8)]
SESSIONS = [f"session-{number}" for number in range(24)]


class Ring:
    """Three backends, one mock; the key that it gets says which one."""

    def __init__(self, mocks, gateway, **env):
        (self._mock,) = mocks(1, api_keys=[])
        backends = [Backend(self._mock, name=n, key=f"key-{n}") for n in ("east", "west", "north")]
        settings = {"GATEWAY_WORKERS": "2", "LB_ALG": "chash", **env}
        self.gateway = gateway(backends, clients=TEAMS, env=settings)

    def backend(self, **headers):
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        response = self.gateway.request("POST", legacy("gpt-4o"), body=chat(), headers=named)
        assert response.status == 200
        return response.header("x-gateway-backend")[0]

    def fail(self, name):
        match = Match(headers={"api-key": f"key-{name}"})
        self._mock.script(Rule(match=match, action=Action(error="429")))

    def heal(self):
        self._mock.script(None)


@pytest.fixture
def by_consumer(mocks, gateway):
    return Ring(mocks, gateway)


@pytest.fixture
def by_header(mocks, gateway):
    return Ring(mocks, gateway, LB_HASH_ON="header", LB_HASH_KEY="x-session")


def test_a_consumer_stays_with_its_backend(by_consumer):
    served = [{by_consumer.backend(api_key=team.secret) for _ in range(6)} for team in TEAMS]

    assert [len(backends) for backends in served] == [1] * len(TEAMS)
    assert len(set.union(*served)) > 1


def test_a_header_keeps_its_backend_whatever_the_consumer(by_header):
    served = {
        session: {
            by_header.backend(x_session=session, api_key=team.secret)
            for team in (*TEAMS[:2], *TEAMS[:2])
        }
        for session in SESSIONS
    }

    assert [len(backends) for backends in served.values()] == [1] * len(SESSIONS)
    assert set.union(*served.values()) == {"east", "west", "north"}


def test_a_request_without_the_header_is_served(by_header):
    assert by_header.backend() in {"east", "west", "north"}


def test_only_the_keys_of_a_failing_backend_move_and_they_come_back(by_header):
    before = {session: by_header.backend(x_session=session) for session in SESSIONS}
    by_header.fail("west")

    during = {session: by_header.backend(x_session=session) for session in SESSIONS}

    moved = {session for session in SESSIONS if during[session] != before[session]}
    assert moved == {session for session in SESSIONS if before[session] == "west"}
    assert "west" not in during.values()
    by_header.heal()
    assert {s: by_header.backend(x_session=s) for s in SESSIONS} == before
