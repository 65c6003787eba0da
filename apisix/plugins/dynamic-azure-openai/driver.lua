--- Takes over the attempts of `ai-proxy-multi` for routes of this provider.
--
-- APISIX's plugin gives the configuration schema, the instance list and its neighbours; its
-- picking and retrying cannot express the rules here (a single instance is never retried, nobody
-- left is a plain 503 or 502, upstream headers are lost). `ai-proxy-multi` looks
-- `detect_request_type` and `before_proxy` up on its base module when it calls them: routes of this
-- provider get the functions below, all others the stock ones.

local base = require("apisix.plugins.ai-proxy.base")
local core = require("apisix.core")
local exporter = require("apisix.plugins.prometheus.exporter")
local attempts = require("apisix.plugins.dynamic-azure-openai.attempts")
local backends = require("apisix.plugins.dynamic-azure-openai.backends")
local guard = require("apisix.plugins.dynamic-azure-openai.guard")
local intake = require("apisix.plugins.dynamic-azure-openai.intake")
local messages = require("apisix.plugins.dynamic-azure-openai.messages")
local metrics = require("apisix.plugins.dynamic-azure-openai.metrics")
local models = require("apisix.plugins.dynamic-azure-openai.models")
local response = require("apisix.plugins.dynamic-azure-openai.response")
local telemetry = require("apisix.plugins.dynamic-azure-openai.telemetry")
local workers = require("apisix.plugins.dynamic-azure-openai.workers")

local ngx = ngx
local pcall = pcall

local PLUGIN = "ai-proxy-multi"

local _M = {}


-- Stock picking is done with before it starts: this is asked for a name and gives the driver's.
local PICKED = {
    get = function(ctx)
        return ctx.azure_openai.first.name
    end,
}


-- The engine's access phase must not go on when the client is gone: ending the request closes the
-- backend's connection too.
local function client_gone()
    ngx.exit(499)
end


local function route_conf(ctx)
    local route = ctx.matched_route and ctx.matched_route.value
    local conf = route and route.plugins and route.plugins[PLUGIN]
    return conf and backends.is_ours(conf) and conf or nil
end


-- Ends the request here: returned to the engine, a status of 400 and more would be a warning in the
-- log, with the whole request line.
local function finish(status, body)
    if status then
        return core.response.exit(status, body)
    end
    return nil
end


local function refuse(code)
    ngx.header["Content-Type"] = "application/json"
    return finish(messages.error(code))
end


local function detect(ctx, conf, max_body_size)
    local r, code = intake.read(ctx, backends.pool(conf), max_body_size)
    if not r then
        return refuse(code)
    end
    ctx.azure_openai = r
    ctx.ai_client_protocol = r.route.operation.protocol
    if r.route.operation.name == "models" then
        r.first = r.pool.backends[1]

    else
        ctx.var.request_type = r.scanned.stream and "ai_stream" or "ai_chat"
        code = attempts.prepare(r)
        if code then
            telemetry.exhausted(r, code)
            return refuse(code)
        end
        ctx.var.request_llm_model = telemetry.label(r)
        ctx.var.llm_model = telemetry.label(r)
    end
    ctx.server_picker = PICKED
    return nil
end


local function serve(r)
    if r.route.operation.name == "models" then
        return models.answer(r)
    end
    return attempts.run(r)
end


local function before_proxy(r)
    local watching, err = ngx.on_abort(client_gone)
    if not watching then
        core.log.warn("clients that leave are not noticed: ", err)
    end
    local ok, status, body = pcall(serve, r)
    if ok then
        return finish(status, body)
    end
    r.failed = true
    core.log.error("request ", r.request_id, " failed: ", status)
    if ngx.headers_sent then
        r.cut = true
        return response.cut()
    end
    return finish(response.own_error(r, messages.error("internal_error")))
end


local function take_over_base()
    local stock_detect, stock_before_proxy = base.detect_request_type, base.before_proxy

    base.detect_request_type = function(ctx, max_body_size)
        local conf = route_conf(ctx)
        if conf then
            return detect(ctx, conf, max_body_size)
        end
        return stock_detect(ctx, max_body_size)
    end

    base.before_proxy = function(conf, ctx, on_error)
        local r = ctx.azure_openai
        if r then
            return before_proxy(r)
        end
        return stock_before_proxy(conf, ctx, on_error)
    end
end


-- Runs before APISIX's own log function, which the Prometheus plugin follows.
local function take_over_log(plugin)
    local stock_log = plugin.log
    plugin.log = function(conf, ctx)
        if ctx.azure_openai then
            telemetry.finish(ctx, ctx.azure_openai)
        end
        return stock_log(conf, ctx)
    end
end


--- Installs the driver; does nothing the second time.
-- @tparam table plugin the module `apisix.plugins.ai-proxy-multi`
function _M.install(plugin)
    if base.azure_openai_driver then
        return
    end
    base.azure_openai_driver = _M
    local problem = guard.problem()
    if problem then
        return guard.refuse(problem)
    end
    take_over_base()
    take_over_log(plugin)
    metrics.join(exporter)
    workers.watch()
end

return _M
