"""APISIX's own plugins on the same route, and stock providers on a route beside it."""

import http.server
import json
import secrets
import threading
import time
from typing import ClassVar

import pytest
import yaml

from e2e.harness import Backend, Client
from e2e.mock_azure_openai import Action, Usage
from e2e.scenarios.calls import CHAT, chat
from renderer.output import publish, read_published

TEAM, GUEST = Client("team", key="team-key-000000"), Client("guest", key="guest-key-00000")


@pytest.fixture
def change(runtime):
    """Change the rendered routes of a gateway, and wait until all workers serve them."""
    if runtime == "lite":
        pytest.skip("the plugins under test are APISIX's own; lite does not have them")

    def apply(gw, edit):
        root = gw.workdir / "rendered"
        _, files = read_published(root)
        document = yaml.safe_load(files["apisix.yaml"])
        edit(document)
        revision = secrets.token_hex(32)
        route = document["routes"][0]
        route["plugins"]["ai-proxy-multi"]["azure_openai"]["revision"] = revision
        text = f"{yaml.safe_dump(document)}#END\n"
        publish({**files, "apisix.yaml": text.encode()}, root)
        deadline = time.monotonic() + 15
        while set(gw.control("/backends")["workers"]) != {revision}:
            assert time.monotonic() < deadline, "the workers did not take the routes over"
            time.sleep(0.05)

    return apply


@pytest.fixture
def fleet(mocks, gateway):
    first, second = mocks(2)
    backends = [Backend(first, priority=10), Backend(second)]
    return first, second, gateway(backends, clients=[TEAM, GUEST], fresh=True)


def with_plugins(**plugins):
    def edit(document):
        document["routes"][0]["plugins"].update(plugins)

    return edit


def ask(gw, client=TEAM, **fields):
    return gw.request("POST", CHAT, body=chat(**fields), headers={"api-key": client.key})


def test_limit_count_limits_and_failover_goes_on(fleet, change):
    first, _, gw = fleet
    limit = {
        "count": 2,
        "time_window": 600,
        "key": "consumer_name",
        "rejected_code": 429,
        "policy": "local",
    }
    change(gw, with_plugins(**{"limit-count": limit}))
    first.script(Action(error="500"))

    assert [ask(gw).status for _ in range(3)] == [200, 200, 429]
    assert ask(gw, GUEST).status == 200


def test_ai_rate_limiting_counts_the_tokens_of_whoever_answered(fleet, change):
    first, second, gw = fleet
    second.script(Action(usage=Usage(prompt=60, completion=50)))
    first.script(Action(error="429"))
    limits = {"limit": 100, "time_window": 600, "limit_strategy": "total_tokens"}
    change(gw, with_plugins(**{"ai-rate-limiting": {**limits, "rejected_code": 429}}))

    assert ask(gw).status == 200
    first.script(Action(usage=Usage(prompt=60, completion=50)))
    # the budget is one per backend: the first answer was the second backend's, this is the first's
    assert ask(gw).status == 200
    assert ask(gw).status == 429


def test_ai_prompt_guard_refuses_before_any_backend_is_asked(fleet, change):
    first, second, gw = fleet
    guard = {"match_all_roles": True, "deny_patterns": ["forbidden"]}
    change(gw, with_plugins(**{"ai-prompt-guard": guard}))

    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "a forbidden word"}]}
    refused = gw.request("POST", CHAT, body=body, headers={"api-key": TEAM.key})

    assert refused.status == 400
    assert not first.journal
    assert not second.journal
    assert ask(gw).status == 200


def test_consumer_restriction_keeps_a_consumer_out(fleet, change):
    _, _, gw = fleet
    change(gw, with_plugins(**{"consumer-restriction": {"whitelist": ["team"]}}))

    assert ask(gw).status == 200
    assert ask(gw, GUEST).status == 403


def test_proxy_rewrite_changes_path_and_headers(fleet, change):
    first, _, gw = fleet
    rewrite = {
        "regex_uri": ["^/team-prefix/(.*)$", "/$1"],
        "headers": {"set": {"x-added-by-rewrite": "yes"}},
    }
    change(gw, with_plugins(**{"proxy-rewrite": rewrite}))

    got = gw.request("POST", f"/team-prefix{CHAT}", body=chat(), headers={"api-key": TEAM.key})

    assert got.status == 200
    assert first.journal[-1].target == CHAT
    assert first.journal[-1].header("x-added-by-rewrite") == ["yes"]


def test_file_logger_gets_the_summary_of_the_call(fleet, change):
    first, _, gw = fleet
    first.script(Action(usage=Usage(prompt=21, completion=8)))
    path = gw.workdir / "apisix/logs/requests.json"
    change(gw, with_plugins(**{"file-logger": {"path": str(path)}}))

    assert ask(gw).status == 200

    deadline = time.monotonic() + 10
    while not (path.exists() and path.read_text().strip()):
        assert time.monotonic() < deadline, "nothing was logged"
        time.sleep(0.05)
    summary = json.loads(path.read_text().splitlines()[0])["llm_summary"]
    assert int(summary["prompt_tokens"]) == 21
    assert int(summary["completion_tokens"]) == 8
    assert summary["model"] == "gpt-4o"
    assert "hello" not in path.read_text().lower()


def test_a_stock_provider_serves_on_its_own_route_beside_ours(fleet, change):
    first, second, gw = fleet

    def add_route(document):
        instance = {
            "name": "stock",
            "provider": "openai-compatible",
            "weight": 1,
            "auth": {"header": {"api-key": second.key}},
            "override": {"endpoint": f"{second.url}/openai/v1/chat/completions"},
        }
        plugins = {"ai-proxy-multi": {"instances": [instance]}}
        document["routes"].append(
            {"id": "stock", "uri": "/stock", "priority": 10, "plugins": plugins}
        )

    change(gw, add_route)

    stock = gw.request("POST", "/stock", body=chat())
    ours = ask(gw)

    assert stock.status == 200, stock.body
    assert ours.status == 200
    assert ours.header("x-gateway-backend") == [first.name]
    assert (len(first.journal), len(second.journal)) == (1, 1)


class Collector(http.server.BaseHTTPRequestHandler):
    """Takes spans over OTLP/HTTP; the body is protobuf."""

    bodies: ClassVar[list[bytes]] = []

    def do_POST(self):
        self.bodies.append(self.rfile.read(int(self.headers["content-length"])))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def collector():
    Collector.bodies.clear()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_opentelemetry_sends_a_span_and_the_backend_gets_its_context(fleet, change, collector):
    first, _, gw = fleet
    metadata = {
        "id": "opentelemetry",
        "collector": {"address": f"127.0.0.1:{collector.server_port}", "request_timeout": 3},
        "batch_span_processor": {"inactive_timeout": 1, "batch_timeout": 1},
    }

    def trace(document):
        document["routes"][0]["plugins"]["opentelemetry"] = {"sampler": {"name": "always_on"}}
        document.setdefault("plugin_metadata", []).append(metadata)

    change(gw, trace)
    assert ask(gw).status == 200

    (context,) = first.journal[-1].header("traceparent")
    trace_id = bytes.fromhex(context.split("-")[1])
    deadline = time.monotonic() + 15
    while not any(trace_id in body for body in Collector.bodies):
        assert time.monotonic() < deadline, "no span of that trace was sent"
        time.sleep(0.05)
