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

--- Variables that the server block declares with `set`, with their defaults.
_M.declared = {
    request_type = "traditional_http",
    request_llm_model = "",
    llm_model = "",
    llm_prompt_tokens = "0",
    llm_completion_tokens = "0",
    llm_total_tokens = "0",
    llm_time_to_first_token = "0",
    llm_stream = "false",
    llm_has_tool_calls = "false",
    llm_tool_count = "0",
    llm_end_user_id = "",
    llm_cache_read_input_tokens = "0",
    llm_cache_creation_input_tokens = "0",
    llm_reasoning_tokens = "0",
    llm_content_risk_level = "",
    apisix_upstream_response_time = "$upstream_response_time",
    apisix_request_id = "$request_id",
    upstream_scheme = "http",
    upstream_host = "$http_host",
    upstream_uri = "",
    upstream_unresolved_host = "",
    request_line = "",
    rate_limiting_info = "",
    original_x_forwarded_for = "",
}
local declared = _M.declared

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
