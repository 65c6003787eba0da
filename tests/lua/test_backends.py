import pytest

from .host import LuaHost, raw
from .pools import instance, plugin_conf


class Backends:
    """The module, and what it compiles, as Python values."""

    def __init__(self, host: LuaHost) -> None:
        self.host = host
        self.module = host.require("backends")

    def pool(self, *instances, **fields):
        return self.module.pool(plugin_conf(self.host, *instances, **fields))

    def one(self, **fields):
        return self.pool(instance("a", **fields)).backends[1]

    def plan(self, pool, deployment: str | None):
        """Give the tiers as lists of names, how many drain, and whether the name is known."""
        plan, known = self.module.plan(pool, deployment)
        tiers = [[m.backend.name for m in tier.values()] for tier in plan.tiers.values()]
        assert plan.size == sum(map(len, tiers))
        return tiers, plan.draining, known


@pytest.fixture
def backends(host) -> Backends:
    return Backends(host)


def test_a_backend_without_a_list_serves_every_name(backends):
    pool = backends.pool(instance("a"), instance("b", deployments=["x"]))
    assert backends.plan(pool, "x") == ([["a", "b"]], 0, True)
    assert backends.plan(pool, "y") == ([["a"]], 0, False)
    assert backends.plan(pool, None) == ([["a"]], 0, False)


def test_a_name_that_is_only_in_a_map_is_served(backends):
    pool = backends.pool(
        instance("a", deployments=["x"], deployment_map={"y": "my-y"}),
        instance("b", deployments=["x"]),
    )
    assert backends.plan(pool, "y") == ([["a"]], 0, True)
    assert backends.plan(pool, "my-y") == ([], 0, False)


def test_an_empty_list_serves_nothing(backends):
    pool = backends.pool(instance("a", deployments=[]))
    assert backends.plan(pool, "x") == ([], 0, False)


def test_a_name_is_compared_with_its_case(backends):
    pool = backends.pool(instance("a", deployments=["GPT"]))
    assert backends.plan(pool, "gpt") == ([], 0, False)


def test_drained_backends_are_counted_only_where_they_would_serve(backends):
    pool = backends.pool(
        instance("a", mode="drain", deployments=["x"]), instance("b", deployments=["y"])
    )
    assert backends.plan(pool, "x") == ([], 1, True)
    assert backends.plan(pool, "y") == ([["b"]], 0, True)
    assert backends.plan(pool, "z") == ([], 0, False)


def test_tiers_are_by_priority_then_idle_then_standby(backends):
    pool = backends.pool(
        instance("s", mode="standby", priority=9),
        instance("z", weight=0, priority=9),
        instance("sz", mode="standby", weight=0, priority=9),
        instance("p1", priority=1),
        instance("p2a", priority=2),
        instance("p2b", priority=2),
    )
    tiers, _, _ = backends.plan(pool, None)
    assert tiers == [["p2a", "p2b"], ["p1"], ["z"], ["s"], ["sz"]]


def test_unknown_names_share_one_plan_and_leave_no_trace(backends):
    pool = backends.pool(instance("a"), instance("b", deployments=["x"]))
    size = backends.host.lua.eval(
        "function(t) local n = 0 for _ in pairs(t) do n = n + 1 end return n end"
    )
    same = backends.host.lua.eval("rawequal")
    first = backends.module.plan(pool, "guess")[0]
    for number in range(1000):
        assert same(backends.module.plan(pool, f"guess-{number}")[0], first)
    assert size(pool.plans) == 1


def test_plans_of_different_names_rotate_on_their_own(backends):
    pool = backends.pool(instance("a", deployments=["x", "y"]), instance("b", deployments=["x"]))
    picker = backends.host.require("picker")
    x, y = (backends.module.plan(pool, name)[0] for name in "xy")
    names = [picker.next(x).name]
    picker.next(y)
    names.append(picker.next(x).name)
    assert names == ["a", "b"]


def test_configurations_of_one_revision_share_one_pool(backends):
    same = backends.host.lua.eval("rawequal")
    one = backends.pool(instance("a"), revision="r1")
    assert same(one, backends.pool(instance("a"), revision="r1"))
    assert not same(one, backends.pool(instance("a"), revision="r2"))
    assert one.revision == "r1"


def test_without_a_revision_each_configuration_has_its_own_pool(backends):
    same = backends.host.lua.eval("rawequal")
    conf = plugin_conf(backends.host, instance("a"))
    pool = backends.module.pool(conf)
    assert same(backends.module.pool(conf), pool)
    assert not same(backends.pool(instance("a")), pool)


def test_only_the_last_revisions_are_kept(backends):
    same = backends.host.lua.eval("rawequal")
    first = backends.pool(instance("a"), revision="r0")
    for number in range(1, 5):
        backends.pool(instance("a"), revision=f"r{number}")
    assert not same(backends.pool(instance("a"), revision="r0"), first)


