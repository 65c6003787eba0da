"""Starts `gateway up` on fixture plugins and talks to it."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
LUA = HERE / "fixtures/lua"


def free_ports(count):
    """Ports of the kernel's choice; held together so that they differ."""
    sockets = [socket.socket() for _ in range(count)]
    for item in sockets:
        item.bind(("127.0.0.1", 0))
    ports = [item.getsockname()[1] for item in sockets]
    for item in sockets:
        item.close()
    return ports


def wait_until(predicate, what, seconds=15):
    """Return the first true value of the predicate."""
    deadline = time.monotonic() + seconds
    while True:
        value = predicate()
        if value:
            return value
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        threading.Event().wait(0.02)


def instance(name="first", **provider_conf):
    return {
        "name": name,
        "provider": "fixture",
        "weight": 1,
        "auth": {"header": {"api-key": "backend-key"}},
        "override": {"endpoint": "http://127.0.0.1:1"},
        "provider_conf": provider_conf,
    }


def route(identity="main", uris=("/*",), plugins=None, **fields):
    proxy = {"instances": [instance()]}
    return {
        "id": identity,
        "uris": list(uris),
        "plugins": {"ai-proxy-multi": proxy, **(plugins or {})},
        **fields,
    }


def config(ports, workers=2, **nginx):
    gateway, status, metrics = ports
    return {
        "apisix": {
            "node_listen": [{"ip": "127.0.0.1", "port": gateway}],
            "status": {"ip": "127.0.0.1", "port": status},
            "extra_lua_path": f"{LUA}/?.lua",
            "lua_module_hook": "apisix.plugins.fixture-hook",
            "enable_server_tokens": False,
        },
        "nginx_config": {
            "worker_processes": workers,
            "worker_shutdown_timeout": "10s",
            "http": {"custom_lua_shared_dict": {"fixture": "1m"}},
            "http_server_configuration_snippet": "lua_check_client_abort on;\n",
            **nginx,
        },
        "plugin_attr": {
            "prometheus": {
                "export_addr": {"ip": "127.0.0.1", "port": metrics},
                "refresh_interval": 1,
            }
        },
        "plugins": [
            "request-id", "ai-proxy-multi", "prometheus", "file-logger", "cors", "fixture-trace",
            "fixture-early", "fixture-auth",
        ],
    }  # fmt: skip


class Answer:
    """Status, headers by lower-case name, body."""

    def __init__(self, response):
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.body = response.read()

    @property
    def json(self):
        return json.loads(self.body)


class Stream:
    """An answer that waits for its gate file after the first chunk."""

    def __init__(self, port, gate):
        self._gate = gate
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        self._connection.request("GET", "/stream", headers={"X-Gate": str(gate)})
        self._response = self._connection.getresponse()
        assert self._response.read(13) == b"data: first\n\n"

    def finish(self):
        """Open the gate and return what is left."""
        self._gate.touch()
        return self._response.read()

    def close(self):
        self._gate.touch()
        self._response.close()
        self._connection.close()


class Gateway:
    """One `gateway up` process; `spec` is what it publishes."""

    def __init__(self, workdir, routes=None, *, workers=2, consumers=(), metadata=None, **nginx):
        self.workdir = Path(workdir)
        self.ports = free_ports(3)
        self.spec = {
            "apisix": {"routes": routes or [route()], "consumers": list(consumers)},
            "config": config(self.ports, workers, **nginx),
        }
        if metadata:
            self.spec["apisix"]["plugin_metadata"] = metadata
        self.process = None
        self.streams = []

    @property
    def stderr(self):
        return Path(f"{self.workdir}.err").read_text()

    @property
    def stdout(self):
        return Path(f"{self.workdir}.out").read_text()

    def write_spec(self):
        fresh = Path(f"{self.workdir}.json.new")
        fresh.write_text(json.dumps(self.spec))
        fresh.replace(f"{self.workdir}.json")

    def start(self, *, wait=True):
        self.write_spec()
        out_path, err_path = Path(f"{self.workdir}.out"), Path(f"{self.workdir}.err")
        with out_path.open("wb") as out, err_path.open("wb") as err:
            self.process = subprocess.Popen(
                [sys.executable, str(HERE / "serve.py"), str(self.workdir)],
                stdout=out, stderr=err, stdin=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            )  # fmt: skip
        if wait:
            wait_until(
                lambda: "gateway ready" in self.stdout or self.process.poll() is not None,
                "the ready line",
            )
            assert self.process.poll() is None, self.stderr
        return self

    def fail_to_start(self):
        """Start, expect an exit, return (exit code, stderr)."""
        self.start(wait=False)
        return self.process.wait(20), self.stderr.strip()

    def apply(self, count):
        """Publish the changed spec by SIGHUP and wait until `count` changes are in use."""
        self.write_spec()
        self.process.send_signal(signal.SIGHUP)
        wait_until(lambda: self.stderr.count("is in use") >= count, f"change {count}")

    def request(self, path, *, method="GET", port=0, headers=None, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.ports[port], timeout=20)
        try:
            connection.request(method, path, body=body, headers=headers or {})
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def open_stream(self):
        """A stream whose first chunk has arrived; it goes on when its gate is opened."""
        self.streams.append(Stream(self.ports[0], Path(f"{self.workdir}.gate{len(self.streams)}")))
        return self.streams[-1]

    def metrics(self):
        return self.request("/apisix/prometheus/metrics", port=2).body.decode()

    def nginx_pid(self):
        return int((self.workdir / "logs/nginx.pid").read_text())

    def stop(self):
        for stream in self.streams:
            stream.close()
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(30)
        return self.process.returncode if self.process else None
