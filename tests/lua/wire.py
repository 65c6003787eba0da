"""`answer.lua` behind a socket that plays a backend's bytes."""

from typing import Any

from .host import LuaHost, raw


class Wire:
    """One Lua state; every call is a connection of its own."""

    def __init__(self, host: LuaHost) -> None:
        self.host = host
        self.answer = host.require("answer")
        self.wire = host.lua.eval("function(name) return (require(name)) end")("wire")

    def read(self, *pieces: bytes, last: str = "closed") -> Any:
        return self.wire.read(self.answer, self.host.table([raw(p) for p in pieces]), last)

    def by_bytes(self, stream: bytes) -> Any:
        return self.wire.by_bytes(self.answer, raw(stream), "closed")

    def opened(self, *pieces: bytes, last: str = "closed") -> Any:
        """Read the head only."""
        sock = self.wire.socket(self.host.table([raw(p) for p in pieces]), last)
        res = self.host.table({"sock": sock, "buf": "", "ended": False})
        self.answer.read_head(res)
        return res

    def sweep(self, stream: bytes, last: str = "closed", **expected: object) -> str | None:
        wanted = self.host.table({"status": 200, **expected})
        return self.wire.sweep(self.answer, raw(stream), last, wanted)


def cut(stream: bytes, at: list[int]) -> list[bytes]:
    """Cut at the given places, in any order, beyond the end too."""
    places = sorted({min(place, len(stream)) for place in at})
    return [stream[a:b] for a, b in zip([0, *places], [*places, len(stream)], strict=True) if a < b]
