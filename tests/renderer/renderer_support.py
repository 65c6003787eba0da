"""What the renderer's tests share: a good environment and short ways through the renderer."""

from __future__ import annotations

from typing import Any

import yaml

from renderer.compile import Compiled, load_model
from renderer.pipeline import render

BACKEND_KEY = "canary-backend-key-0123456789abcdef"
CLIENT_KEY = "canary-client-key-0123456789abcdef"
BASE = {
    "AZURE_OPENAI_ENDPOINT_0": "https://one.openai.azure.com",
    "AZURE_OPENAI_KEY_0": BACKEND_KEY,
    "GATEWAY_CLIENT_NAME_0": "team-a",
    "GATEWAY_CLIENT_KEY_0": CLIENT_KEY,
}


def compiled(**overrides: str | None) -> Compiled:
    """Compile the good environment with changes; None removes a variable."""
    return load_model(environment(**overrides))


def environment(**overrides: str | None) -> dict[str, str]:
    """Return the good environment with changes."""
    return {name: text for name, text in {**BASE, **overrides}.items() if text is not None}


def documents(**overrides: str | None) -> dict[str, Any]:
    """Return the parsed files of the good environment with changes."""
    files = render(compiled(**overrides).model)
    return {name: yaml.safe_load(data) for name, data in files.items()}


def ai_proxy(**overrides: str | None) -> dict[str, Any]:
    """Return the configuration of ai-proxy-multi."""
    plugins: dict[str, Any] = documents(**overrides)["apisix.yaml"]["routes"][0]["plugins"]
    return plugins["ai-proxy-multi"]


def instance(**overrides: str | None) -> dict[str, Any]:
    """Return the first instance."""
    return ai_proxy(**overrides)["instances"][0]
