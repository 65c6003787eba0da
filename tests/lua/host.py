"""A LuaJIT with just enough of OpenResty around it to run the gateway's modules in a test.

Lua strings are bytes. They cross as `str` of code points below 256 (latin-1): `raw` turns bytes
into that, `back` turns it into bytes again.
"""

import ctypes
import ctypes.util
import functools
import json
from pathlib import Path
from typing import Any

from lupa.luajit21 import LuaRuntime, lua_type

ROOT = Path(__file__).resolve().parents[2]
FIXTURES = ROOT / "tests" / "fixtures" / "azure"
DRIVER = "apisix.plugins.dynamic-azure-openai."
AUTH = "apisix.plugins.azure-openai-auth."

# Decoded tables are kept: nothing under test changes one, and sweeps decode the same events
# a hundred thousand times.
CJSON = """
local decode, encode, null = ...
local known = {}
local cjson = { null = null }

function cjson.decode(text)
    local hit = known[text]
    if hit ~= nil then
        return hit
    end
    local value, err = decode(text)
    if value == nil then
        return nil, err
    end
    if type(value) == "table" and #text < 10000 then
        known[text] = value
    end
    return value
end

cjson.encode = encode
package.preload["cjson.safe"] = function() return cjson end
package.preload["cjson"] = package.preload["cjson.safe"]
"""


def raw(data: bytes | str) -> str:
    """Give bytes, or the UTF-8 of a text, as a Lua string."""
    return (data.encode() if isinstance(data, str) else data).decode("latin-1")


def back(text: str) -> bytes:
    """Give a Lua string as bytes."""
    return text.encode("latin-1")


def fixture_bytes(name: str) -> bytes:
    """Read provider bytes."""
    return (FIXTURES / name).read_bytes()


class LuaHost:
    """One Lua state: modules are loaded afresh, so their own state starts empty."""

    def __init__(self) -> None:
        self.lua = LuaRuntime(encoding="latin-1", unpack_returned_tuples=True)
        # a userdata like cjson's own: true in conditions, equal only to itself
        self.null = self.lua.eval("newproxy()")
        path = f"{ROOT}/?.lua;{ROOT}/tests/lua/?.lua"
        self.lua.execute("package.path = ...", path)
        self.lua.execute(CJSON, self._decode, self._encode, self.null)

    def require(self, name: str) -> Any:
        """Load a module of the driver by its short name, any other by its full one."""
        full = name if "." in name else DRIVER + name
        loaded: Any = self.lua.eval("function(name) return (require(name)) end")(full)
        return loaded

    def preload(self, name: str, module: Any) -> None:
        """Make a table the module of that name."""
        self.lua.execute(
            "local name, module = ...; package.preload[name] = function() return module end",
            name,
            self.table(module),
        )

    def table(self, value: Any) -> Any:
        """Turn dicts, lists and texts into Lua's; anything else stays."""
        if isinstance(value, dict):
            return self.lua.table_from({self.table(k): self.table(v) for k, v in value.items()})
        if isinstance(value, list):
            return self.lua.table_from([self.table(v) for v in value])
        return value

    def python(self, value: Any) -> Any:
        """Turn Lua tables into dicts, or lists when their keys count from 1."""
        if lua_type(value) != "table":
            return None if value is not None and self._is_null(value) else value
        pairs = {key: self.python(item) for key, item in value.items()}
        if pairs and list(pairs) == list(range(1, len(pairs) + 1)):
            return list(pairs.values())
        return pairs

    def _is_null(self, value: Any) -> bool:
        return lua_type(value) == "userdata" and bool(self.lua.eval("rawequal")(value, self.null))

    def _decode(self, text: str) -> Any:
        try:
            decoded = json.loads(back(text).decode("utf-8", "surrogateescape"), strict=False)
            return self._to_lua(decoded)
        except (ValueError, RecursionError) as error:
            return None, str(error)

    def _to_lua(self, value: Any) -> Any:
        if value is None:
            return self.null
        if isinstance(value, dict):
            return self.lua.table_from(
                {self._to_lua(key): self._to_lua(item) for key, item in value.items()}
            )
        if isinstance(value, list):
            return self.lua.table_from([self._to_lua(item) for item in value])
        if isinstance(value, str):
            return raw(value.encode("utf-8", "surrogateescape"))
        if isinstance(value, int) and not isinstance(value, bool):
            return float(value)
        return value

    def _encode(self, value: Any) -> str:
        # no spaces, and an escaped slash: as lua-cjson writes
        text = json.dumps(self.python(value), ensure_ascii=False, separators=(",", ":"))
        return text.replace("/", "\\/")


@functools.cache
def publish_libcrypto() -> None:
    """Make libcrypto's functions visible to `ffi.C`, as they are in an nginx process.

    Nothing in a Python process exports them globally: `ssl` loads the library for itself only.
    """
    name = ctypes.util.find_library("crypto") or "libcrypto.so.3"
    ctypes.CDLL(name, mode=ctypes.RTLD_GLOBAL)
