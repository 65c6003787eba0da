"""Starting and stopping, as an object and as a command."""

import json
import signal
import socket
import subprocess
import sys

import pytest

from e2e.harness.ports import free_ports
from e2e.harness.raw import RawConnection, exchange
from e2e.mock_azure_openai import Action, MockAzureOpenAI

COMMAND = [sys.executable, "-m", "e2e.mock_azure_openai.cli"]


def test_a_stop_cuts_what_hangs_and_a_start_takes_the_same_port():
    mock = MockAzureOpenAI(script=Action(hang=True), api_keys=[]).start()
    url = mock.url
    with RawConnection(url) as connection:
        connection.request("GET", "/openai/v1/models")
        mock.wait_for(1)
        mock.stop()
        connection.wait_closed()
    assert mock.journal[0].ended == "shutdown"
    with pytest.raises(ConnectionRefusedError):
        RawConnection(url)
    mock.script(None)
    with mock.start():
        assert exchange(url, "GET", "/openai/v1/models").status == 200


def test_a_taken_port_is_an_error():
    with MockAzureOpenAI() as mock, pytest.raises(OSError, match="in use"):
        MockAzureOpenAI(port=mock.port).start()


def test_a_stop_twice_or_without_start_does_nothing():
    mock = MockAzureOpenAI()
    mock.stop()
    mock.start()
    mock.stop()
    mock.stop()
    assert not mock.running


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_the_command_serves_until_a_signal(tmp_path, sent):
    script = tmp_path / "script.json"
    script.write_text('{"rules": [{"times": 1, "action": {"error": "503"}}]}')
    command = [*COMMAND, "--port", "0", "--script", str(script), "--api-key", "k"]
    with subprocess.Popen(
        [*command, "--name", "east"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        ready = process.stdout.readline()
        assert ready.startswith("mock Azure OpenAI 'east' ready on http://127.0.0.1:")
        url = ready.split()[-1]
        target = "/openai/v1/models"
        statuses = [exchange(url, "GET", target, [("api-key", "k")]).status for _ in range(2)]
        assert statuses == [503, 200]
        assert json.loads(exchange(url, "GET", "/_mock/totals").body)["mock"] == "east"
        process.send_signal(sent)
        assert process.wait(10) == 0
        assert process.stderr.read() == ""


def test_the_command_says_in_one_line_what_is_wrong(tmp_path):
    script = tmp_path / "script.json"
    script.write_text('{"rules": [{"action": {"eror": "503"}}]}')
    port = free_ports(1)[0]
    with socket.create_server(("127.0.0.1", port)):
        for arguments, message in (
            (["--script", str(script)], "unknown field 'eror'; did you mean 'error'?"),
            ([], f"could not listen on 127.0.0.1:{port}: Address already in use"),
        ):
            done = subprocess.run(
                [*COMMAND, "--port", str(port), *arguments],
                capture_output=True,
                text=True,
                check=False,
                timeout=30,
            )
            assert done.returncode == 1
            assert message in done.stderr
            assert done.stderr.count("\n") == 1
