--- Takes a request in: checks its path, reads its body, finds out what it asks for.

local core = require("apisix.core")
local picker = require("apisix.plugins.dynamic-azure-openai.picker")
local request = require("apisix.plugins.dynamic-azure-openai.request")
local request_id = require("apisix.plugins.dynamic-azure-openai.request_id")
local state = require("apisix.plugins.dynamic-azure-openai.state")

local ngx = ngx
local open = io.open
local gmatch = string.gmatch
local match = string.match
local tonumber = tonumber
local tostring = tostring

local _M = {}


local function read_file(path)
    local file, err = open(path, "rb")
    if not file then
        core.log.error("could not read a buffered body: ", err)
        return nil
    end
    local body = file:read("*a")
    file:close()
    return body
end


-- The engine reads the body: up to its buffer's size in memory, more than that in a private file.
local function read_body(ctx, limit)
    local length = tonumber(core.request.header(ctx, "Content-Length"))
    if length and limit and length > limit then
        return nil, "request_too_large"
    end
    ngx.req.read_body()
    local body = ngx.req.get_body_data()
    if not body then
        local path = ngx.req.get_body_file()
        if not path then
            return ""
        end
        body = read_file(path)
    end
    if not body then
        return nil, "body_unreadable"
    end
    if limit and #body > limit then
        return nil, "request_too_large"
    end
    return body
end


local HASH_SOURCES = {
    header = function(ctx, key)
        return core.request.header(ctx, key)
    end,

    cookie = function(ctx, key)
        return ctx.var["cookie_" .. key]
    end,

    vars = function(ctx, key)
        return ctx.var[key]
    end,

    vars_combinations = function(ctx, key)
        local parts = {}
        for name in gmatch(key, "%$([%w_]+)") do
            parts[#parts + 1] = tostring(ctx.var[name] or "")
        end
        return parts[1] and table.concat(parts, "\0")
    end,

    consumer = function(ctx)
        return ctx.consumer_name
    end,
}


-- A request without the key is spread by the client's address, as APISIX does.
local function key_hash(ctx, settings)
    if settings.algorithm ~= "chash" then
        return nil
    end
    local source = HASH_SOURCES[settings.hash_on or "consumer"]
    local key = source(ctx, settings.hash_key)
    if key == nil or key == "" then
        key = ctx.var.remote_addr
    end
    return picker.key_hash(tostring(key))
end


local function scan_body(ctx, r, limit)
    if not request.is_json(core.request.header(ctx, "Content-Type")) then
        return "unsupported_media_type"
    end
    local body, code = read_body(ctx, limit)
    if not body then
        return code
    end
    r.body = body
    r.scanned, code = request.scan(body)
    if not r.scanned then
        return code
    end
    r.deployment = r.route.deployment or r.scanned.model
    if not r.deployment or r.deployment == "" then
        return "missing_model"
    end
    if r.scanned.stream then
        r.asks_usage = request.asks_for_usage(body, r.scanned)
    end
    return nil
end


-- What the client asked for; what proxy-rewrite made of it where that plugin is on the route.
local function requested(ctx)
    local rewritten = ctx.var.upstream_uri
    if rewritten and rewritten ~= "" then
        return rewritten
    end
    return ngx.var.request_uri
end


--- Reads a request.
-- @tparam table ctx the engine's request context
-- @tparam table pool compiled configuration
-- @tparam number|nil limit of the body in bytes
-- @treturn table|nil request state; nil when the request is refused
-- @treturn string|nil code of the refusal in the catalogue of messages
function _M.read(ctx, pool, limit)
    local id = request_id.ensure(ctx)
    local target = requested(ctx)
    local path = request.path(target)
    if not path then
        return nil, "invalid_path"
    end
    local route = request.route(path)
    if not route then
        return nil, "not_found"
    end
    if ngx.req.get_method() ~= (route.operation.method or "POST") then
        return nil, "method_not_allowed"
    end
    local r = state.new(ctx, pool, route)
    r.request_id = id
    r.args = match(target, "%?(.*)$")
    r.key_hash = key_hash(ctx, pool.settings)
    if route.operation.method ~= "GET" then
        local code = scan_body(ctx, r, limit)
        if code then
            return nil, code
        end
    end
    return r
end

return _M
