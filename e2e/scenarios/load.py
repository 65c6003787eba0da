"""Streams and JSON calls that run until a test has seen enough."""

import threading
import time

from e2e.harness import RawConnection
from e2e.mock_azure_openai import Action, Match, Rule
from e2e.scenarios import calls

THREADS = 3
PAUSE = 0.02


def until(met, timeout=20):
    """Wait until a condition is met; AssertionError else."""
    deadline = time.monotonic() + timeout
    while not met():
        assert time.monotonic() < deadline, f"not within {timeout} s"
        time.sleep(PAUSE)


class Load:
    """Calls on new connections from a few threads; `check` tells what went wrong.

    Streams take more than half a second, so that some are open at any moment.
    """

    def __init__(self, gateway, mocks):
        self._gateway = gateway
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self.failures = []
        self.done = {True: 0, False: 0}
        slow = Action(deltas=20, delta_delay_ms=30)
        for mock in mocks:
            mock.script(Rule(match=Match(stream=True), action=slow))
        self._threads = [
            threading.Thread(target=self._run, args=(stream,))
            for stream in (True, False)
            for _ in range(THREADS)
        ]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def wait_for(self, count):
        """Wait until so many more JSON calls, and a few more streams, were answered."""
        streams, others = self.done[True] + THREADS, self.done[False] + count
        until(lambda: self.done[True] >= streams and self.done[False] >= others)

    def check(self):
        """Fail when any call failed."""
        assert not self.failures, f"{len(self.failures)} failed, first: {self.failures[0]}"

    def _run(self, stream):
        while not self._stop.is_set():
            try:
                failure = self._call(stream)
            except OSError as error:
                failure = repr(error)
            with self._lock:
                self.done[stream] += 1
                if failure:
                    self.failures.append(("stream" if stream else "json", failure))

    def _call(self, stream):
        with RawConnection(self._gateway.url, timeout=20) as connection:
            body = calls.chat(stream=True) if stream else calls.chat()
            calls.post(connection, self._gateway, calls.CHAT, body)
            answer = connection.read_response()
        whole = answer.complete and (not stream or answer.body.endswith(b"data: [DONE]\n\n"))
        return None if answer.status == 200 and whole else (answer.status, answer.body[-300:])
