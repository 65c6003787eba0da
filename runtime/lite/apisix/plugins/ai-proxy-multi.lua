--- The frame around our provider: configuration, hand-over to the driver, log phase.
--
-- The driver picks, tries and answers. What is set in access is what neighbours read.

local base = require("apisix.plugins.ai-proxy.base")
local core = require("apisix.core")
local exporter = require("apisix.plugins.prometheus.exporter")
local schema = require("apisix.plugins.ai-proxy.schema")

local ipairs = ipairs
local match = string.match
local pcall = pcall
local require = require
local tostring = tostring

local ENDPOINT = "^https?://[^:/]+:?%d*/?.*$"

local _M = {
    version = 0.5,
    priority = 1041,
    name = "ai-proxy-multi",
    schema = schema.multi,
}


local function check_instance(instance)
    local endpoint = instance.override and instance.override.endpoint
    if endpoint and not match(endpoint, ENDPOINT) then
        return "invalid endpoint"
    end
    local ok, err = pcall(require, "apisix.plugins.ai-providers." .. instance.provider)
    if not ok then
        return "ai provider: " .. instance.provider .. " is not supported: " .. tostring(err)
    end
end


function _M.check_schema(conf)
    local ok, err = core.schema.check(schema.multi, conf)
    if not ok then
        return false, err
    end
    for _, instance in ipairs(conf.instances) do
        err = check_instance(instance)
        if err then
            return false, err
        end
    end
    return true
end


function _M.access(conf, ctx)
    local err, code = base.detect_request_type(ctx, conf.max_req_body_size)
    if err then
        return code or 400, err
    end
    local first = conf.instances[1]
    ctx.picked_ai_instance_name = first.name
    ctx.picked_ai_instance = first
    ctx.balancer_ip = first.name
    ctx.bypass_nginx_upstream = true
end


-- Stock code picks the next instance here; our driver has tried what is to be tried.
local function keep(_, _, code)
    return code
end


function _M.before_proxy(conf, ctx)
    return base.before_proxy(conf, ctx, keep)
end


function _M.log(conf, ctx)
    if ctx.llm_active_connections_tracked then
        exporter.dec_llm_active_connections(ctx)
        ctx.llm_active_connections_tracked = false
    end
    if conf.logging then
        base.set_logging(ctx, conf.logging.summaries, conf.logging.payloads)
    end
end


return _M
