"""`gateway check`, `gateway status` and `gateway up` as a user calls them."""

from __future__ import annotations

import http.server
import json
import signal
import subprocess
import sys
import threading

import pytest
from click.testing import CliRunner
from lite_harness import ROOT, free_ports, wait_until

from runtime.cli import main

ENV = {
    "AZURE_OPENAI_ENDPOINT_0": "https://a.openai.azure.com",
    "AZURE_OPENAI_KEY_0": "backend-secret-a",
    "AZURE_OPENAI_NAME_0": "standby-one",
    "AZURE_OPENAI_MODE_0": "standby",
    "AZURE_OPENAI_ENDPOINT_1": "https://b.openai.azure.com",
    "AZURE_OPENAI_KEY_1": "backend-secret-b",
    "AZURE_OPENAI_NAME_1": "low",
    "AZURE_OPENAI_PRIORITY_1": "1",
    "AZURE_OPENAI_ENDPOINT_2": "https://c.openai.azure.com",
    "AZURE_OPENAI_KEY_2": "backend-secret-c",
    "AZURE_OPENAI_NAME_2": "high",
    "AZURE_OPENAI_PRIORITY_2": "9",
    "AZURE_OPENAI_WEIGHT_2": "3",
    "AZURE_OPENAI_DEPLOYMENT_MAP_2": "gpt=my-gpt",
    "GATEWAY_CLIENT_NAME_0": "team",
    "GATEWAY_CLIENT_KEY_0": "client-secret",
}


def invoke(*args, env=None):
    return CliRunner().invoke(main, args, env={**ENV, **(env or {})})


def test_check_lists_backends_in_order_of_use():
    found = json.loads(invoke("check", "--json").output)

    order = [backend["name"] for group in found["groups"] for backend in group["backends"]]
    assert order == ["high", "low", "standby-one"]
    assert found["groups"][0]["backends"][0]["weight"] == 3
    assert found["groups"][0]["backends"][0]["deployment_map"] == {"gpt": "my-gpt"}
    assert found["auth"] == {"required": True, "clients": [{"name": "team", "keys": 1}]}


@pytest.mark.parametrize("flags", [(), ("--json",)])
def test_check_shows_no_secret(flags):
    result = invoke("check", *flags)

    assert result.exit_code == 0
    assert "secret" not in result.output


def test_check_says_what_is_wrong_with_the_code_of_its_kind():
    result = invoke("check", env={"GATEWAY_PORT": "99999"})

    assert result.exit_code == 12
    assert "GATEWAY_PORT" in result.output


def test_a_missing_env_file_is_said(tmp_path):
    result = invoke("check", "--env-file", str(tmp_path / "none"))

    assert result.exit_code == 3
    assert "could not read env file" in result.output


def test_errors_are_json_when_asked_for():
    found = json.loads(invoke("check", "--json", env={"GATEWAY_PORT": "x"}).output)

    assert (found["status"], found["exit_code"]) == ("error", 12)
    assert found["errors"][0].startswith("GATEWAY_PORT")


class Control(http.server.BaseHTTPRequestHandler):
    """Answers like a control listener."""

    body = b""

    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *args):
        """Say nothing."""


@pytest.fixture
def control():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Control)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_status_shows_backends_and_leaves_out_what_is_not_sent(control):
    Control.body = json.dumps(
        {"backends": [{"name": "east", "weight": 2, "state": "healthy"}], "revision": "abc"}
    ).encode()

    result = invoke("status", "--url", control, env={"COLUMNS": "120", "STATUS_PORT": "1"})

    assert result.exit_code == 0
    assert "east" in result.output
    assert "healthy" in result.output
    assert "last status" not in result.output
    assert "readiness unknown; configuration abc" in result.output


def test_status_as_json_has_readiness(control):
    Control.body = b'{"backends": []}'
    port = control.rpartition(":")[2]

    result = invoke("status", "--url", control, "--json", env={"STATUS_PORT": port})

    assert json.loads(result.output) == {"backends": [], "ready": True}


def test_status_of_something_else_is_refused(control):
    Control.body = b"hello"

    result = invoke("status", "--url", control)

    assert result.exit_code == 50
    assert "does not answer like a gateway" in result.output


def test_status_without_a_gateway_says_so():
    result = invoke("status", env={"CONTROL_PORT": str(free_ports(1)[0])})

    assert result.exit_code == 50
    assert result.output.startswith("error: no gateway answers at http://127.0.0.1:")


def test_up_with_an_unknown_runtime_is_refused():
    assert invoke("up", "--runtime", "cloud").exit_code == 2


class Up:
    """`gateway up` on an env file."""

    def __init__(self, folder):
        names = ("GATEWAY_PORT", "STATUS_PORT", "CONTROL_PORT", "METRICS_PORT")
        self.ports = dict(zip(names, free_ports(4), strict=True))
        self.env_file = folder / "env"
        self.folder = folder
        self.process = None

    def write(self, **changes):
        values = {**ENV, **self.ports, "GATEWAY_WORKERS": "2", **changes}
        self.env_file.write_text("".join(f"{k}={v}\n" for k, v in values.items()))

    def start(self):
        command = [sys.executable, "-c", "from runtime.cli import main; main()", "up"]
        command += ["--env-file", str(self.env_file), "--workdir", str(self.folder / "w")]
        with (self.folder / "out").open("wb") as out, (self.folder / "err").open("wb") as err:
            self.process = subprocess.Popen(
                [*command, "--runtime", "lite"], cwd=ROOT, stdout=out, stderr=err
            )
        return self

    @property
    def output(self):
        return (self.folder / "out").read_text() + (self.folder / "err").read_text()


@pytest.fixture
def up(tmp_path):
    item = Up(tmp_path)
    yield item
    if item.process and item.process.poll() is None:
        item.process.terminate()
        item.process.wait(40)


def test_up_serves_and_takes_over_a_changed_env_file(up):
    up.write()
    up.start()
    wait_until(lambda: "gateway ready on http://127.0.0.1:" in up.output, "the ready line")
    env = {name: str(port) for name, port in up.ports.items()}
    assert json.loads(invoke("status", "--json", env=env).output)["ready"] is True

    up.write(AZURE_OPENAI_NAME_2="renamed")
    up.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "is in use" in up.output, "the change")
    names = [
        backend["name"]
        for backend in json.loads(invoke("status", "--json", env=env).output)["backends"]
    ]
    assert "renamed" in names

    up.write(GATEWAY_PORT="wrong")
    up.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "the old configuration stays: GATEWAY_PORT" in up.output, "the line")

    up.process.terminate()
    assert up.process.wait(40) == 0
    assert "secret" not in up.output


def test_up_that_cannot_render_starts_nothing(up):
    up.write(AZURE_OPENAI_KEYY_0="x")

    assert up.start().process.wait(30) == 11
    assert "AZURE_OPENAI_KEYY_0" in up.output
    assert not (up.folder / "w/logs/nginx.pid").exists()
