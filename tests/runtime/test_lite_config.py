from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from samples import machine, rendered

from runtime.errors import UnsupportedError
from runtime.lite_config import LUA_HOST, Listener, check_conf, nginx_conf, read_config

HERE = machine()


def text_of(config=None, on=HERE, **fields):
    return nginx_conf(read_config(rendered(config=config, **fields), on), on, Path("/w/conf"))


@pytest.mark.parametrize(
    ("apisix", "said"),
    [
        ({"upstreams": [{"id": 1}]}, "apisix.yaml: upstreams needs the docker or apisix runtime"),
        ({"global_rules": [{"id": 1}]}, "apisix.yaml: global_rules needs"),
        ({"routes": [{"uri": "/", "upstream": {}}]}, "route 1: upstream needs"),
        ({"routes": [{"id": "a", "uri": "/", "hosts": ["h"]}]}, "route a: hosts needs"),
        ({"routes": [{"id": "a"}]}, "route a has no uri"),
        ({"routes": ["x"]}, "route 1 is not a mapping"),
        ({"consumers": [{"plugins": {}}]}, "consumer 1 has no username"),
        ({"consumers": [{"username": "u", "group_id": 1}]}, "consumer u: group_id needs"),
    ],
)
def test_what_lite_does_not_have_is_refused_by_name(apisix, said):
    with pytest.raises(UnsupportedError, match=re.escape(said)):
        read_config(rendered(apisix), HERE)


@pytest.mark.parametrize("text", ["$env://KEY", "$ENV://KEY", "$secret://vault/1"])
def test_references_to_secrets_are_refused_without_their_text(text):
    routes = [{"id": "a", "uri": "/", "plugins": {"p": {"list": [{"key": text}]}}}]

    with pytest.raises(UnsupportedError) as caught:
        read_config(rendered({"routes": routes}), HERE)

    assert "route a: plugin p: a reference to a secret needs" in str(caught.value)
    assert text not in str(caught.value)


def test_a_reference_to_the_environment_is_refused():
    with pytest.raises(UnsupportedError, match=r"apisix\.yaml: a .* reference needs"):
        read_config(rendered({"routes": [{"uri": "/${{X}}"}]}), HERE)


def test_a_file_without_its_end_is_not_complete():
    with pytest.raises(UnsupportedError, match="#END"):
        read_config(rendered(end=""), HERE)


def test_broken_yaml_is_told_by_line_without_its_text():
    broken = replace(rendered(), apisix_yaml="routes:\n  - key: 'secret\n#END\n")

    with pytest.raises(UnsupportedError) as caught:
        read_config(broken, HERE)

    assert "is not valid YAML in line" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_routes_without_an_id_get_the_one_that_apisix_gives():
    config = read_config(rendered({"routes": [{"uri": "/a"}, {"id": 7, "uri": "/b"}]}), HERE)

    assert [route["id"] for route in config.routes["routes"]] == ["arr_1", "7"]


@pytest.mark.parametrize(("wanted", "workers"), [("auto", 3), (2, 2)])
def test_workers_are_a_number_or_the_cpus(wanted, workers):
    config = read_config(rendered(config={"nginx_config": {"worker_processes": wanted}}), HERE)

    assert config.workers == workers


@pytest.mark.parametrize(
    ("listen", "ipv6", "hosts"),
    [
        (9080, False, ["0.0.0.0:9080"]),
        ([9080], True, ["0.0.0.0:9080", "[::]:9080"]),
        ([{"ip": "127.0.0.2", "port": 9080}], True, ["127.0.0.2:9080"]),
    ],
)
def test_the_gateway_listens_where_apisix_would(listen, ipv6, hosts):
    config = read_config(
        rendered(config={"apisix": {"node_listen": listen}}), machine(ipv6_listen=ipv6)
    )

    assert [f"{item.host}:{item.port}" for item in config.gateway] == hosts


def test_the_control_listener_is_found_in_the_snippet():
    snippet = "client_body_buffer_size 1m;\nserver {\n  listen 127.0.0.1:9095;\n}\n"
    config = read_config(
        rendered(config={"nginx_config": {"http_configuration_snippet": snippet}}), HERE
    )

    assert config.control == Listener(variable="CONTROL_PORT", host="127.0.0.1", port=9095)
    assert {item.variable for item in config.listeners} == {
        "GATEWAY_PORT", "STATUS_PORT", "METRICS_PORT", "CONTROL_PORT",
    }  # fmt: skip


def test_urls_can_be_used_from_this_machine():
    listener = Listener(variable="X", host="0.0.0.0", port=1)

    assert listener.url == "http://127.0.0.1:1"
    assert replace(listener, host="[::]").url == "http://[::1]:1"


def test_snippets_dicts_limits_and_variables_reach_nginx():
    text = text_of(
        {
            "nginx_config": {
                "http_configuration_snippet": "client_body_buffer_size 1m;",
                "http_server_configuration_snippet": "lua_check_client_abort on;",
                "worker_shutdown_timeout": "31s",
                "envs": ["MY_NAME"],
                "http": {
                    "custom_lua_shared_dict": {"mine": "2m"},
                    "client_max_body_size": "65m",
                    "access_log": "/dev/stdout",
                    "access_log_format": "$uri",
                },
            }
        }
    )

    for line in (
        "client_body_buffer_size 1m;", "lua_check_client_abort on;", "lua_shared_dict mine 2m;",
        "worker_shutdown_timeout 31s;", 'env "MY_NAME";', "client_max_body_size 65m;",
        "access_log /dev/stdout main buffer=16384 flush=3;",
        "log_format main escape=default '$uri';",
        "resolver 10.0.0.1 [fd00::1] ipv6=off;", "lua_ssl_trusted_certificate /etc/ca.pem;",
        "lua_ssl_verify_depth 5;", "underscores_in_headers on;", "server_tokens off;",
        "worker_processes 3;", "user root;",
    ):  # fmt: skip
        assert line in text


def test_file_limits_stay_below_what_this_process_may_have():
    text = text_of(on=machine(max_files=500))

    assert "worker_rlimit_nofile 500;" in text
    assert "worker_connections 500;" in text


def test_the_access_log_can_be_off():
    assert "access_log off;\n    client_max_body_size" in text_of(
        {"nginx_config": {"http": {"enable_access_log": False}}}
    )


def test_the_module_hook_comes_before_the_host():
    text = text_of({"apisix": {"lua_module_hook": "my.hook", "extra_lua_path": "/p/?.lua;"}})

    assert text.index('require "my.hook"') < text.index('require("apisix")')
    assert f'lua_package_path "/p/?.lua;{LUA_HOST}/?.lua;' in text


def test_the_checking_process_listens_nowhere_and_knows_every_dict():
    config = read_config(rendered(), HERE)
    text = check_conf(config, HERE, Path("/w/check"))

    assert "listen" not in text
    assert "lua_shared_dict status-report 1m;" in text


def test_lua_writes_through_exactly_the_variables_that_nginx_declares():
    names = set(re.findall(r"^\s*set \$(\w+)", text_of(), re.MULTILINE))
    lua = (LUA_HOST / "apisix/core/ctx.lua").read_text()
    block = lua[lua.index("local declared = {") : lua.index("local uncached")]

    assert set(re.findall(r"^    (\w+) = true", block, re.MULTILINE)) == names
