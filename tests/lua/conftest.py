"""Lua states for the tests: a fresh one per test, or one per file where a state may be shared."""

import pytest

from .host import LuaHost


@pytest.fixture
def host() -> LuaHost:
    return LuaHost()


@pytest.fixture(scope="module")
def shared_host() -> LuaHost:
    """Give a state for modules that keep none of their own: properties run on it many times."""
    return LuaHost()
