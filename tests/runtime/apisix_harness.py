"""Starts `gateway up` on rendered documents that a test may change, on APISIX."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from lite_harness import HERE, ROOT, free_ports, wait_until

from renderer.apisix_view import apisix_document, config_document
from renderer.compile import load_model
from runtime import probe

WORKER = b"nginx: worker process"
BACKEND_KEY = "canary-backend-key-0123456789"
CLIENT_KEY = "canary-client-key-0123456789"


def documents(ports, lua_path=ROOT, workers=2):
    """What the renderer makes of one backend and one client: {"apisix": ..., "config": ...}."""
    gateway, status, metrics, control = ports
    model = load_model(
        {
            "AZURE_OPENAI_ENDPOINT_0": "http://127.0.0.1:1",
            "AZURE_OPENAI_KEY_0": BACKEND_KEY,
            "GATEWAY_CLIENT_NAME_0": "team",
            "GATEWAY_CLIENT_KEY_0": CLIENT_KEY,
            "GATEWAY_PORT": str(gateway),
            "STATUS_PORT": str(status),
            "METRICS_PORT": str(metrics),
            "CONTROL_PORT": str(control),
            "GATEWAY_WORKERS": str(workers),
            "DRAIN_SECONDS": "5",
        }
    ).model
    spec = {"apisix": apisix_document(model), "config": config_document(model)}
    spec["config"]["apisix"]["extra_lua_path"] = f"{lua_path}/?.lua"
    return json.loads(json.dumps(spec))


def script(path, text):
    """Write a program of the shell."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


class Running:
    """One `gateway up --runtime apisix`; `spec` is what it publishes at the start and at SIGHUP."""

    def __init__(self, workdir, environ, **render):
        self.workdir = Path(workdir)
        self.ports = free_ports(4)
        self.spec = documents(self.ports, **render)
        self.environ = environ
        self.process = None

    @property
    def stderr(self):
        return Path(f"{self.workdir}.err").read_text()

    @property
    def stdout(self):
        return Path(f"{self.workdir}.out").read_text()

    def logs(self):
        return "".join(path.read_text() for path in self.workdir.rglob("*.log")) + self.stderr

    def nginx_conf(self):
        return (self.workdir / "apisix/conf/nginx.conf").read_text()

    def launch(self):
        self._write_spec()
        out_path, err_path = Path(f"{self.workdir}.out"), Path(f"{self.workdir}.err")
        with out_path.open("wb") as out, err_path.open("wb") as err:
            self.process = subprocess.Popen(
                [sys.executable, str(HERE / "serve.py"), str(self.workdir), "apisix"],
                stdout=out, stderr=err, stdin=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": str(ROOT), **self.environ},
            )  # fmt: skip
        return self

    def start(self):
        self.launch()
        wait_until(
            lambda: "gateway ready" in self.stdout or self.process.poll() is not None,
            "readiness",
            40,
        )
        assert self.process.poll() is None, self.stderr
        return self

    def fail_to_start(self):
        """Start, expect an exit, return (exit code, stderr)."""
        self.launch()
        return self.process.wait(40), self.stderr.strip()

    def publish(self):
        self._write_spec()
        self.process.send_signal(signal.SIGHUP)

    def apply(self):
        before = self.stderr.count("is in use")
        self.publish()
        wait_until(lambda: self.stderr.count("is in use") > before, "the change")

    def get(self, path="/openai/v1/models", port=0):
        return probe.get(f"http://127.0.0.1:{self.ports[port]}", path)

    def workers(self):
        """The workers that take requests: {pid: uid, ...}."""
        return {pid: uid for pid, uid, title in self.processes() if title == WORKER}

    def processes(self):
        """The processes of the engine below its master: [(pid, uid, title), ...]."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                command = (folder / "cmdline").read_bytes()
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, ValueError):
                continue
            if parent == self.master():
                title = command.replace(b"\0", b" ").strip()
                found.append((int(folder.name), folder.stat().st_uid, title))
        return found

    def master(self):
        folder = max(self.workdir.glob("apisix*"))
        return int((folder / "logs/nginx.pid").read_text())

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(30)
        return self.process.returncode if self.process else None

    def _write_spec(self):
        fresh = Path(f"{self.workdir}.json.new")
        fresh.write_text(json.dumps(self.spec))
        fresh.replace(f"{self.workdir}.json")
