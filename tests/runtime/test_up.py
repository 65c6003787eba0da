"""The life of `gateway up` with a real nginx: changes, reloads, the end."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
from pathlib import Path

import pytest
from lite_harness import ROOT, instance, route, wait_until


def tagged(tag):
    return [route(plugins={"ai-proxy-multi": {"instances": [instance(tag=tag)]}})]


class Load:
    """Clients that ask all the time; `failures` holds everything that was not a 200."""

    def __init__(self, running, clients=3):
        self.running = running
        self.failures = []
        self.answers = 0
        self._end = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(clients)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        wait_until(lambda: self.answers > 20, "load")
        return self

    def __exit__(self, *exc):
        self._end.set()
        for thread in self._threads:
            thread.join()

    def more(self, count):
        least = self.answers + count
        wait_until(lambda: self.answers >= least, f"{count} more answers")

    def _ask(self):
        while not self._end.is_set():
            try:
                status = self.running.request("/echo").status
            except OSError as error:
                status = repr(error)
            if status != 200:
                self.failures.append(status)
            self.answers += 1


def test_new_routes_are_taken_over_under_load_without_a_failed_request(gateway):
    running = gateway(tagged("0")).start()

    with Load(running) as load:
        for number in range(1, 6):
            running.spec["apisix"]["routes"] = tagged(str(number))
            running.apply(number)
            assert {running.request("/echo").json["tag"] for _ in range(10)} == {str(number)}
        load.more(20)

    assert load.failures == []
    assert "reload" not in running.stderr


def test_a_reload_of_nginx_under_load_loses_no_request_and_cuts_no_stream(gateway):
    running = gateway(tagged("0")).start()
    stream = running.open_stream()
    before = running.request("/echo").json["worker"]

    with Load(running) as load:
        for number in range(1, 5):
            # fewer workers too: their sockets must not take waiting connections with them
            running.spec["config"]["nginx_config"]["worker_processes"] = (4, 2)[number % 2]
            running.spec["apisix"]["routes"] = tagged(str(number))
            running.apply(number)
            assert {running.request("/echo").json["tag"] for _ in range(10)} == {str(number)}
        load.more(20)

    assert load.failures == []
    assert running.request("/echo").json["worker"] != before
    assert stream.finish() == b"data: last\n\n"


def test_counters_survive_a_reload_of_nginx(gateway):
    running = gateway([route(plugins={"prometheus": {}})]).start()
    for _ in range(5):
        running.request("/echo")
    running.spec["config"]["nginx_config"]["error_log_level"] = "info"
    running.apply(1)
    for _ in range(5):
        running.request("/echo")

    wait_until(
        lambda: 'response_source="upstream"} 10\n' in running.metrics(), "ten counted requests"
    )


@pytest.mark.parametrize(
    "break_it",
    [
        lambda spec: spec["apisix"]["routes"][0]["plugins"].update({"cors": {}}),
        lambda spec: spec["config"]["nginx_config"].update(
            {"http_configuration_snippet": "no_such_directive on;"}
        ),
    ],
    ids=["routes", "nginx"],
)
def test_a_change_that_cannot_be_used_is_one_line_and_the_old_one_stays(gateway, break_it):
    running = gateway(tagged("old")).start()

    running.spec["apisix"]["routes"] = tagged("new")
    break_it(running.spec)
    running.write_spec()
    running.process.send_signal(signal.SIGHUP)

    wait_until(lambda: "not applied, the old configuration stays" in running.stderr, "the line")
    assert running.stderr.count("\n") == 1
    assert running.request("/echo").json["tag"] == "old"

    running.spec["config"]["nginx_config"].pop("http_configuration_snippet", None)
    running.spec["apisix"]["routes"] = tagged("newer")
    running.apply(1)
    assert running.request("/echo").json["tag"] == "newer"


def test_a_damaged_set_is_refused(gateway):
    running = gateway(tagged("old")).start()
    rendered = running.workdir / "rendered"
    damaged = rendered / ".set-damaged"
    damaged.mkdir()
    current = (rendered / ".current").resolve()
    for name in ("apisix.yaml", "config.yaml", "manifest.json"):
        (damaged / name).write_bytes((current / name).read_bytes())
    (damaged / "apisix.yaml").write_text("routes: []\n#END\n")
    (rendered / ".next").symlink_to(".set-damaged")
    (rendered / ".next").rename(rendered / ".current")

    wait_until(lambda: "does not match its manifest" in running.stderr, "the line")
    assert running.request("/echo").json["tag"] == "old"


def test_sigterm_lets_an_open_stream_finish_and_exits_0(gateway):
    running = gateway().start()
    stream = running.open_stream()

    running.process.terminate()
    wait_until(lambda: _refused(running), "the end of listening")
    assert running.process.poll() is None
    assert stream.finish() == b"data: last\n\n"

    assert running.process.wait(20) == 0
    assert running.stderr == ""


def test_a_stream_that_does_not_end_is_cut_when_the_drain_time_is_over(gateway):
    running = gateway(worker_shutdown_timeout="1s").start()
    running.open_stream()

    running.process.terminate()

    assert running.process.wait(20) == 0


def test_a_second_signal_does_not_wait_for_open_streams(gateway):
    running = gateway(worker_shutdown_timeout="300s").start()
    running.open_stream()

    running.process.terminate()
    wait_until(lambda: _refused(running), "the end of listening")
    running.process.send_signal(signal.SIGINT)

    assert running.process.wait(20) == 0


def _refused(running):
    try:
        running.request("/status", port=1)
    except OSError:
        return True
    return False


def test_a_second_gateway_in_the_same_work_directory_is_refused(gateway):
    running = gateway().start()
    done = subprocess.run(
        running.process.args, capture_output=True, text=True, timeout=30, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip

    assert done.returncode == 44
    assert f"another gateway (pid {running.process.pid}) runs in" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("index", "variable"), [(0, "GATEWAY_PORT"), (1, "STATUS_PORT"), (2, "METRICS_PORT")]
)
def test_a_port_in_use_is_said_with_its_variable(gateway, index, variable):
    refused = gateway()
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        taken.bind(("127.0.0.1", refused.ports[index]))
        taken.listen()

        code, stderr = refused.fail_to_start()

    assert code == 47
    assert stderr == f"error: {variable}: 127.0.0.1:{refused.ports[index]} is in use"


def accepts(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_a_dead_engine_ends_the_command(gateway):
    running = gateway().start()

    os.kill(running.nginx_pid(), signal.SIGKILL)

    assert running.process.wait(20) == 49
    assert "error: the engine ended by itself" in running.stderr
    wait_until(lambda: not accepts(running.ports[0]), "the end of the workers")


def test_a_set_that_was_refused_is_tried_again_on_sighup(gateway):
    running = gateway().start()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        running.spec["config"]["apisix"]["node_listen"][0]["port"] = port
        running.write_spec()
        running.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "is in use" in running.stderr, "the refusal")

    running.process.send_signal(signal.SIGHUP)

    wait_until(lambda: accepts(port), "the new port")


def test_nginx_ends_when_the_command_is_killed(gateway):
    running = gateway().start()
    master = running.nginx_pid()

    running.process.kill()
    running.process.wait()

    wait_until(lambda: not Path(f"/proc/{master}").exists(), "the end of nginx")


def test_a_work_directory_that_cannot_be_made_is_said(gateway, tmp_path):
    (tmp_path / "w0").write_text("a file")

    code, stderr = gateway().fail_to_start()

    assert code == 43
    assert "cannot be made" in stderr


def test_files_of_the_work_directory_are_private(gateway):
    running = gateway().start()

    for path in [running.workdir, *running.workdir.rglob("*")]:
        assert path.is_symlink() or path.stat().st_mode & 0o077 == 0, path
