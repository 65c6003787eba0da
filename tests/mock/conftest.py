"""A mock for each test, and the bytes of the requests that tests send to it."""

import json

import pytest

from e2e.harness.raw import RawConnection, exchange
from e2e.mock_azure_openai import MockAzureOpenAI

CHAT = "/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21"


@pytest.fixture(scope="session")
def shared_mock():
    with MockAzureOpenAI(name="shared") as mock:
        yield mock


@pytest.fixture
def mock(shared_mock):
    yield shared_mock
    shared_mock.reset()


class Caller:
    """Sends chat requests to a mock; `ask` waits for the answer, `begin` does not."""

    def __init__(self, mock):
        self.mock = mock
        self._open = []

    def _parts(self, fields, headers):
        body = {"messages": [{"role": "user", "content": "Hello there"}], **fields}
        pairs = [("api-key", self.mock.key), ("Content-Type", "application/json"), *headers]
        return pairs, json.dumps(body).encode()

    def ask(self, target=CHAT, headers=(), **fields):
        pairs, body = self._parts(fields, headers)
        return exchange(self.mock.url, "POST", target, pairs, body)

    def begin(self, target=CHAT, headers=(), **fields):
        pairs, body = self._parts(fields, headers)
        connection = RawConnection(self.mock.url)
        self._open.append(connection)
        connection.request("POST", target, pairs, body)
        return connection

    def close(self):
        for connection in self._open:
            connection.close()


@pytest.fixture
def caller(mock):
    made = Caller(mock)
    yield made
    made.close()
