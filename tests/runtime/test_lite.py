"""A real nginx with fixture plugins: what a request sees."""

from __future__ import annotations

import json
import os
import re
import signal
from pathlib import Path

import pytest
from lite_harness import instance, route, wait_until


def test_a_request_reaches_the_provider_with_the_context_that_apisix_gives(gateway):
    running = gateway().start()

    answer = running.request("/echo//a%2Db?x=1&y=%20")

    seen = answer.json
    assert (answer.status, seen["instance"], seen["matched"], seen["route"]) == (
        200, "first", "/*", "main",
    )  # fmt: skip
    assert (seen["uri"], seen["request_uri"], seen["real_request_uri"]) == (
        "/echo/a-b", "/echo/a-b?x=1&y=%20", "/echo//a%2Db?x=1&y=%20",
    )  # fmt: skip
    assert seen["hook_first"] is True
    assert answer.headers["server"] == "APISIX"


def test_routes_are_found_by_path_method_vars_and_priority(gateway):
    def named(name, uris, **fields):
        return route(name, uris, name=name, **fields)

    running = gateway(
        [
            named("exact", ["/a/b"]),
            named("longer", ["/a/*"]),
            named("shorter", ["/*"]),
            named("post-only", ["/m/*"], methods=["POST"]),
            named("low", ["/p/*"], priority=1),
            named("high", ["/p/*"], priority=2, vars=[["arg_v", "==", "1"]]),
            named("regex", ["/r/*"], vars=[["http_x_team", "~~", "^red"], ["arg_n", "in", ["1"]]]),
            named("inner", ["/i/*/end"]),
            named("off", ["/a/b/c"], status=0),
        ]
    ).start()

    def found(path, **kwargs):
        return running.request(path, **kwargs).json["route"]

    assert found("/a/b") == "exact"
    assert found("/a/b/c") == "longer"
    assert found("/zzz") == "shorter"
    assert found("/m/x", method="POST") == "post-only"
    assert found("/m/x") == "shorter"
    assert found("/p/x") == "low"
    assert found("/p/x?v=1") == "high"
    assert found("/r/x?n=1", headers={"X-Team": "red-1"}) == "regex"
    assert found("/r/x?n=2", headers={"X-Team": "red-1"}) == "shorter"
    assert found("/i/x/y/end") == "inner"
    assert found("/i/x/y") == "shorter"


def test_a_path_without_a_route_is_apisix_404(gateway):
    running = gateway([route(uris=["/only"])]).start()

    answer = running.request("/else")

    assert (answer.status, answer.json) == (404, {"error_msg": "404 Route Not Found"})


def test_plugins_run_phase_by_phase_in_order_of_priority(gateway):
    running = gateway([route(plugins={"fixture-trace": {}, "fixture-early": {}})]).start()

    trace = running.request("/echo").headers["x-trace"]

    assert trace == (
        "e:rewrite t:rewrite e:access t:access e:before_proxy t:before_proxy "
        "e:header_filter t:header_filter"
    )


def test_meta_priority_and_disable_change_who_runs(gateway):
    running = gateway(
        [
            route(
                "a", ["/a"], {"fixture-trace": {"_meta": {"priority": 9999}}, "fixture-early": {}}
            ),
            route(
                "b", ["/b"], {"fixture-trace": {}, "fixture-early": {"_meta": {"disable": True}}}
            ),
        ]
    ).start()

    assert running.request("/a").headers["x-trace"].startswith("t:rewrite e:rewrite")
    assert "e:" not in running.request("/b").headers["x-trace"]


def test_a_plugin_that_returns_a_code_ends_the_request(gateway):
    running = gateway([route(plugins={"fixture-trace": {"stop_with": 418}})]).start()

    answer = running.request("/echo")

    assert (answer.status, answer.json) == (418, {"stopped": "t"})
    assert answer.headers["x-trace"] == "t:rewrite t:header_filter"


