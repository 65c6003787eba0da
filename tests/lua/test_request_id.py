import pytest

# the engine's request and its variables, of which the plugin reads and writes a few
ENGINE = """
ngx = {var = {request_id = "0123456789abcdef0123456789abcdef"}}
local ctx = {var = {apisix_request_id = "engine"}}
local core = {request = {}}
function core.request.header(c, name) return c[name] end
function core.request.set_header(c, name, value) c[name] = value end
package.preload["apisix.core"] = function() return core end
return ctx
"""
GENERATED = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def ctx(host):
    return host.lua.execute(ENGINE)


@pytest.mark.parametrize("request_id", ["a", "A-b_9", "x" * 128, GENERATED])
def test_a_harmless_id_of_the_client_is_kept(host, ctx, request_id):
    ctx["X-Request-Id"] = request_id
    assert host.require("request_id").ensure(ctx) == request_id
    assert ctx["X-Request-Id"] == request_id


@pytest.mark.parametrize(
    "request_id", [None, "", "x" * 129, "a b", "a\r\nb", "a;b", 'a"', "é", "a.b", "{}"]
)
def test_any_other_id_is_replaced_everywhere(host, ctx, request_id):
    ctx["X-Request-Id"] = request_id
    assert host.require("request_id").ensure(ctx) == GENERATED
    assert ctx["X-Request-Id"] == GENERATED
    assert ctx["request-id-X-Request-Id"] == GENERATED
    assert ctx.var.apisix_request_id == GENERATED
