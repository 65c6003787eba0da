--- APISIX's metrics for what lite serves: same names, labels and buckets as APISIX 3.18.0.

local core = require("apisix.core")
local plugins = require("host.plugins")
local server = require("host.server_stats")
local store = require("host.metrics_store")

local concat = table.concat
local ipairs = ipairs
local ngx = ngx
local now = ngx.now
local start_time = ngx.req.start_time
local tonumber = tonumber
local type = type
local unpack = unpack

local cache_dict = ngx.shared["prometheus-cache"]

local LATENCY_MS = {1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 30000, 60000}
local TOKENS = {
    1, 10, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000, 100000, 200000, 500000,
    1000000,
}
local MAX_MODEL_LABEL = 128
local DEFAULT_REFRESH = 15
local DEFAULT_URI = "/apisix/prometheus/metrics"
local CACHE_KEY = "text"
local SEP = "\0"

local _M = {}


local function labels(...)
    local list = {...}
    for _, name in ipairs({"consumer", "node", "request_type", "request_llm_model", "llm_model"}) do
        list[#list + 1] = name
    end
    return list
end


local attr = plugins.attr("prometheus") or {}

server.define(store)

local STATUS_LABELS = labels("code", "route", "matched_uri", "matched_host", "service")
STATUS_LABELS[#STATUS_LABELS + 1] = "response_source"

local metrics = {
    status = store.counter("http_status", "HTTP status codes by route", STATUS_LABELS),
    latency = store.histogram("http_latency", "Request latency in milliseconds",
        labels("type", "route", "service"), attr.default_buckets or LATENCY_MS),
    bandwidth = store.counter("bandwidth", "Bytes in and out",
        labels("type", "route", "service")),
    llm_latency = store.histogram("llm_latency", "LLM latency in milliseconds",
        labels("type", "route_id", "service_id"), attr.llm_latency_buckets or LATENCY_MS),
    prompt = store.counter("llm_prompt_tokens", "Prompt tokens used",
        labels("route_id", "service_id")),
    completion = store.counter("llm_completion_tokens", "Completion tokens used",
        labels("route_id", "service_id")),
    active = store.gauge("llm_active_connections", "Requests at a LLM service now",
        labels("route", "route_id", "matched_uri", "matched_host", "service", "service_id")),
    prompt_dist = store.histogram("llm_prompt_tokens_dist", "Prompt tokens of a request",
        labels("route_id", "service_id"), attr.llm_prompt_tokens_buckets or TOKENS),
    completion_dist = store.histogram("llm_completion_tokens_dist",
        "Completion tokens of a request",
        labels("route_id", "service_id"), attr.llm_completion_tokens_buckets or TOKENS),
}

local bundles = store.cache()
local gauges = store.cache()


local function model_label(value)
    if type(value) == "table" then
        return "<non-scalar>"
    end
    return store.short(value, MAX_MODEL_LABEL)
end


-- Series of everything but the status for one combination of the common labels.
local function new_bundle(common)
    local function typed(family, kind)
        return store.series(family, {kind, unpack(common)})
    end
    local function plain(family)
        return store.series(family, common)
    end
    return {
        statuses = {},
        request = typed(metrics.latency, "request"),
        apisix = typed(metrics.latency, "apisix"),
        ingress = typed(metrics.bandwidth, "ingress"),
        egress = typed(metrics.bandwidth, "egress"),
        typed = typed,
        plain = plain,
    }
end


-- Made on first use: most routes never need all of them.
local function part(bundle, key, make, family, kind)
    local series = bundle[key]
    if not series then
        series = make(family, kind)
        bundle[key] = series
    end
    return series
end


local function route_label(conf, ctx)
    local route = ctx.matched_route and ctx.matched_route.value
    if not route then
        return ""
    end
    return conf.prefer_name and route.name or route.id
end


local function status_series(bundle, ctx, common)
    local matched = ctx.curr_req_matched or {}
    local source = core.response.get_response_source(ctx)
    local code = ctx.var.status
    local key = concat({code, matched._path or "", source}, SEP)
    local series = bundle.statuses[key]
    if not series then
        series = store.series(metrics.status, {
            code, common[1], matched._path or "", matched._host or "", common[2], common[3],
            common[4], common[5], common[6], common[7], source,
        })
        bundle.statuses[key] = series
    end
    return series
end


local function record_latency(bundle, ctx)
    local latency = (now() - start_time()) * 1000
    local own = latency
    local upstream = tonumber(ctx.var.upstream_response_time)
    if upstream then
        upstream = upstream * 1000
        own = latency > upstream and latency - upstream or 0
        store.observe(part(bundle, "upstream", bundle.typed, metrics.latency, "upstream"), upstream)
    end
    store.observe(bundle.request, latency)
    store.observe(bundle.apisix, own)
end


local function record_llm_latency(bundle, var)
    local ttft = var.llm_time_to_first_token
    if ttft == "0" or (tonumber(var.status) or 0) >= 400 then
        return
    end
    local total = tonumber(var.apisix_upstream_response_time)
    if total then
        store.observe(part(bundle, "total", bundle.typed, metrics.llm_latency, "total"), total)
    end
    if var.request_type == "ai_stream" and tonumber(ttft) then
        store.observe(part(bundle, "ttft", bundle.typed, metrics.llm_latency, "ttft"),
                      tonumber(ttft))
    end
end


local function record_tokens(bundle, var)
    local prompt = tonumber(var.llm_prompt_tokens) or 0
    local completion = tonumber(var.llm_completion_tokens) or 0
    store.inc(part(bundle, "prompt", bundle.plain, metrics.prompt), prompt)
    store.observe(part(bundle, "prompt_dist", bundle.plain, metrics.prompt_dist), prompt)
    store.inc(part(bundle, "completion", bundle.plain, metrics.completion), completion)
    store.observe(part(bundle, "completion_dist", bundle.plain, metrics.completion_dist),
                  completion)
end


--- The log phase of the prometheus plugin.
function _M.http_log(conf, ctx)
    local var = ctx.var
    local request_type = var.request_type
    local common = {
        route_label(conf, ctx), "", ctx.consumer_name or "", ctx.balancer_ip or "", request_type,
        model_label(var.request_llm_model), model_label(var.llm_model),
    }
    local key = concat(common, SEP)
    local bundle = bundles[key]
    if not bundle then
        store.grow()
        bundle = new_bundle(common)
        bundles[key] = bundle
    end
    store.inc(status_series(bundle, ctx, common), 1)
    record_latency(bundle, ctx)
    store.inc(bundle.ingress, tonumber(var.request_length) or 0)
    store.inc(bundle.egress, tonumber(var.bytes_sent) or 0)
    if request_type == "ai_stream" or request_type == "ai_chat" then
        record_llm_latency(bundle, var)
        record_tokens(bundle, var)
    end
end


local function active_series(ctx)
    local route = ctx.matched_route and ctx.matched_route.value or {}
    local matched = ctx.curr_req_matched or {}
    local var = ctx.var
    local values = {
        route.name or "", route.id or "", matched._path or "", matched._host or "", "", "",
        ctx.consumer_name or "", ctx.balancer_ip or "", var.request_type,
        model_label(var.request_llm_model), model_label(var.llm_model),
    }
    local key = concat(values, SEP)
    local series = gauges[key]
    if not series then
        store.grow()
        series = store.series(metrics.active, values)
        gauges[key] = series
    end
    return series
end


function _M.inc_llm_active_connections(ctx)
    store.adjust(active_series(ctx), 1)
end


--- Computes its labels anew: what they are made of must not change between inc and dec.
function _M.dec_llm_active_connections(ctx)
    store.adjust(active_series(ctx), -1)
end


local function cached_text()
    local text = cache_dict:get(CACHE_KEY)
    if not text then
        server.collect(store)
        text = store.text()
        cache_dict:set(CACHE_KEY, text, attr.refresh_interval or DEFAULT_REFRESH)
    end
    return text
end


--- The metrics listener: the text, at most `refresh_interval` seconds old; 404 on other paths.
function _M.export_metrics()
    if ngx.var.uri ~= (attr.export_uri or DEFAULT_URI) or ngx.req.get_method() ~= "GET" then
        return core.response.exit(404)
    end
    core.response.set_header("content_type", "text/plain")
    return core.response.exit(200, cached_text())
end


return _M