def test_pools_of_configurations_that_are_gone_are_freed(backends):
    lua = backends.host.lua
    count = lua.eval(
        "function(backends, make) local weak = setmetatable({}, {__mode = 'k'}) "
        "for i = 1, 50 do weak[backends.pool(make(i))] = true end "
        "collectgarbage() collectgarbage() "
        "local n = 0 for _ in pairs(weak) do n = n + 1 end return n end"
    )
    make = lua.eval(
        "function(i) return {instances = {{name = 'a', weight = 1, "
        "override = {endpoint = 'http://a'}}}, azure_openai = {revision = 'r' .. i}} end"
    )
    assert count(backends.module, make) <= 5


@pytest.mark.parametrize(
    ("endpoint", "tls", "address", "port", "host_header"),
    [
        ("https://a.openai.azure.com", True, "a.openai.azure.com", 443, "a.openai.azure.com"),
        ("https://a.openai.azure.com:443", True, "a.openai.azure.com", 443, "a.openai.azure.com"),
        ("https://a:8443", True, "a", 8443, "a:8443"),
        ("http://10.0.0.1", False, "10.0.0.1", 80, "10.0.0.1"),
        ("http://10.0.0.1:443", False, "10.0.0.1", 443, "10.0.0.1:443"),
        ("http://localhost:9000", False, "127.0.0.1", 9000, "localhost:9000"),
        ("https://[2001:db8::1]", True, "[2001:db8::1]", 443, "[2001:db8::1]"),
        ("http://[::1]:9000", False, "[::1]", 9000, "[::1]:9000"),
    ],
)
def test_an_endpoint_tells_where_to_connect(backends, endpoint, tls, address, port, host_header):
    backend = backends.one(endpoint=endpoint)
    assert (backend.tls, backend.host, backend.port) == (tls, address, port)
    assert backend.head.startswith(f"host: {host_header}\r\naccept-encoding: identity\r\n")


def test_connections_are_pooled_per_scheme_host_and_port(backends):
    endpoints = ["http://a:1", "https://a:1", "http://a:2", "http://b:1"]
    pools = {backends.one(endpoint=endpoint).socket_pool for endpoint in endpoints}
    assert len(pools) == 4


def test_the_backends_credential_is_part_of_its_head(backends):
    backend = backends.one(auth={"header": {"api-key": "secret"}})
    assert backend.head.endswith("api-key: secret\r\n")
    assert backends.one(auth={}).head.count("\r\n") == 2


def test_the_literal_prefix_is_removed_from_every_value_of_a_user(backends):
    backend = backends.one(
        auth={"header": {"api-key": "literal:$env://SECRET"}},
        deployments=["literal:$x", "y"],
        deployment_map={"literal:$x": "literal:literal:z"},
        api_version="literal:$v",
        region="literal:$r",
    )
    assert "api-key: $env://SECRET\r\n" in backend.head
    assert set(backend.deployments) == {"$x", "y"}
    assert dict(backend.map.items()) == {"$x": "literal:z"}
    assert backend.api_version == "$v"
    assert backend.region == "$r"


def test_only_a_prefix_is_a_prefix(backends):
    assert backends.one(api_version="xliteral:v").api_version == "xliteral:v"


def test_a_mapped_name_is_escaped_for_the_path_only(backends):
    backend = backends.one(deployment_map={"x": raw("a b/ü%?#~._-")})
    assert backend.map["x"] == raw("a b/ü%?#~._-")
    assert backend.map_path["x"] == "a%20b%2F%C3%BC%25%3F%23~._-"


@pytest.mark.parametrize(
    ("strategy", "throttles", "server_errors"),
    [
        (["http_429", "http_5xx"], True, True),
        (["http_429"], True, False),
        ("http_5xx", False, True),
        ([], False, False),
    ],
)
def test_the_fallback_strategy_is_compiled(backends, strategy, throttles, server_errors):
    pool = backends.pool(instance("a"), fallback_strategy=strategy)
    assert (pool.retry_429, pool.retry_5xx) == (throttles, server_errors)


def test_connections_are_verified_unless_that_is_switched_off(backends):
    assert backends.pool(instance("a")).ssl_verify is True
    assert backends.pool(instance("a"), ssl_verify=False).ssl_verify is False


@pytest.mark.parametrize(
    ("changes", "ours"),
    [
        ({}, True),
        ({"azure_openai": None}, False),
        ({"instances": []}, False),
        ({"instances": [{"provider": "openai"}]}, False),
        ({"instances": None}, False),
    ],
)
def test_which_configurations_are_the_drivers(backends, changes, ours):
    conf = {"instances": [{"provider": "dynamic-azure-openai"}], "azure_openai": {}} | changes
    present = {key: value for key, value in conf.items() if value is not None}
    assert backends.module.is_ours(backends.host.table(present)) is ours
