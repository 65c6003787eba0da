"""A backend that cannot prove who it is gets nothing."""

import socket
import ssl
import threading

import pytest
import trustme

from e2e.harness import Backend
from e2e.scenarios.calls import CHAT, chat


class Impostor:
    """Speaks TLS with a certificate that nobody on this machine trusts; keeps what it is told."""

    def __init__(self):
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        trustme.CA().issue_cert("127.0.0.1").configure_cert(self._context)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://127.0.0.1:{self._listener.getsockname()[1]}"
        self.heard = b""
        self.refused = threading.Event()
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _serve(self):
        while True:
            try:
                raw, _ = self._listener.accept()
            except OSError:
                return
            raw.settimeout(10)
            try:
                with self._context.wrap_socket(raw, server_side=True) as connection:
                    self.heard += connection.recv(65536)
            except OSError:
                pass
            self.refused.set()


@pytest.fixture
def impostor():
    with Impostor() as found:
        yield found


def test_an_untrusted_certificate_is_a_failed_attempt_and_no_key_is_told(mocks, gateway, impostor):
    (honest,) = mocks()
    backends = [
        Backend(endpoint=impostor.url, name="impostor", key="a-secret-key", priority=10),
        Backend(honest),
    ]
    gw = gateway(backends, fresh=True)

    got = gw.request("POST", CHAT, body=chat())

    assert got.status == 200
    assert got.header("x-gateway-backend") == [honest.name]
    assert got.header("x-gateway-attempts") == ["2"]
    assert impostor.refused.wait(10)
    assert impostor.heard == b""


def test_alone_it_is_a_502_that_names_nobody(gateway, impostor):
    gw = gateway([Backend(endpoint=impostor.url, name="impostor", key="k" * 12)], fresh=True)

    got = gw.request("POST", CHAT, body=chat())

    assert got.status == 502
    assert b"backend_unreachable" in got.body
    assert b"impostor" not in got.body
    assert impostor.heard == b""
