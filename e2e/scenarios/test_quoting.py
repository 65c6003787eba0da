"""What users write arrives as they wrote it, whatever it looks like to YAML or to the engine."""

import pytest

from e2e.harness import Backend, Client
from e2e.mock_azure_openai import MockAzureOpenAI

KEYS = [
    "$env://HOME",
    "$ENV://PATH",
    "$secret://vault/1/key",
    "${{HOME}}",
    "${{HOME:=x}}-${HOME}",
    "literal:$env://HOME",
    'quote"and\\backslash',
    "#END",
    "a: b, [c] {d} & *e !f | > 'g' %h @i `j`",
    "true",
    "0123",
    "~",
]
CHAT = "/openai/deployments/{}/chat/completions?api-version=2024-10-21"


@pytest.fixture(scope="module")
def picky_mocks():
    found = [MockAzureOpenAI(name=f"picky{n}", api_keys=[key]) for n, key in enumerate(KEYS)]
    for mock in found:
        mock.start()
    yield found
    for mock in found:
        mock.stop()


def test_every_printable_backend_key_reaches_its_backend(picky_mocks, gateway):
    gw = gateway([Backend(m, deployments=[f"d{n}"]) for n, m in enumerate(picky_mocks)], fresh=True)

    for n, mock in enumerate(picky_mocks):
        got = gw.request(
            "POST", CHAT.format(f"d{n}"), body={"messages": [{"role": "user", "content": "x"}]}
        )

        assert got.status == 200, KEYS[n]
        assert mock.journal[-1].header("api-key") == [KEYS[n]]


def test_every_printable_client_key_opens_the_gateway(mocks, gateway):
    clients = [Client(f"c{n}", key=key.ljust(8, "_")) for n, key in enumerate(KEYS)]
    gw = gateway([Backend(mocks()[0])], clients=clients, fresh=True)

    for client in clients:
        got = gw.request("GET", "/openai/v1/models", headers={"api-key": client.key})

        assert got.status == 200, client.key


def test_names_of_deployments_pass_as_they_are(mocks, gateway):
    (mock,) = mocks()
    names = {"gpt-4o": "backend-1", "a.b_c-d": "true", "0123": "gpt_4.1"}
    gw = gateway([Backend(mock, deployment_map=names)], fresh=True)

    for client, backend in names.items():
        got = gw.request("POST", "/v1/embeddings", body={"model": client, "input": "x"})

        assert got.status == 200
        assert mock.journal[-1].json()["model"] == backend
