"""Which container engine is taken, and what `auto` stands for."""

from __future__ import annotations

import socket
import threading
import time

import pytest

from runtime import docker_client, engine
from runtime.errors import RuntimeNotAvailableError


def test_without_an_engine_the_line_says_where_one_was_looked_for(tmp_path):
    with pytest.raises(RuntimeNotAvailableError) as raised:
        docker_client.connect({"DOCKER_HOST": f"unix://{tmp_path}/none.sock"})
    assert str(raised.value) == (
        f"no container engine answers at unix://{tmp_path}/none.sock: start one, or use "
        "--runtime lite"
    )


def test_an_engine_of_another_machine_is_refused_without_its_credentials():
    with pytest.raises(RuntimeNotAvailableError, match="not an engine of this machine") as raised:
        docker_client.connect({"DOCKER_HOST": "tcp://user:canary@10.0.0.1:2375"})
    assert "canary" not in str(raised.value)


def test_the_usual_sockets_are_looked_at():
    assert docker_client.addresses({"HOME": "/home/a", "XDG_RUNTIME_DIR": "/run/user/1"}) == (
        "unix:///var/run/docker.sock",
        "unix:///run/user/1/docker.sock",
        "unix:///home/a/.docker/run/docker.sock",
    )


@pytest.fixture
def listening(tmp_path):
    """Make sockets that give one answer to everybody."""
    servers = []

    def make(answer):
        path = tmp_path / f"{len(servers)}.sock"
        server = socket.socket(socket.AF_UNIX)
        servers.append(server)
        server.bind(str(path))
        server.listen()

        def serve():
            while True:
                try:
                    client, _ = server.accept()
                except OSError:
                    return
                with client:
                    client.recv(1000)
                    client.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        return f"unix://{path}"

    yield make
    for server in servers:
        server.shutdown(socket.SHUT_RDWR)
        server.close()


def test_auto_takes_docker_then_apisix_then_lite(monkeypatch, tmp_path, listening):
    monkeypatch.setenv("DOCKER_HOST", listening(b"HTTP/1.1 200 OK\r\n\r\nOK"))
    monkeypatch.setenv("APISIX_HOME", str(tmp_path))
    assert engine.chosen() == "docker"
    monkeypatch.setenv("DOCKER_HOST", listening(b"HTTP/1.1 500 Broken\r\n\r\n"))
    assert engine.chosen() == "apisix"
    monkeypatch.delenv("APISIX_HOME")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert engine.chosen() == "lite"


def test_looking_for_an_engine_takes_no_time_where_there_is_none(monkeypatch, tmp_path):
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    began = time.perf_counter()
    engine.chosen()
    assert time.perf_counter() - began < 0.1
