"""From an environment to a published set, through the renderer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from renderer.compile import Compiled, load_model
from renderer.env_file import read_env_file
from renderer.output import publish
from renderer.pipeline import render

if TYPE_CHECKING:
    from collections.abc import Mapping

LUA_PATH = "GATEWAY_LUA_PATH"
PLUGIN_FILE = "apisix/plugins/ai-providers/dynamic-azure-openai.lua"


def compile_env(environ: Mapping[str, str], env_file: Path | None) -> Compiled:
    """Return the model that the variables describe, and warnings.

    Raises:
        RendererError: a variable is wrong.
    """
    in_file = read_env_file(env_file) if env_file else {}
    return load_model({**environ, **in_file}, from_file=in_file)


def render_to(out: Path, environ: Mapping[str, str], env_file: Path | None) -> tuple[str, ...]:
    """Render and publish into `out`; return warnings.

    Raises:
        RendererError: a variable is wrong or the folder cannot be written; nothing has changed.
    """
    in_file = read_env_file(env_file) if env_file else {}
    env = {**environ, **in_file}
    compiled = load_model(env, from_file=in_file)
    lua_path = None if env.get(LUA_PATH) else _own_lua_path()
    publish(render(compiled.model, lua_path), out)
    return compiled.warnings


def _own_lua_path() -> str | None:
    """Return the folder with our plugins when this runs from a checkout."""
    root = Path(__file__).parent.parent
    return str(root) if (root / PLUGIN_FILE).is_file() else None
