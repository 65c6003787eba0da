--- What a logger plugin writes for a request: a custom format, or everything.

local core = require("apisix.core")

local ipairs = ipairs
local next = next
local ngx = ngx
local now = ngx.now
local open = io.open
local pairs = pairs
local req = ngx.req
local sub = string.sub
local tonumber = tonumber
local type = type

local MAX_REQ_BODY = 524288
local MAX_DEPTH = 5

local _M = {}


local function request_body(limit)
    local body = req.get_body_data()
    if body then
        return sub(body, 1, limit)
    end
    local path = req.get_body_file()
    local file = path and open(path, "rb")
    if not file then
        return nil
    end
    body = file:read(limit)
    file:close()
    return body
end


local function render(format, ctx, limit, depth)
    local entry = {}
    for name, wanted in pairs(format) do
        if type(wanted) == "table" then
            entry[name] = depth < MAX_DEPTH and render(wanted, ctx, limit, depth + 1) or {}

        elseif wanted == "$request_body" then
            entry[name] = request_body(limit)

        elseif type(wanted) == "string" and sub(wanted, 1, 1) == "$" then
            entry[name] = ctx.var[sub(wanted, 2)]

        else
            entry[name] = wanted
        end
    end
    return entry
end


local function latencies(ctx)
    local total = (now() - req.start_time()) * 1000
    local upstream = tonumber(ctx.var.upstream_response_time)
    if not upstream then
        return total, nil, total
    end
    upstream = upstream * 1000
    return total, upstream, total > upstream and total - upstream or 0
end


local function full(ctx, conf, limit)
    local var = ctx.var
    local total, upstream, own = latencies(ctx)
    return {
        request = {
            url = var.scheme .. "://" .. var.host .. ":" .. var.server_port .. var.request_uri,
            uri = var.request_uri,
            method = req.get_method(),
            headers = req.get_headers(),
            querystring = req.get_uri_args(),
            size = var.request_length,
            body = conf.include_req_body and request_body(limit) or nil,
        },
        response = {
            status = ngx.status,
            headers = ngx.resp.get_headers(),
            size = var.bytes_sent,
        },
        server = {hostname = core.utils.gethostname(), version = core.version.VERSION},
        upstream = var.upstream_addr,
        service_id = "",
        route_id = ctx.route_id,
        consumer = ctx.consumer and {username = ctx.consumer.username} or nil,
        client_ip = core.request.get_remote_client_ip(ctx),
        start_time = req.start_time() * 1000,
        latency = total,
        upstream_latency = upstream,
        apisix_latency = own,
    }
end


local function chosen(own, general)
    if own then
        return own
    end
    return general and next(general) and general or nil
end


local function add_extra(entry, extra, ctx, limit)
    for name, value in pairs(render(extra, ctx, limit, 1)) do
        if entry[name] == nil then
            entry[name] = value
        end
    end
end


--- The entry for a request; the plugin's own format wins over that of its metadata.
function _M.make(conf, metadata, ctx)
    local limit = conf.max_req_body_bytes or MAX_REQ_BODY
    local format = chosen(conf.log_format, metadata.log_format)
    local entry
    if format then
        entry = render(format, ctx, limit, 1)
        entry.route_id = ctx.route_id

    else
        entry = full(ctx, conf, limit)
        local extra = chosen(conf.log_format_extra, metadata.log_format_extra)
        if extra then
            add_extra(entry, extra, ctx, limit)
        end
    end
    for _, name in ipairs({"llm_summary", "llm_request", "llm_response_text"}) do
        entry[name] = ctx[name]
    end
    return entry
end


return _M
