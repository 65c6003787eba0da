"""`--runtime apisix` on a real APISIX: refusals, changes, leftovers."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import tempfile
from pathlib import Path

import pytest
from apisix_harness import BACKEND_KEY, CLIENT_KEY, Running, script
from lite_harness import ROOT, wait_until

HOME = os.environ.get("APISIX_HOME")
real = pytest.mark.skipif(not HOME, reason="APISIX_HOME is not set: no local APISIX to start")


@pytest.fixture
def apisix():
    """Make gateways on the local APISIX; their folders are open for workers that are not root."""
    made = []
    with tempfile.TemporaryDirectory(prefix="gw-") as folder:
        Path(folder).chmod(0o711)

        def make(environ=None, **render):
            where = Path(folder) / f"w{len(made)}"
            made.append(Running(where, environ or {}, **render))
            return made[-1]

        make.folder = Path(folder)
        yield make
        for item in made:
            item.stop()


def edited_plugins(folder, old, new):
    """Copy the plugins with another guard."""
    folder.mkdir()
    shutil.copytree(ROOT / "apisix", folder / "apisix")
    guard = folder / "apisix/plugins/dynamic-azure-openai/guard.lua"
    text = guard.read_text()
    assert old in text
    guard.write_text(text.replace(old, new))
    return folder


@real
def test_another_version_of_the_engine_is_one_line(apisix):
    plugins = edited_plugins(apisix.folder / "lua", 'ENGINE = "3.18.0"', 'ENGINE = "3.19.0"')
    code, said = apisix(lua_path=plugins).fail_to_start()
    assert code == 48
    assert said == (
        "error: the engine did not start: the gateway refuses this engine: it needs Apache APISIX "
        "3.19.0, this is 3.18.0"
    )


@real
def test_an_engine_without_a_seam_is_one_line_and_no_key_is_logged(apisix):
    plugins = edited_plugins(apisix.folder / "lua", '"http_routes"', '"not_there"')
    refused = apisix(lua_path=plugins)
    code, said = refused.fail_to_start()
    assert code == 48
    assert said == (
        "error: the engine did not start: the gateway refuses this engine: apisix.router has no "
        "function not_there"
    )
    assert BACKEND_KEY not in refused.logs()
    assert CLIENT_KEY not in refused.logs()


@real
def test_a_plugin_that_is_missing_from_the_list_stops_the_start(apisix):
    refused = apisix()
    refused.spec["config"]["plugins"].remove("azure-openai-auth")
    code, said = refused.fail_to_start()
    assert (code, said.count("\n")) == (46, 0)
    assert "plugin azure-openai-auth is not in the list of plugins" in said


@real
def test_a_port_in_use_is_said_with_its_variable(apisix):
    refused = apisix()
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        taken.bind(("127.0.0.1", refused.ports[1]))
        taken.listen()
        code, said = refused.fail_to_start()
    assert (code, said) == (47, f"error: STATUS_PORT: 127.0.0.1:{refused.ports[1]} is in use")


@real
def test_a_work_directory_that_is_too_deep_for_sockets_is_told(apisix):
    deep = apisix()
    deep.workdir = apisix.folder / ("d" * 90)
    code, said = deep.fail_to_start()
    assert code == 43
    assert "choose a shorter --workdir" in said


@real
def test_a_changed_config_yaml_is_taken_over_by_new_workers(apisix):
    running = apisix().start()
    before = running.workers()
    running.spec["config"]["nginx_config"]["worker_processes"] = 3
    running.apply()
    wait_until(lambda: len(running.workers()) == 3, "three workers")
    assert not before.keys() & running.workers().keys()
    assert running.get("/status/ready", port=1).status == 200
    assert running.get().status == 401
    assert f"proxy_cache_path {running.workdir}/apisix/cache " in running.nginx_conf()


@real
def test_a_config_yaml_that_nginx_refuses_is_one_line_and_the_old_one_stays(apisix):
    running = apisix().start()
    nginx = running.spec["config"]["nginx_config"]
    good = nginx["http_configuration_snippet"]
    nginx["http_configuration_snippet"] = good + "no_such_directive on;\n"
    before = running.nginx_conf()
    running.publish()
    wait_until(lambda: "old configuration stays" in running.stderr, "the line")
    assert running.stderr.count("\n") == 1
    assert (
        'APISIX refuses the changed config.yaml: unknown directive "no_such_dir' in running.stderr
    )
    assert running.nginx_conf() == before
    assert running.get().status == 401

    nginx["http_configuration_snippet"] = good + "# good again\n"
    running.apply()
    assert "# good again" in running.nginx_conf()


@real
def test_fewer_workers_need_a_restart(apisix):
    running = apisix(workers=3).start()
    running.spec["config"]["nginx_config"]["worker_processes"] = 2
    running.publish()
    wait_until(lambda: "fewer workers (GATEWAY_WORKERS) need a restart" in running.stderr, "it")
    assert running.get("/status/ready", port=1).status == 200


@real
def test_a_runner_that_cannot_test_makes_a_changed_config_yaml_need_a_restart(apisix):
    usage = '[ -d "$1" ] || { echo "usage: apisix-run DIR"; exit 2; }'
    runner = f'{usage}\nexec {HOME}/bin/apisix-run "$1"'
    script(apisix.folder / "home/bin/apisix-run", runner)
    running = apisix({"APISIX_HOME": str(apisix.folder / "home")}).start()
    running.spec["config"]["nginx_config"]["error_log_level"] = "error"
    running.publish()
    wait_until(lambda: "a changed config.yaml" in running.stderr, "the line")
    assert "needs a restart" in running.stderr
    assert running.stderr.count("\n") == 1


@real
def test_an_apisix_on_the_path_runs_a_private_instance(apisix):
    path = f"{HOME}/bin:{os.environ['PATH']}"
    running = apisix({"APISIX_HOME": "", "PATH": path}).start()
    running.spec["config"]["nginx_config"]["worker_processes"] = 3
    running.apply()
    assert len(running.workers()) == 3
    assert running.get().status == 401
    assert running.stop() == 0


@real
@pytest.mark.skipif(os.getuid() != 0, reason="only root can give workers another user")
def test_workers_are_not_root(apisix):
    running = apisix().start()
    assert set(running.workers().values()) == {65534}
    running.spec["apisix"]["routes"][0]["plugins"]["request-id"]["include_in_response"] = False
    running.apply()
    assert running.get().status == 401


@real
def test_a_folder_that_a_killed_engine_left_is_used_again(apisix):
    running = apisix().start()
    master = running.master()
    everyone = [pid for pid, _, _ in running.processes()]
    running.process.kill()
    for pid in (master, *everyone):
        os.kill(pid, signal.SIGKILL)
    running.process.wait()
    wait_until(lambda: not Path(f"/proc/{master}").exists(), "the end of the engine")
    assert (running.workdir / "apisix/logs/worker_events.sock").exists()
    running.start()
    assert running.get().status == 401
    assert not (running.workdir / "apisix-2").exists()


@real
def test_an_engine_that_still_finishes_requests_keeps_its_folder(apisix):
    running = apisix().start()
    master = running.master()
    with socket.create_connection(("127.0.0.1", running.ports[0])) as client:
        client.sendall(b"GET /openai/v1/models HTTP/1.1\r\nHost: g\r\n")
        running.process.kill()
        running.process.wait()
        running.start()
        assert running.get().status == 401
        assert running.master() != master
    wait_until(lambda: not Path(f"/proc/{master}").exists(), "the end of the old engine")
    # nginx takes its pid file away when it ends: that of the new one stays
    assert Path(f"/proc/{running.master()}").exists()
    assert running.stop() == 0
