"""`--runtime docker` against a scripted container engine: this machine may have no real one.

What runs in the container is started for real where there is a local APISIX to make a root from.
"""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from pathlib import Path
from unittest import mock

import pytest
from apisix_harness import BACKEND_KEY, documents
from docker.errors import APIError
from fake_docker import Client, LocalClient
from lite_harness import free_ports, wait_until
from serve import publish_spec

from runtime import probe
from runtime.docker import Docker
from runtime.docker_container import IMAGE, LABEL
from runtime.errors import (
    EngineStartError,
    PortInUseError,
    RuntimeNotAvailableError,
    UnsupportedError,
)
from runtime.rendered import read_set
from runtime.workdir import Workdir

HOME = os.environ.get("APISIX_HOME")
GUARD_SAID = (
    "2026/01/01 00:00:00 [error] 7#7: *1 [lua] guard.lua:127: install(): the gateway refuses "
    "this engine: apisix.router has no function http_routes, context: init_worker_by_lua*"
)
can_make_roots = os.getuid() == 0 and shutil.which("unshare") and shutil.which("nsenter")
real = pytest.mark.skipif(
    not (HOME and can_make_roots and Path(HOME, "openresty").is_dir()),
    reason="needs APISIX_HOME with its own openresty, and root, to run a container's processes",
)


class Gateway:
    """A Docker runtime over a fake client, with documents that a test may change."""

    def __init__(self, folder, client, ports=None, workers=2):
        self.ports = ports or free_ports(4)
        self.spec = documents(self.ports, workers=workers)
        self.home = Workdir(folder)
        self.client = client
        self.engine = Docker(self.home, client)

    @property
    def container(self):
        return self.client.alive[-1]

    @property
    def conf(self):
        return self.home.path / "docker/conf"

    def rendered(self):
        publish_spec(self.spec, self.home.rendered)
        return read_set(self.home.rendered)

    def start(self):
        self.engine.start(self.rendered())
        return self

    def apply(self):
        self.engine.apply(self.rendered())

    def get(self, path, port=0):
        return probe.get(f"http://127.0.0.1:{self.ports[port]}", path)


@pytest.fixture
def gateway():
    made = []
    with tempfile.TemporaryDirectory(prefix="gw-") as folder:

        def make(client=None, **kwargs):
            where = Path(folder) / f"w{len(made)}"
            made.append(Gateway(where, client or Client(), **kwargs))
            return made[-1]

        yield make
        for item in made:
            item.engine.kill()
            item.home.release()


def test_a_container_sees_its_files_read_only_and_shares_the_hosts_network(gateway):
    running = gateway().start()
    options = running.container.options
    assert running.container.image == IMAGE == "apache/apisix:3.18.0-debian"
    assert {(item["Target"], item["ReadOnly"]) for item in options["mounts"]} == {
        ("/gateway/conf", True),
        ("/gateway/lua/apisix", True),
    }
    assert options["network_mode"] == "host"
    assert options["read_only"] is True
    assert options["labels"] == {LABEL: str(running.home.path)}
    assert BACKEND_KEY not in str(options)
    uid = 636 if os.getuid() == 0 else os.getuid()
    assert options["user"].split(":")[0] == str(uid)
    for name in ("config.yaml", "apisix.yaml", "debug.yaml"):
        status = (running.conf / name).stat()
        assert (status.st_mode & 0o777, status.st_uid) == (0o600, uid)
    assert 'extra_lua_path: "/gateway/lua/?.lua"' in (running.conf / "config.yaml").read_text()


def test_with_a_rootless_engine_root_of_the_container_is_this_user(gateway):
    client = Client()
    client.security = ["name=seccomp,profile=builtin", "name=rootless"]
    running = gateway(client).start()
    assert running.container.options["user"] == "0:0"
    assert 'user: "root"' in (running.conf / "config.yaml").read_text()
    assert (running.conf / "apisix.yaml").stat().st_uid == os.getuid()


def test_a_missing_image_is_pulled(gateway, capsys):
    client = Client()
    client.local_images.clear()
    gateway(client).start()
    assert client.local_images == {IMAGE}
    assert capsys.readouterr().err == f"gateway: pulling {IMAGE}\n"


def test_an_image_that_cannot_be_pulled_is_one_line(gateway):
    client = Client()
    client.local_images.clear()
    client.pull_error = APIError("500", explanation="no route\nto registry")
    with pytest.raises(RuntimeNotAvailableError) as raised:
        gateway(client).start()
    assert str(raised.value) == (
        f"image {IMAGE} is not here and cannot be pulled: no route to registry"
    )


def test_a_taken_port_is_told_before_a_container_is_made(gateway):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        client = Client()
        with pytest.raises(PortInUseError, match=f"METRICS_PORT: 127.0.0.1:{port} is in use"):
            gateway(client, ports=[*free_ports(2), port, *free_ports(1)]).start()
    assert client.alive == []


def test_a_container_that_the_engine_does_not_start_is_told_and_removed(gateway):
    client = Client()
    client.start_error = APIError("500", explanation="mounts denied")
    with pytest.raises(EngineStartError, match="cannot be started: mounts denied"):
        gateway(client).start()
    assert client.alive == []


def test_an_engine_that_does_not_answer_any_more_is_told(gateway):
    client = Client()
    client.images.get = mock.Mock(side_effect=ConnectionError("aborted"))
    with pytest.raises(EngineStartError, match="cannot be started: aborted"):
        gateway(client).start()


