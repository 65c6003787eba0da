"""What `relay.body` does with answers too large to be held; the rest is shown end to end."""

import gzip
import json
import random
import time
from typing import Any

import pytest

from .host import DRIVER, LuaHost, raw

# a response and a transport that only remember; `pieces` are what the backend sends
STUBS = """
local prefix = ...
local seen = { sent = {}, pieces = {} }
ngx = { now = function() return 0 end, sleep = function() end, header = {} }
package.preload[prefix .. "response"] = function()
    return {
        head = function() end,
        send = function(r, bytes)
            r.sent = true
            seen.sent[#seen.sent + 1] = bytes
            return true
        end,
    }
end
package.preload[prefix .. "transport"] = function()
    return {
        read = function() return table.remove(seen.pieces, 1) end,
        done = function() seen.done = true end,
    }
end
return seen
"""
HOLD = 1000
USAGE = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}


class Relay:
    """`relay.body` between two stubs."""

    def __init__(self, host: LuaHost) -> None:
        self.host = host
        self.seen = host.lua.execute(STUBS, DRIVER)
        self.module = host.require("relay")

    def body(self, answer: bytes, size: int, **headers: str) -> Any:
        """Relay an answer that comes in pieces of a size; return the request's state."""
        pieces = [raw(answer[at : at + size]) for at in range(0, len(answer), size)]
        self.seen.pieces = self.host.table(pieces)
        settings = {"json_hold_bytes": HOLD}
        r = self.host.table({"pool": {"settings": settings}, "attempt_started": 0})
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        res = self.host.table({"status": 200, "framing": "length", "headers": fields})
        assert self.module.body(r, res) is True
        assert "".join(self.seen.sent.values()) == raw(answer)
        assert r.completed
        assert self.seen.done
        return r


@pytest.fixture
def relay(host) -> Relay:
    return Relay(host)


def noise(size: int) -> str:
    """Give text that does not compress well."""
    return random.Random(1).randbytes(size // 2).hex()


def answer(size: int) -> bytes:
    return json.dumps({"model": "m", "data": noise(size), "usage": USAGE}).encode()


@pytest.mark.parametrize("size", [100, 999, 16384])
def test_the_usage_at_the_end_of_a_large_answer_is_read(relay, size):
    assert relay.body(answer(100_000), size).usage.prompt == 11


def test_the_usage_of_a_large_compressed_answer_is_read(relay):
    packed = gzip.compress(answer(100_000))
    assert len(packed) > 16384
    assert relay.body(packed, 1000, content_encoding="gzip").usage.prompt == 11


def test_a_compressed_answer_beyond_the_limit_passes_uncounted_in_linear_time(relay):
    packed = gzip.compress(answer(24_000_000), compresslevel=1)
    began = time.process_time()
    assert relay.body(packed, 4096, content_encoding="gzip").usage is None
    assert time.process_time() - began < 1
