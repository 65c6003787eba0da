from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from renderer_support import BACKEND_KEY, CLIENT_KEY, environment

from renderer.compile import load_model
from renderer.env_file import read_env_file
from renderer.redact import Secret

Cli = Callable[..., Result]
INSIGHTS = "InstrumentationKey=canary-instrumentation-key"


def test_success_is_one_line(cli: Cli, tmp_path: Path):
    result = cli(environment(), "--out", str(tmp_path))

    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith("published ")
    assert result.stdout.count("\n") == 1


def test_the_same_set_again_says_so(cli: Cli, tmp_path: Path):
    cli(environment(), "--out", str(tmp_path))

    assert cli(environment(), "--out", str(tmp_path)).stdout.startswith("unchanged ")


def test_check_writes_nothing(cli: Cli, tmp_path: Path):
    result = cli(environment(), "--check", "--out", str(tmp_path / "out"))

    assert result.stdout.startswith("ok ")
    assert not (tmp_path / "out").exists()


def test_the_env_file_lies_on_top_of_the_environment(cli: Cli, tmp_path: Path):
    env_file = tmp_path / "gateway.env"
    env_file.write_text("GATEWAY_PORT=1234\n")

    cli(
        environment(GATEWAY_PORT="9999", STATUS_PORT="8888"),
        *("--env-file", str(env_file), "--out", str(tmp_path / "out")),
    )

    config = (tmp_path / "out" / "config.yaml").read_text()
    assert "node_listen: 1234" in config
    assert '"port": 8888' in config


def test_the_lua_path_of_the_command_line_wins(cli: Cli, tmp_path: Path):
    cli(environment(GATEWAY_LUA_PATH="/a"), "--lua-path", "/b/c", "--out", str(tmp_path))

    assert 'extra_lua_path: "/b/c/?.lua"' in (tmp_path / "config.yaml").read_text()


@pytest.mark.parametrize("path", ["relative", "/a;b", '/a"b', "/${{HOME}}"])
def test_a_lua_path_that_means_something_else_is_refused(cli: Cli, path: str, tmp_path: Path):
    result = cli(environment(), "--lua-path", path, "--out", str(tmp_path / "out"))

    assert result.exit_code == 12
    assert result.stderr.startswith("error: --lua-path: ")
    assert not (tmp_path / "out").exists()


def test_warnings_go_to_stderr(cli: Cli):
    result = cli(environment(AZURE_OPENAI_ENDPOINT_0="https://one.openai.azure.com/x"), "--check")

    assert result.stderr.startswith("warning: AZURE_OPENAI_ENDPOINT_0: ")
    assert result.exit_code == 0


def test_no_secret_leaves_by_anything_but_the_files(cli: Cli, tmp_path: Path):
    env = environment(
        APPLICATIONINSIGHTS_CONNECTION_STRING=INSIGHTS,
        GATEWAY_CLIENT_KEY_SECONDARY_0="canary-secondary-key",
    )
    secrets = [BACKEND_KEY, CLIENT_KEY, INSIGHTS, "canary-secondary-key"]
    secrets += [Secret(secret).sha256 for secret in secrets]

    published = cli(env, "--out", str(tmp_path))
    printed = [cli(env, *arguments).output for arguments in (["--print"], ["--print", "--json"])]
    manifest = (tmp_path / "manifest.json").read_text()

    for text in (published.output, *printed, manifest):
        assert not [secret for secret in secrets if secret in text]
    assert "api-key" in printed[0]


def test_machine_output_of_success(cli: Cli, tmp_path: Path):
    result = json.loads(cli(environment(), "--out", str(tmp_path), "--json").stdout)

    assert (result["status"], result["backends"], result["clients"]) == ("published", 1, 1)
    assert len(result["digest"]) == 64


def test_machine_output_of_errors(cli: Cli):
    result = cli(environment(LB_ALG="x"), "--check", "--json")

    found = json.loads(result.stdout)
    assert (found["status"], found["exit_code"]) == ("error", 12)
    assert [error["variable"] for error in found["errors"]] == ["LB_ALG"]
    assert result.exit_code == 12


def test_a_run_without_a_goal_is_a_wrong_command_line(cli: Cli):
    assert cli(environment()).exit_code == 2


def test_a_bad_env_file_is_an_error_with_its_line(cli: Cli, tmp_path: Path):
    env_file = tmp_path / "gateway.env"
    env_file.write_text("A=1\nsecret\n")

    result = cli(environment(), "--check", "--env-file", str(env_file))

    assert result.exit_code == 3
    assert "line 2" in result.stderr
    assert "secret" not in result.stderr


def test_an_unknown_owner_is_one_line(cli: Cli, tmp_path: Path):
    result = cli(environment(), "--owner", "no-such-user", "--out", str(tmp_path))

    assert (result.exit_code, result.stderr.count("\n")) == (30, 1)


def test_the_installed_command_reads_the_process_environment(tmp_path: Path):
    command = Path(sys.executable).with_name("render-config")

    done = subprocess.run(
        [command, "--out", tmp_path / "out"],
        env=environment(),
        capture_output=True,
        check=True,
        text=True,
    )

    assert done.stdout.startswith("published ")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("STATUS_PROT", "STATUS_PORT"),
        ("MAX_REQUEST_BODY", "MAX_REQUEST_BODY_MB"),
        ("azure_openai_key_0", None),
    ],
)
def test_a_name_in_the_env_file_that_means_nothing_is_a_warning(tmp_path, name, meant):
    env_file = tmp_path / "env"
    env_file.write_text(
        "AZURE_OPENAI_ENDPOINT_0=https://a.openai.azure.com\nAZURE_OPENAI_KEY_0=abcdefgh\n"
        f"GATEWAY_CLIENT_NAME_0=a\nGATEWAY_CLIENT_KEY_0=abcdefgh\n{name}=1\n"
    )

    compiled = load_model(read_env_file(env_file), from_file=read_env_file(env_file))

    (warning,) = compiled.warnings
    assert warning.startswith(f"{name}: in the env file, but not a setting")
    assert meant is None or f"did you mean {meant}?" in warning
