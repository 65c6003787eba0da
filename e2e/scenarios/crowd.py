"""Two hundred clients at once: most in the middle of a stream, the others asking for JSON."""

import asyncio
import json
import threading
import time
from urllib.parse import urlsplit

from e2e.scenarios import calls

STREAMS = 150
OTHERS = 50
READ_SECONDS = 60


class Crowd:
    """Clients that call again and again, each time on a new connection.

    `failures` are calls that got no whole, right answer. `quiet` stops new calls and waits until
    all calls that are open have the head of their answer.
    """

    def __init__(self, gateway):
        parts = urlsplit(gateway.url)
        self._address = (parts.hostname, parts.port)
        self._key = gateway.key
        self._more = True
        self._waiting = 0
        self.open = 0
        self.failures = []
        self.done = {True: 0, False: 0}
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()))

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._more = False
        self._thread.join()

    def quiet(self):
        """Start no more calls; return when every open one has the head of its answer."""
        self._more = False
        self._until(lambda: not self._waiting)

    def wait_for(self, streams, others):
        """Wait until so many more calls were answered."""
        goal = {True: self.done[True] + streams, False: self.done[False] + others}
        self._until(lambda: all(self.done[kind] >= goal[kind] for kind in goal))

    def wait_for_all_streams(self):
        """Wait until every client that streams is in the middle of it."""
        self._until(lambda: self.open >= STREAMS)

    @staticmethod
    def _until(met, timeout=60):
        deadline = time.monotonic() + timeout
        while not met():
            assert time.monotonic() < deadline, f"not within {timeout} s"
            time.sleep(0.02)

    async def _main(self):
        kinds = [True] * STREAMS + [False] * OTHERS
        await asyncio.gather(*(self._client(stream) for stream in kinds))

    async def _client(self, stream):
        while self._more:
            try:
                await asyncio.wait_for(self._call(stream), READ_SECONDS)
                self.done[stream] += 1
            except (OSError, AssertionError, asyncio.IncompleteReadError, TimeoutError) as error:
                self.failures.append(f"{'stream' if stream else 'json'}: {error!r}")
                await asyncio.sleep(0.1)

    async def _call(self, stream):
        self._waiting += 1
        try:
            reader, writer = await asyncio.open_connection(*self._address)
            writer.write(self._request(stream))
            head = await reader.readuntil(b"\r\n\r\n")
        finally:
            self._waiting -= 1
        self.open += stream
        try:
            assert head.startswith(b"HTTP/1.1 200 "), head[:200]
            body = await reader.read()
        finally:
            self.open -= stream
            writer.close()
        whole = (
            b"data: [DONE]" in body and body.endswith(b"0\r\n\r\n") if stream else b"usage" in body
        )
        assert whole, f"cut after {len(body)} bytes: {body[-200:]!r}"

    def _request(self, stream):
        body = json.dumps(calls.chat(stream=stream)).encode()
        return (
            f"POST {calls.CHAT} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n"
            f"api-key: {self._key}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\n\r\n"
        ).encode() + body
