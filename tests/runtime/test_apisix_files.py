"""What of `--runtime apisix` needs no APISIX: reading a set, finding an installation."""

from __future__ import annotations

import json
import os

import pytest
import yaml
from apisix_harness import documents, script
from serve import publish_spec

from runtime import apisix_files as files
from runtime import apisix_home
from runtime.errors import RenderedSetError, RuntimeNotAvailableError, UnsupportedError
from runtime.processes import engine_of, serving_workers
from runtime.rendered import read_set

NGINX_SAID = """\
nginx: [warn] noise
nginx: [alert] setrlimit(RLIMIT_NOFILE, 20480) failed
nginx: [emerg] unknown directive "x" in /d/nginx.conf:7
nginx: configuration file test failed
"""
GUARD_SAID = """\
nginx: [error] init_by_lua error: the gateway refuses this engine: it needs Apache APISIX 3.18.0
stack traceback:
\tinit_by_lua:3: in main chunk
"""
PORTS = (9080, 7085, 9091, 9090)


def rendered(tmp_path, spec):
    publish_spec(spec, tmp_path / "rendered")
    return read_set(tmp_path / "rendered")


def test_a_set_says_where_the_engine_will_listen(tmp_path):
    found = files.read_config(rendered(tmp_path, documents(PORTS)))

    assert {(item.variable, item.host, item.port) for item in found.listeners} == {
        ("GATEWAY_PORT", "0.0.0.0", 9080),
        ("STATUS_PORT", "127.0.0.1", 7085),
        ("METRICS_PORT", "127.0.0.1", 9091),
        ("CONTROL_PORT", "127.0.0.1", 9090),
    }
    assert (found.workers, found.drain_seconds, len(found.revision)) == (2, 5, 64)


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        ("azure-openai-auth", "route azure-openai: plugin azure-openai-auth is not in the list"),
        ("prometheus", "needs prometheus in the list of plugins of config.yaml"),
        ("ai-proxy-multi", "route azure-openai: plugin ai-proxy-multi is not in the list"),
    ],
)
def test_a_plugin_that_is_missing_from_the_list_is_told(tmp_path, missing, said):
    spec = documents(PORTS)
    spec["config"]["plugins"].remove(missing)
    if missing == "prometheus":
        del spec["apisix"]["routes"][0]["plugins"]["prometheus"]

    with pytest.raises(UnsupportedError, match=said):
        files.read_config(rendered(tmp_path, spec))


def test_a_set_for_another_engine_is_refused(tmp_path):
    rendered(tmp_path, documents(PORTS))
    manifest = tmp_path / "rendered/.current/manifest.json"
    content = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**content, "engine": "apisix 3.17.0"}))

    with pytest.raises(RenderedSetError, match=r"rendered for apisix 3\.17\.0, not for apisix"):
        read_set(tmp_path / "rendered")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", ""),
        ("apisix-run: already running\n", "apisix-run: already running"),
        (NGINX_SAID, 'unknown directive "x" in /d/nginx.conf:7'),
        (GUARD_SAID, "the gateway refuses this engine: it needs Apache APISIX 3.18.0"),
    ],
)
def test_one_line_says_why_an_engine_ended(text, line):
    assert files.first_problem(text) == line


def test_a_refused_route_is_shown_without_its_keys():
    shown = files.important(
        [
            "2026/01/01 00:00:00 [error] failed to check item data of [routes] err:x ,val: {key}",
            "2026/01/01 00:00:00 [warn] 1#1: no",
            "2026/01/01 00:00:00 [alert] 1#1: setrlimit(RLIMIT_NOFILE, 20480) failed",
        ]
    )
    assert shown == ["2026/01/01 00:00:00 [error] failed to check item data of [routes] err:x"]


def test_an_instance_has_a_cache_and_a_user_of_its_own_and_escapes_stay(tmp_path):
    text = 'apisix:\n  x: "\\x24{{A}}"\nnginx_config:\n  y: 1\n'
    config = files.read_config(rendered(tmp_path, documents(PORTS)))
    found = files.adapted(text, config, user="nobody nogroup", cache="/w/cache")
    assert yaml.safe_load(found)["apisix"]["proxy_cache"]["zones"][0]["disk_path"] == "/w/cache"
    assert yaml.safe_load(found)["nginx_config"] == {"user": "nobody nogroup", "y": 1}
    assert '"\\x24{{A}}"' in found


def test_what_config_yaml_sets_by_itself_stays(tmp_path):
    spec = documents(PORTS)
    spec["config"]["apisix"]["proxy_cache"] = {"zones": []}
    spec["config"]["nginx_config"]["user"] = "www"
    found = rendered(tmp_path, spec)
    config = files.read_config(found)
    assert files.adapted(found.config_yaml, config, user="a", cache="/b") == found.config_yaml


def test_without_any_apisix_the_line_says_what_is_looked_for(tmp_path):
    with pytest.raises(RuntimeNotAvailableError, match="needs APISIX_HOME, or apisix on PATH"):
        apisix_home.find({"PATH": str(tmp_path)})
    assert not apisix_home.wanted({"PATH": str(tmp_path)})


def test_an_apisix_home_without_apisix_is_told(tmp_path):
    environ = {"APISIX_HOME": str(tmp_path), "PATH": str(tmp_path)}
    with pytest.raises(RuntimeNotAvailableError, match="has neither bin/apisix-run nor bin/apisix"):
        apisix_home.find(environ)
    assert apisix_home.wanted(environ)


@pytest.mark.parametrize(
    ("usage", "remakes"), [("usage: apisix-run [-t] DIR", True), ("usage: apisix-run DIR", False)]
)
def test_a_runner_is_asked_to_test_only_when_its_usage_says_that_it_can(tmp_path, usage, remakes):
    runner = script(tmp_path / "bin/apisix-run", f"echo '{usage}' >&2; exit 2")
    found = apisix_home.find({"APISIX_HOME": str(tmp_path)})
    assert found.run == (str(runner),)
    assert (found.remake == (str(runner), "-t")) is remakes


def test_an_installation_that_has_one_home_only_cannot_be_used(tmp_path):
    script(tmp_path / "bin/apisix", "cd /usr/local/apisix && exec luajit apisix/cli/apisix.lua")
    (tmp_path / "apisix/cli").mkdir(parents=True)
    (tmp_path / "apisix/cli/apisix.lua").touch()
    with pytest.raises(RuntimeNotAvailableError, match="cannot run a private instance"):
        apisix_home.find({"PATH": str(tmp_path / "bin")})


def test_a_pid_file_of_somebody_else_is_no_engine(tmp_path):
    (tmp_path / "logs").mkdir()
    assert engine_of(tmp_path) is None
    (tmp_path / "logs/nginx.pid").write_text(str(os.getpid()))
    assert engine_of(tmp_path) is None
    assert serving_workers(os.getpid()) == frozenset()
