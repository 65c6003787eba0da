--- Refuses an engine that this code does not know: at the start, not at each request.
--
-- What needs nothing but leaf modules is checked by the hook, where an error keeps nginx from
-- starting (or a reload from happening). The rest can only be seen when the engine is loaded: then
-- the driver stays out, one line is logged and readiness stays false. It must not raise there:
-- APISIX would drop the route and write its whole configuration, keys included, into the log.

local ngx = ngx
local error = error
local ipairs = ipairs
local pcall = pcall
local require = require
local type = type
local gmatch = string.gmatch

local ENGINE = "3.18.0"
local MARK = "the gateway refuses this engine: "
local HOLD_SECONDS = 0.1

local DICTS = { "gateway-metrics", "gateway-state" }
local SEAMS = {
    { "apisix.core", "log.error log.warn request.header request.headers request.set_header "
        .. "response.exit response.exit_insert_callback response.set_header "
        .. "response.set_response_source schema.check" },
    { "apisix.consumer", "attach_consumer consumers_conf" },
    { "apisix.router", "http_routes" },
    { "apisix.plugins.ai-proxy.base", "before_proxy detect_request_type" },
    { "apisix.plugins.ai-proxy-multi", "access before_proxy check_schema log" },
    { "apisix.plugins.prometheus.exporter", "dec_llm_active_connections export_metrics "
        .. "inc_llm_active_connections" },
}

local _M = {}


local function version_problem()
    local ok, version = pcall(require, "apisix.core.version")
    local found = ok and type(version) == "table" and version.VERSION
    if found ~= ENGINE then
        return "it needs Apache APISIX " .. ENGINE .. ", this is " .. (found or "no APISIX")
    end
end


local function dict_problem()
    for _, name in ipairs(DICTS) do
        if not ngx.shared[name] then
            return "config.yaml has no shared dict " .. name
        end
    end
end


local function file_problem()
    for _, seam in ipairs(SEAMS) do
        if not package.loaded[seam[1]] and not package.searchpath(seam[1], package.path) then
            return "it has no module " .. seam[1]
        end
    end
end


local function provider_problem()
    local ok, schema = pcall(require, "apisix.plugins.ai-providers.schema")
    if not ok or type(schema) ~= "table" or type(schema.providers) ~= "table" then
        return "apisix.plugins.ai-providers.schema has no list of providers"
    end
end


local function seam_problem(name, functions)
    local ok, module = pcall(require, name)
    if not ok then
        return "module " .. name .. " does not load"
    end
    for path in gmatch(functions, "%S+") do
        local found = module
        for key in gmatch(path, "[^.]+") do
            found = type(found) == "table" and found[key]
        end
        if type(found) ~= "function" then
            return name .. " has no function " .. path
        end
    end
end


--- In the hook: raises one line when the engine is not the one.
function _M.check_start()
    -- the stream subsystem loads the hook too, and has none of this
    if ngx.config.subsystem ~= "http" then
        return
    end
    local problem = version_problem() or dict_problem() or file_problem() or provider_problem()
    if problem then
        error(MARK .. problem, 0)
    end
end


--- When the engine is loaded: what is missing of what the driver takes over or calls.
-- @treturn string|nil one line
function _M.problem()
    for _, seam in ipairs(SEAMS) do
        local problem = seam_problem(seam[1], seam[2])
        if problem then
            return problem
        end
    end
    return nil
end


-- The engine calls a worker ready each time it has read its file.
local function hold_back(premature)
    local dict, id = ngx.shared["status-report"], ngx.worker.id()
    if not premature and dict and id then
        dict:set(id, false)
    end
end


--- Says once what is wrong, and keeps this worker from being called ready.
-- @tparam string problem
function _M.refuse(problem)
    if ngx.worker.id() == 0 then
        ngx.log(ngx.ERR, MARK, problem)
    end
    if ngx.get_phase() ~= "init" then
        hold_back()
        ngx.timer.every(HOLD_SECONDS, hold_back)
    end
end

return _M
