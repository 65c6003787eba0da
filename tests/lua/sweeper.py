"""Runs streams through every cut."""

from .host import LuaHost, fixture_bytes, raw
from .provider import boundaries, events, without_usage

HOLD = 16384
# the event that carries the first output; all others are from the second on
FIRST_OUTPUT = {
    "chat-filter-first-utf8.sse": 2,
    "chat-small.sse": 2,
    "chat-crlf.sse": 2,
    "chat-cr.sse": 1,
    "chat-comments.sse": 2,
    "chat-multiline-data.sse": 0,
    "chat-async-filter.sse": 3,
    "chat-tool-call.sse": 1,
    "chat-done-without-blank-line.sse": 0,
    "completions-stream.sse": 2,
    "chat-usage-null-everywhere.sse": 2,
    "chat-usage-in-content.sse": 1,
    "responses-stream.sse": 2,
}


class Sweeper:
    """Runs one stream through every cut."""

    def __init__(self, host: LuaHost) -> None:
        self.host = host
        self.stream = host.require("stream")
        self.sweep = host.lua.eval("function(name) return (require(name)) end")("sweep")

    def case(self, stream: bytes, **changes: object) -> object:
        expected = changes.pop("expected", stream)
        assert isinstance(expected, bytes)
        settings = {
            "input": raw(stream),
            "expected": raw(expected),
            "boundary": dict.fromkeys(boundaries(expected), True),
            "quiet": 0,
            "injected": False,
            "hold": HOLD,
            "firsts": 1,
            **changes,
        }
        return self.host.table(settings)

    def fixture(self, name: str, *, injected: bool, prompt: int | None) -> object:
        stream = fixture_bytes(name)
        removed = injected and prompt
        return self.case(
            stream,
            expected=without_usage(stream) if removed else stream,
            quiet=events(stream)[FIRST_OUTPUT[name]].stop,
            injected=injected,
            prompt=prompt,
        )
