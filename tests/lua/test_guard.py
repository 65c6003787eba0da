import pytest

from .host import LuaHost

SEAMS = {
    "apisix.core": [
        "log.error", "log.warn", "request.header", "request.headers", "request.set_header",
        "response.exit", "response.exit_insert_callback", "response.set_header",
        "response.set_response_source", "schema.check",
    ],
    "apisix.consumer": ["attach_consumer", "consumers_conf"],
    "apisix.router": ["http_routes"],
    "apisix.plugins.ai-proxy.base": ["before_proxy", "detect_request_type"],
    "apisix.plugins.ai-proxy-multi": ["access", "before_proxy", "check_schema", "log"],
    "apisix.plugins.prometheus.exporter": [
        "dec_llm_active_connections", "export_metrics", "inc_llm_active_connections",
    ],
}  # fmt: skip
PLACES = [(module, path) for module, paths in SEAMS.items() for path in paths]
NGX = """
local subsystem, phase, dicts = ...
logged, timers, status = {}, {}, {}
local function dict()
    return { set = function(_, key, value) status[key] = value end }
end
ngx = {
    ERR = 4,
    config = { subsystem = subsystem },
    shared = {},
    worker = { id = function() return worker_id end },
    get_phase = function() return phase end,
    log = function(_, ...) logged[#logged + 1] = table.concat({ ... }) end,
    timer = { every = function(_, run) timers[#timers + 1] = run end },
}
for name in dicts:gmatch("%S+") do
    ngx.shared[name] = dict()
end
"""
STUB = """
local path = ...
local root = {}
for one in path:gmatch("%S+") do
    local at = root
    for key, dot in one:gmatch("([^.]+)(%.?)") do
        at[key] = at[key] or (dot == "." and {} or function() end)
        at = at[key]
    end
end
return root
"""
HOOK = "apisix.plugins.dynamic-azure-openai.hook"
OURS = "gateway-metrics gateway-state status-report"


class Engine:
    """An engine that has what the gateway needs, but for what a test takes away."""

    def __init__(self, host: LuaHost, **changes) -> None:
        self.host = host
        known = {"version": "3.18.0", "dicts": OURS, "subsystem": "http", "phase": "init_worker"}
        facts = {**known, **changes}
        host.lua.execute(NGX, facts["subsystem"], facts["phase"], facts["dicts"])
        host.lua.globals().worker_id = facts.get("worker", 0)
        if facts["version"]:
            host.preload("apisix.core.version", {"VERSION": facts["version"]})
        host.preload("apisix.plugins.ai-providers.schema", facts.get("schema", {"providers": []}))
        for module, paths in SEAMS.items():
            if module != facts.get("without"):
                lost = facts.get("lost")
                kept = [path for path in paths if (module, path) != lost]
                host.lua.globals().package.loaded[module] = host.lua.execute(STUB, " ".join(kept))
        self.guard = host.require("guard")

    def refusal(self) -> str | None:
        call = self.host.lua.eval("function(f) return select(2, pcall(f)) end")
        said: str | None = call(self.guard.check_start)
        return said

    @property
    def logged(self) -> list[str]:
        return list(self.host.lua.globals().logged.values())

    @property
    def ready(self):
        return self.host.lua.globals().status[0]

    def tick(self) -> None:
        for run in self.host.lua.globals().timers.values():
            run(False)


@pytest.fixture
def engine(host):
    return lambda **changes: Engine(host, **changes)


def test_the_engine_that_is_known_is_taken(engine):
    known = engine()
    assert known.refusal() is None
    assert known.guard.problem() is None


@pytest.mark.parametrize("version", ["3.17.0", "3.18.1", "4.0.0"])
def test_another_version_is_named_and_stops_the_start(engine, version):
    assert engine(version=version).refusal() == (
        "the gateway refuses this engine: it needs Apache APISIX 3.18.0, this is " + version
    )


def test_something_that_is_no_apisix_stops_the_start(engine):
    assert engine(version=None).refusal().endswith("needs Apache APISIX 3.18.0, this is no APISIX")


def test_a_missing_shared_dict_stops_the_start(engine):
    said = engine(dicts="gateway-metrics").refusal()
    assert said.endswith(": config.yaml has no shared dict gateway-state")


@pytest.mark.parametrize("module", SEAMS)
def test_a_missing_module_stops_the_start(engine, module):
    assert engine(without=module).refusal().endswith(f": it has no module {module}")


@pytest.mark.parametrize("schema", [{}, {"providers": "openai"}])
def test_a_provider_list_of_another_shape_stops_the_start(engine, schema):
    assert engine(schema=schema).refusal().endswith("schema has no list of providers")


def test_the_stream_subsystem_is_not_asked_for_what_only_http_has(engine):
    assert engine(subsystem="stream", dicts="", version="3.0.0").refusal() is None


@pytest.mark.parametrize(("module", "path"), PLACES)
def test_every_function_that_is_relied_on_is_looked_for(engine, module, path):
    assert engine(lost=(module, path)).guard.problem() == f"{module} has no function {path}"


def test_a_module_that_does_not_load_is_told(engine, host):
    broken = engine(without="apisix.router")
    host.lua.execute('package.preload["apisix.router"] = function() error("no") end')
    assert broken.guard.problem() == "module apisix.router does not load"


def test_a_refusal_is_said_by_one_worker(engine):
    first = engine()
    first.guard.refuse("it has no wheels")
    assert first.logged == ["the gateway refuses this engine: it has no wheels"]


def test_the_other_workers_are_silent(engine):
    other = engine(worker=1)
    other.guard.refuse("it has no wheels")
    assert other.logged == []


def test_a_worker_that_refuses_never_becomes_ready(engine):
    refusing = engine()
    refusing.guard.refuse("it has no wheels")
    assert refusing.ready is False
    # as the engine does after each reading of its file
    refusing.host.lua.execute('ngx.shared["status-report"]:set(0, true)')
    refusing.tick()
    assert refusing.ready is False


def test_the_master_starts_no_timer(engine):
    master = engine(phase="init", worker=None)
    master.guard.refuse("it has no wheels")
    master.tick()
    assert master.ready is None


def test_the_hook_refuses_before_it_touches_the_engine(engine, host):
    engine(version="3.17.0")
    ok, said = host.lua.eval("function(name) return pcall(require, name) end")(HOOK)
    assert not ok
    assert "this is 3.17.0" in said
    assert host.lua.eval('#require("apisix.plugins.ai-providers.schema").providers') == 0


def test_the_hook_adds_the_provider_to_an_engine_that_is_known(engine, host):
    engine()
    host.require(HOOK)
    providers = host.lua.eval('require("apisix.plugins.ai-providers.schema").providers')
    assert list(providers.values()) == ["dynamic-azure-openai"]
