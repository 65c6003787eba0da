--- ctx.var: variables of one request, read through to nginx and cached.
--
-- A write is kept for the rest of the request; for the names that the nginx configuration
-- declares (access log, metrics) it is also written through to nginx.

local request = require("apisix.core.request")

local error = error
local find = string.find
local gsub = string.gsub
local lower = string.lower
local ngx = ngx
local ngx_var = ngx.var
local rawget = rawget
local setmetatable = setmetatable
local sub = string.sub
local type = type

local _M = {}

-- Variables that nginx.conf declares with `set`, with APISIX's defaults.
local declared = {
    request_type = true,
    request_llm_model = true,
    llm_model = true,
    llm_prompt_tokens = true,
    llm_completion_tokens = true,
    llm_total_tokens = true,
    llm_time_to_first_token = true,
    llm_stream = true,
    llm_has_tool_calls = true,
    llm_tool_count = true,
    llm_end_user_id = true,
    llm_cache_read_input_tokens = true,
    llm_cache_creation_input_tokens = true,
    llm_reasoning_tokens = true,
    llm_content_risk_level = true,
    apisix_upstream_response_time = true,
    apisix_request_id = true,
    upstream_scheme = true,
    upstream_host = true,
    upstream_uri = true,
    upstream_unresolved_host = true,
    request_line = true,
    rate_limiting_info = true,
    original_x_forwarded_for = true,
}

local uncached = {args = true, is_args = true}

local from_ctx = {
    balancer_ip = true,
    balancer_port = true,
    consumer_group_id = true,
    consumer_name = true,
    route_id = true,
    route_name = true,
    service_id = true,
    service_name = true,
}

local registered = {
    method = ngx.req.get_method,
    resp_body = function(ctx)
        return ctx.resp_body or ""
    end,
}


local function first(value)
    if type(value) == "table" then
        return value[1]
    end
    return value
end


local function fetch(ctx, key)
    local getter = registered[key]
    if getter then
        return getter(ctx)
    end
    if from_ctx[key] then
        return ctx[key]
    end
    if find(key, "^arg_") then
        return first(request.get_uri_args(ctx)[sub(key, 5)])
    end
    if find(key, "^http_") then
        key = gsub(lower(key), "-", "_")
    end
    return ngx_var[key]
end


local var_mt = {
    __index = function(self, key)
        local cache = rawget(self, "_cache")
        local value = cache[key]
        if value ~= nil then
            return value
        end
        if type(key) ~= "string" then
            error("invalid argument, expect string value", 2)
        end
        value = fetch(rawget(self, "_ctx"), key)
        if value ~= nil and not uncached[key] then
            cache[key] = value
        end
        return value
    end,
    __newindex = function(self, key, value)
        if declared[key] then
            ngx_var[key] = value
        end
        rawget(self, "_cache")[key] = value
    end,
}


--- Gives a request context its `var`.
function _M.set_vars_meta(ctx)
    ctx.var = setmetatable({_cache = {}, _ctx = ctx}, var_mt)
end


--- Registers a variable of our own: getter(ctx) -> value.
function _M.register_var(name, getter, opts)
    registered[name] = getter
    uncached[name] = opts and opts.no_cacheable or nil
end


return _M
