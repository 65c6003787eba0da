"""`request.lua` as a Python object."""

from .host import LuaHost, back, raw


class Request:
    """`request.lua` with Python on both sides."""

    def __init__(self, host: LuaHost) -> None:
        self.host = host
        self.module = host.require("request")

    def scan(self, body: bytes):
        result = self.module.scan(raw(body))
        return (None, result[1]) if isinstance(result, tuple) else (result, None)

    def body(self, body: bytes, model: str | None = None, *, usage: bool = False) -> bytes:
        scanned, code = self.scan(body)
        assert code is None
        name = None if model is None else raw(model)
        return back(self.module.body(raw(body), scanned, name, usage))

    def route(self, path: str):
        return self.module.route(path)

    def target(self, path: str, args: str | None, **backend) -> str:
        mapped = {"map_path": {}, **backend}
        return self.module.target(self.route(path), args, self.host.table(mapped))
