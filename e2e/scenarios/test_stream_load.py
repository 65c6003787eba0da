"""A slow reader costs no memory, and a burst does not keep others waiting."""

import json
import socket
import threading

import psutil

from e2e.harness import Backend, RawConnection
from e2e.mock_azure_openai import Action
from e2e.scenarios import calls

MEBI = 1 << 20
ONE_WORKER = {"GATEWAY_WORKERS": "1", **calls.LONG_HOLD}
BURST_EVENTS = 300_000
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
EVENT = b'data: {"choices":[{"delta":{"content":"%06d and some more words for it"}}]}\n\n'


def resident(pid):
    return psutil.Process(pid).memory_info().rss


class Burst:
    """A backend that has a whole long stream ready and sends it as fast as it is taken."""

    def __init__(self):
        events = b"".join(EVENT % number for number in range(BURST_EVENTS))
        self.body = events + b"data: [DONE]\n\n"
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._listener.close()
        self._thread.join()

    def _serve(self):
        peer, _ = self._listener.accept()
        with peer:
            peer.recv(MEBI)
            peer.sendall(HEAD + self.body)


def wait_until_stuck(mock):
    """Wait until the only answer of a mock no longer moves; return the bytes that went out."""
    sent = -1
    quiet = 0
    pause = threading.Event()
    while quiet < 5:
        pause.wait(0.1)
        now = mock.journal[0].bytes_sent
        quiet = quiet + 1 if now == sent else 0
        sent = now
    return sent


def test_a_slow_reader_holds_its_backend_back_and_costs_no_memory(mocks, gateway):
    (mock,) = mocks(1)
    gw = gateway([Backend(mock)], env=ONE_WORKER)
    size = 64 * MEBI
    mock.script(Action(content_bytes=size, deltas=2000))
    assert gw.request("POST", calls.CHAT, body=calls.chat(max_tokens=1)).status == 200
    (worker,) = gw.worker_pids()
    before = resident(worker)
    mock.wait_done(1)
    mock.script(Action(content_bytes=size, deltas=2000))
    with RawConnection(gw.url, timeout=60) as connection:
        calls.post(connection, gw, calls.CHAT, calls.chat(stream=True))
        connection.read_body(lambda got: len(got) > 0)
        stuck_at = wait_until_stuck(mock)
        assert stuck_at < size // 2, "the gateway took the stream although nobody read it"
        assert resident(worker) - before < 16 * MEBI
        answer = connection.read_response()
    assert answer.complete
    assert len(answer.body) > size
    assert resident(worker) - before < 16 * MEBI


def test_a_burst_does_not_keep_other_requests_of_the_same_worker_waiting(mocks, gateway):
    (mock,) = mocks(1)
    with Burst() as burst:
        backends = [
            Backend(mock, deployments=("calm",)),
            Backend(name="burst", endpoint=burst.url, key="any", deployments=("burst",)),
        ]
        gw = gateway(backends, env=ONE_WORKER, fresh=True)
        ended = threading.Event()
        found = []

        def read_burst():
            with RawConnection(gw.url, timeout=60) as connection:
                calls.post(connection, gw, calls.CHAT, calls.chat("burst", stream=True))
                found.append(connection.read_response())
            ended.set()

        reader = threading.Thread(target=read_burst)
        reader.start()
        in_between = 0
        while not ended.is_set():
            answer = gw.request("POST", calls.CHAT, body=calls.chat("calm"))
            assert json.loads(answer.body)["model"].startswith("calm")
            in_between += not ended.is_set()
        reader.join()
    assert found[0].complete
    assert found[0].body == burst.body
    assert in_between >= 5