def test_what_a_killed_gateway_left_is_removed_and_nothing_else(gateway):
    client = Client()
    first = gateway(client).start()
    other = gateway(client).start()
    theirs, old = other.container, client.alive[0]
    again = Docker(first.home, client)
    again.start(first.rendered())
    assert old not in client.alive
    assert theirs in client.alive
    again.kill()


def test_a_container_that_ends_at_once_says_why_and_is_removed(gateway):
    client = Client()
    client.output = [
        "nginx: [warn] noise",
        "nginx: [emerg] bind() to 0.0.0.0:80 failed (13: Permission denied)",
    ]
    client.exit_code = 1
    refused = gateway(client).start()
    assert refused.engine.exit_code() == 1
    assert refused.engine.start_problem() == "bind() to 0.0.0.0:80 failed (13: Permission denied)"
    assert client.alive == []


def test_plugins_that_refuse_the_engine_end_the_start(gateway):
    client = Client()
    client.output = [GUARD_SAID]
    refused = gateway(client).start()
    with pytest.raises(EngineStartError) as raised:
        wait_until(refused.engine.ready, "the line")
    assert str(raised.value) == (
        "the engine did not start: the gateway refuses this engine: apisix.router has no function "
        "http_routes"
    )


def test_errors_in_the_log_are_news_and_keys_are_not(gateway):
    running = gateway().start()
    running.container.say(
        "2026/01/01 00:00:00 [warn] 1#1: no",
        f"2026/01/01 00:00:00 [error] 1#1: failed to check item data err:x ,val: {BACKEND_KEY}",
        "2026/01/01 00:00:00 [alert] 1#1: setrlimit(RLIMIT_NOFILE, 20480) failed",
    )
    assert wait_until(running.engine.news, "news") == [
        "2026/01/01 00:00:00 [error] 1#1: failed to check item data err:x"
    ]
    assert running.engine.news() == []


def test_a_stop_is_a_graceful_one_and_the_container_goes_with_its_end(gateway):
    running = gateway().start()
    running.engine.stop()
    assert running.container.signals == ["SIGQUIT"]
    assert running.engine.exit_code() is None
    running.container.end(0)
    assert running.engine.exit_code() == 0
    assert running.client.alive == []


def test_a_container_that_somebody_removed_is_an_end(gateway):
    running = gateway().start()
    running.container.remove(force=True)
    assert running.engine.exit_code() == 1


def test_new_routes_need_no_signal_and_are_newer_by_a_whole_second(gateway):
    running = gateway().start()
    routes = running.conf / "apisix.yaml"
    before = int(routes.stat().st_mtime)
    running.spec["apisix"]["routes"][0]["desc"] = "changed"
    running.apply()
    assert int(routes.stat().st_mtime) > before
    assert "changed" in routes.read_text()
    assert (running.container.signals, running.container.commands) == ([], [])


def test_a_changed_config_yaml_is_tested_in_the_container_and_then_taken_over(gateway):
    running = gateway().start()
    running.spec["config"]["nginx_config"]["error_log_level"] = "info"
    running.apply()
    assert len(running.container.commands) == 1
    assert running.container.signals == ["SIGHUP"]
    assert "error_log_level: info" in (running.conf / "config.yaml").read_text()


def test_a_config_yaml_that_the_container_refuses_leaves_the_old_one(gateway):
    running = gateway().start()
    before = (running.conf / "config.yaml").read_text()
    running.container.exec_result.exit_code = 1
    running.container.exec_result.output = b"nginx: [emerg] no such thing\n"
    running.spec["config"]["nginx_config"]["error_log_level"] = "info"
    with pytest.raises(UnsupportedError, match=r"refuses the changed config\.yaml: no such thing"):
        running.apply()
    assert (running.conf / "config.yaml").read_text() == before
    assert running.container.signals == []


def test_plugins_that_are_not_on_this_machine_are_told(gateway):
    refused = gateway()
    refused.spec["config"]["apisix"]["extra_lua_path"] = "/nowhere/?.lua"
    with pytest.raises(UnsupportedError, match=r"/nowhere/\?\.lua has no apisix/plugins"):
        refused.start()


@real
def test_what_runs_in_the_container_serves_changes_refuses_and_drains(gateway):
    running = gateway(LocalClient()).start()
    wait_until(running.engine.ready, "readiness", 40)
    assert running.get("/openai/v1/models").status == 401
    pid = running.container.attrs["State"]["Pid"]
    assert Path(f"/proc/{pid}").stat().st_uid == 636

    running.spec["config"]["nginx_config"]["worker_processes"] = 3
    running.spec["apisix"]["routes"][0]["plugins"]["ai-proxy-multi"]["azure_openai"]["revision"] = (
        "a" * 64
    )
    running.apply()
    wait_until(running.engine.ready, "the change")
    assert running.get("/openai/v1/models").status == 401

    running.spec["config"]["nginx_config"]["http_configuration_snippet"] += "no_such on;\n"
    with pytest.raises(UnsupportedError, match='unknown directive "no_such"'):
        running.apply()
    assert running.engine.ready()

    running.engine.stop()
    assert wait_until(lambda: running.engine.exit_code() is not None, "the end")
    assert running.engine.exit_code() == 0
    assert running.client.alive == []
