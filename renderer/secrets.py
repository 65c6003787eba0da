"""Where secrets come from: a store that is asked for one name at a time.

A store needs the right to get a secret, never to list them, so it is only asked for names that the
configuration makes possible.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping


class SecretStore(Protocol):
    """Something that knows secrets by the name of their environment variable."""

    def get(self, variable: str) -> str | None:
        """Return the secret of a variable such as `AZURE_OPENAI_KEY_0`, or None."""


class EnvSecretStore:
    """The environment itself: what containers get through secret references."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env

    def get(self, variable: str) -> str | None:
        """Return the variable's text, or None when it is unset or empty."""
        return self._env.get(variable) or None