@pytest.mark.parametrize("phase", ["rewrite", "access", "before_proxy"])
def test_a_plugin_that_raises_is_a_500_in_the_shape_of_openai(gateway, phase):
    running = gateway([route(plugins={"fixture-trace": {"raise_in": phase}})]).start()

    answer = running.request("/echo")

    assert answer.status == 500
    assert answer.headers["content-type"] == "application/json"
    assert answer.json["error"]["code"] == "internal_error"
    log = running.workdir / "logs/error.log"
    assert f"fixture raises in {phase}" in log.read_text()
    assert "stack traceback" in log.read_text()


def test_an_answer_that_fails_after_its_first_byte_is_cut(gateway):
    running = gateway().start()

    with pytest.raises(Exception, match="IncompleteRead"):
        running.request("/raise-late")
    assert running.request("/raise").status == 500


def test_consumers_are_known_to_auth_plugins(gateway):
    consumers = [
        {"username": "red", "plugins": {"fixture-auth": {"secret": "red-secret"}}},
        {"username": "blue", "plugins": {"fixture-auth": {"secret": "blue-secret"}}},
    ]
    running = gateway([route(plugins={"fixture-auth": {}})], consumers=consumers).start()

    known = running.request("/echo", headers={"X-Secret": "blue-secret"})
    unknown = running.request("/echo", headers={"X-Secret": "other"})

    assert (known.json["consumer"], known.json["username_header"]) == ("blue", "blue")
    assert unknown.status == 401


def test_request_id_is_the_clients_or_a_random_uuid(gateway):
    running = gateway([route(plugins={"request-id": {"header_name": "X-Request-Id"}})]).start()

    own = running.request("/echo", headers={"X-Request-Id": "mine"}).headers["x-request-id"]
    made = {running.request("/echo").headers["x-request-id"] for _ in range(3)}

    assert own == "mine"
    assert len(made) == 3
    pattern = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
    assert all(re.fullmatch(pattern, item) for item in made)


def test_file_logger_writes_a_line_for_each_request_in_the_format_of_the_metadata(
    gateway, tmp_path
):
    path = tmp_path / "requests.json"
    metadata = [
        {
            "id": "file-logger",
            "log_format": {
                "path": "$uri",
                "fixed": "text",
                "llm": {"tokens": "$llm_prompt_tokens"},
            },
        }
    ]
    running = gateway(
        [route(plugins={"file-logger": {"path": str(path)}})], metadata=metadata
    ).start()

    running.request("/echo?secret=1")
    running.request("/echo/2")

    lines = wait_until(lambda: path.exists() and path.read_text().splitlines()[1:2], "two lines")
    assert len(lines) == 1
    first = json.loads(path.read_text().splitlines()[0])
    assert first == {"path": "/echo", "fixed": "text", "llm": {"tokens": 7}, "route_id": "main"}


SAMPLE = re.compile(
    r'([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[a-z_]+="(?:[^"\\\n]|\\.)*",?)*)\})? ([-+0-9.eInfNa]+)'
)


def parse_metrics(text):
    """{(name, labels): value}; fails on a line that is no sample and no comment."""
    found = {}
    for line in text.splitlines():
        if line.startswith(("# HELP ", "# TYPE ")):
            continue
        match = SAMPLE.fullmatch(line)
        assert match, line
        assert (match[1], match[2]) not in found, line
        found[match[1], match[2]] = float(match[3])
    return found


