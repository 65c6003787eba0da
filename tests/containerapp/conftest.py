from __future__ import annotations

import os

import pytest

from containerapp.local import LocalContainer, runner
from e2e.harness import Backend, Client
from e2e.harness.environment import variables
from e2e.mock_azure_openai import MockAzureOpenAI


@pytest.fixture(scope="session")
def mock():
    """Serve one mock for all tests; scripts are removed after each."""
    with MockAzureOpenAI(name="one") as found:
        yield found


@pytest.fixture
def settings(mock):
    """Return the settings of a gateway with the mock as its backend."""
    yield variables([Backend(mock)], [Client()], {})
    mock.release()
    mock.reset()


@pytest.fixture
def container(settings):
    """Make containers in roots of their own; they are ended after the test."""
    made = []

    def make(**options):
        made.append(LocalContainer(settings, **options))
        return made[-1]

    yield make
    for item in made:
        item.close()


@pytest.fixture
def apisix_container(container):
    if runner(os.environ) is None:
        pytest.skip("needs a local APISIX: APISIX_HOME with bin/apisix-run")
    return container
