--- Accounts for a request: the engine's variables, the gateway's counters, gauges.
--
-- Labels that a client can choose are bounded: a deployment's name becomes a label when the
-- configuration mentions it or a backend has served it; all others are `other`.

local exporter = require("apisix.plugins.prometheus.exporter")
local metrics = require("apisix.plugins.dynamic-azure-openai.metrics")

local ngx = ngx
local floor = math.floor
local tostring = tostring

local MAX_LEARNED = 256
local KINDS = { "prompt", "completion", "cached", "reasoning", "audio" }

local _M = {}

local learned = {}
local learned_count = 0

local has_upstream_state, upstream_state = pcall(require, "resty.apisix.upstream")


local function learn(name)
    if not learned[name] and learned_count < MAX_LEARNED then
        learned[name], learned_count = true, learned_count + 1
    end
end


--- The deployment's name as a label.
-- @tparam table r request state
-- @treturn string
function _M.label(r)
    local name = r.deployment
    if not name then
        return ""
    end
    return (r.configured or learned[name]) and name or "other"
end


--- Notes that an attempt starts: what APISIX's neighbours read, and the gauges.
-- @tparam table ctx the engine's request context
-- @tparam table r request state
function _M.attempt_started(ctx, r)
    local backend = r.backend
    ctx.picked_ai_instance = backend.instance
    ctx.picked_ai_instance_name = backend.name
    ctx.balancer_ip = backend.name
    ctx.llm_request_start_time = r.attempt_started
    -- the gauge computes its labels again when it goes down: they stay as they are until then
    exporter.inc_llm_active_connections(ctx)
    ctx.llm_active_connections_tracked = true
    r.in_flight = backend.name
    metrics.move("gateway_requests_in_flight", 1, "backend", backend.name)
end


local function lower_gauges(ctx, r)
    if r.in_flight then
        metrics.move("gateway_requests_in_flight", -1, "backend", r.in_flight)
        r.in_flight = nil
    end
    if ctx.llm_active_connections_tracked then
        exporter.dec_llm_active_connections(ctx)
        ctx.llm_active_connections_tracked = false
    end
end


--- Notes how an attempt ended.
-- @tparam table ctx the engine's request context
-- @tparam table r request state
-- @tparam string what a status, or the reason of a transport failure
-- @tparam number|nil status of the answer
function _M.attempt_ended(ctx, r, what, status)
    local elapsed = floor((ngx.now() - r.attempt_started) * 1000)
    metrics.add("gateway_attempts_total", 1, "backend", r.backend.name,
                "deployment", _M.label(r), "outcome", what)
    if has_upstream_state then
        upstream_state.push_upstream_state({
            addr = r.backend.host .. ":" .. r.backend.port,
            status = status or (what == "timeout" and 504 or 502),
        })
        upstream_state.update_upstream_state({ response_time = elapsed })
    end
    ctx.var.apisix_upstream_response_time = elapsed
    r.last_reason = what
    lower_gauges(ctx, r)
end


--- Counts the move from a failed backend to the next.
-- @tparam table r request state
-- @tparam table from the backend that failed
-- @tparam table to the next one
function _M.failed_over(r, from, to)
    metrics.add("gateway_failovers_total", 1, "from", from.name, "to", to.name,
                "reason", r.last_reason)
end


--- Counts a request for which nobody was left.
-- @tparam table r request state
-- @tparam string reason
function _M.exhausted(r, reason)
    metrics.add("gateway_exhausted_total", 1, "deployment", _M.label(r), "reason", reason)
end


local function count_tokens(ctx, r, label)
    local consumer = ctx.consumer_name or ""
    for i = 1, #KINDS do
        local kind = KINDS[i]
        local n = r.usage[kind]
        if n > 0 then
            metrics.add("gateway_tokens_total", n, "consumer", consumer, "deployment", label,
                        "model", r.model or "", "backend", r.backend.name, "kind", kind)
        end
    end
end


local function set_variables(ctx, r, label)
    local var, tokens = ctx.var, r.usage
    var.llm_model = label
    var.request_llm_model = label
    if r.ttft_ms then
        var.llm_time_to_first_token = r.ttft_ms
    end
    if tokens then
        var.llm_prompt_tokens = tokens.prompt
        var.llm_completion_tokens = tokens.completion
        var.llm_total_tokens = tokens.total
        var.llm_reasoning_tokens = tokens.reasoning
        var.llm_cache_read_input_tokens = tokens.cached
    end
end


-- What APISIX's limits by tokens and its guards read in the log phase.
local function tell_neighbours(ctx, r)
    local tokens = r.usage
    ctx.llm_raw_usage = tokens and tokens.raw
    ctx.ai_token_usage = {
        prompt_tokens = tokens and tokens.prompt or 0,
        completion_tokens = tokens and tokens.completion or 0,
        total_tokens = tokens and tokens.total or 0,
    }
end


local function count_ends(r)
    local side = r.cut and "backend" or r.sent and not r.completed and "client"
    if side then
        metrics.add("gateway_stream_aborts_total", 1, "backend", r.backend.name, "by", side)
    end
end


local function served(r)
    return r.status ~= nil and r.status < 400 and r.sent
end


local function count_usage(ctx, r, label)
    if r.usage then
        count_tokens(ctx, r, label)

    elseif served(r) and r.deployment then
        metrics.add("gateway_usage_unknown_total", 1, "deployment", label,
                    "backend", r.backend.name)
    end
end


--- Accounts for the whole request, once; runs in the log phase, whatever ended the request.
-- @tparam table ctx the engine's request context
-- @tparam table r request state
function _M.finish(ctx, r)
    if r.finished then
        return
    end
    r.finished = true
    if r.in_flight then
        local what = r.failed and "internal_error" or r.cut and "reset" or "client_gone"
        _M.attempt_ended(ctx, r, what, what == "client_gone" and 499 or 502)
    end
    if served(r) and r.deployment then
        learn(r.deployment)
    end
    local label = _M.label(r)
    set_variables(ctx, r, label)
    tell_neighbours(ctx, r)
    metrics.add("gateway_requests_total", 1, "operation", r.route.operation.name,
                "deployment", label, "consumer", ctx.consumer_name or "",
                "code", tostring(ngx.status))
    count_usage(ctx, r, label)
    count_ends(r)
end

return _M