def test_metrics_have_apisix_names_and_labels_and_add_up_over_workers(gateway):
    running = gateway([route(plugins={"prometheus": {"prefer_name": True}})]).start()
    for _ in range(20):
        assert running.request("/echo").status == 200

    def status_lines():
        found = parse_metrics(running.metrics())
        lines = {key: value for key, value in found.items() if key[0] == "apisix_http_status"}
        return found if sum(lines.values()) == 20 else None

    found = wait_until(status_lines, "20 counted requests")
    common = (
        'consumer="",node="first",request_type="ai_chat",request_llm_model="gpt-fixture",'
        'llm_model="gpt-fixture"'
    )
    status = (
        'code="200",route="main",matched_uri="/*",matched_host="",service="",'
        f'{common},response_source="upstream"'
    )
    by_id = f'route_id="main",service_id="",{common}'
    assert found["apisix_http_status", status] == 20
    assert found["apisix_llm_prompt_tokens", by_id] == 140
    assert found["apisix_llm_completion_tokens", by_id] == 100
    assert found.get(("apisix_llm_prompt_tokens_dist_bucket", by_id + ',le="1"'), 0) == 0
    assert found["apisix_llm_prompt_tokens_dist_bucket", by_id + ',le="10"'] == 20
    assert found["apisix_llm_prompt_tokens_dist_count", by_id] == 20
    assert found["apisix_llm_latency_sum", f'type="total",{by_id}'] == 180
    for kind in ("request", "apisix"):
        key = f'type="{kind}",route="main",service="",{common}'
        assert found["apisix_http_latency_bucket", key + ',le="+Inf"'] == 20
    assert found["apisix_node_info", f'hostname="{_hostname()}",version="3.18.0"'] == 1
    assert any(key[0] == "apisix_shared_dict_capacity_bytes" for key in found)
    assert found["apisix_nginx_http_current_connections", 'state="active"'] >= 1


def _hostname():
    return Path("/proc/sys/kernel/hostname").read_text().strip()


def test_other_paths_of_the_metrics_listener_are_404(gateway):
    running = gateway().start()

    assert running.request("/", port=2).status == 404


@pytest.mark.parametrize("workers", [2, 4])
def test_ready_means_live_in_every_worker(gateway, workers):
    running = gateway(workers=workers).start()

    answer = running.request("/status/ready", port=1)
    assert (answer.status, answer.json) == (200, {"status": "ok"})
    assert running.request("/status", port=1).json == {"status": "ok"}


def test_not_ready_while_a_worker_has_no_routes(gateway):
    running = gateway(workers=4).start()
    document = running.workdir / "conf/lite.json"
    kept = document.read_text()
    document.unlink()
    # the worker that takes its place finds nothing to load
    os.kill(_workers(running.nginx_pid())[0], signal.SIGKILL)
    answer = wait_until(
        lambda: (a := running.request("/status/ready", port=1)).status == 503 and a, "not ready"
    )
    assert answer.json["status"] == "error"
    assert "has not received configuration" in answer.json["error"]

    document.write_text(kept)
    wait_until(lambda: running.request("/status/ready", port=1).status == 200, "ready again")


def _workers(master):
    return [int(pid) for pid in Path(f"/proc/{master}/task/{master}/children").read_text().split()]


@pytest.mark.parametrize(
    ("routes", "consumers", "said"),
    [
        (
            [route(plugins={"cors": {}})],
            [],
            "route main: plugin cors needs the docker or apisix runtime",
        ),
        (
            [route(plugins={"nonsense": {}})],
            [],
            "route main: plugin nonsense is not in the list of plugins of config.yaml",
        ),
        (
            [route(plugins={"fixture-trace": {"limit": 9}})],
            [],
            'plugin fixture-trace: property "limit" validation failed: expected a number of at',
        ),
        (
            [route(plugins={"ai-proxy-multi": {"instances": [{**instance(), "provider": "x"}]}})],
            [],
            'plugin ai-proxy-multi: property "instances" validation failed',
        ),
        (
            [route(vars=[["arg_x", "has", "1"]])],
            [],
            "route main: operator has in vars needs the docker or apisix runtime",
        ),
        (
            [route()],
            [{"username": "red", "plugins": {"fixture-auth": {"secret": "x"}}}],
            'consumer red: plugin fixture-auth: property "secret" validation failed',
        ),
        (
            [route()],
            [{"username": "red", "plugins": {"fixture-trace": {}}}],
            "consumer red: plugin fixture-trace on a consumer needs the docker or apisix runtime",
        ),
        ([route(hosts=["a.example"])], [], "route main: hosts needs the docker or apisix runtime"),
    ],
)  # fmt: skip
def test_what_lite_cannot_do_stops_the_start_with_one_line(gateway, routes, consumers, said):
    code, stderr = gateway(routes, consumers=consumers).fail_to_start()

    assert code == 46
    assert said in stderr
    assert stderr.startswith("error: ")
    assert stderr.count("\n") == 0
