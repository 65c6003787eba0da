--- Gives every request an id in a header, the client's own when it sent one.
--
-- lite has the default algorithm only (a random UUID).

local core = require("apisix.core")

local format = string.format
local get_headers = ngx.req.get_headers
local ngx = ngx
local resp_headers = ngx.resp.get_headers
local sub = string.sub

local schema = {
    type = "object",
    properties = {
        header_name = {type = "string", default = "X-Request-Id"},
        include_in_response = {type = "boolean", default = true},
        algorithm = {
            type = "string",
            enum = {"uuid"},
            default = "uuid",
            description = "other algorithms need the docker or apisix runtime",
        },
    },
}

local _M = {
    version = 0.1,
    priority = 12015,
    name = "request-id",
    schema = schema,
}

local VARIANTS = {
    ["0"] = "8", ["1"] = "9", ["2"] = "a", ["3"] = "b", ["4"] = "8", ["5"] = "9", ["6"] = "a",
    ["7"] = "b", ["8"] = "8", ["9"] = "9", a = "a", b = "b", c = "8", d = "9", e = "a", f = "b",
}


function _M.check_schema(conf)
    return core.schema.check(schema, conf)
end


-- nginx's $request_id is 16 random bytes in hex; six bits of a UUID are fixed.
local function uuid()
    local hex = ngx.var.request_id
    return format("%s-%s-4%s-%s%s-%s", sub(hex, 1, 8), sub(hex, 9, 12), sub(hex, 14, 16),
                  VARIANTS[sub(hex, 17, 17)], sub(hex, 18, 20), sub(hex, 21, 32))
end


function _M.rewrite(conf, ctx)
    local id = get_headers()[conf.header_name]
    if not id or id == "" then
        id = uuid()
        core.request.set_header(ctx, conf.header_name, id)
    end
    if conf.include_in_response then
        ctx["request-id-" .. conf.header_name] = id
    end
    if ctx.var.apisix_request_id then
        ctx.var.apisix_request_id = id
    end
end


function _M.header_filter(conf, ctx)
    if not conf.include_in_response then
        return
    end
    local id = resp_headers()[conf.header_name]
    if not id or id == "" then
        core.response.set_header(conf.header_name, ctx["request-id-" .. conf.header_name])
    end
end


return _M
