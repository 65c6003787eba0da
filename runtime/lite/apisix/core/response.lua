--- The answer to the client. Names and behaviour are those of APISIX's core.response.

local resp = require("ngx.resp")
local encode = require("cjson.safe").encode
local clear = require("table.clear")

local error = error
local ngx = ngx
local ngx_exit = ngx.exit
local ngx_header = ngx.header
local ngx_print = ngx.print
local pairs = pairs
local select = select
local type = type

local _M = {}

local parts = {}


local function add_part(n, value)
    if value == nil then
        return n
    end
    if type(value) ~= "table" then
        parts[n + 1] = value
        return n + 1
    end
    local text, err = encode(value)
    if not text then
        error("failed to encode data: " .. err, 0)
    end
    parts[n + 1] = text
    parts[n + 2] = "\n"
    return n + 2
end


--- Registers func(code, body, headers, conf) -> code, body, headers: it sees the next exit of this
-- request, with the body as it was given, before anything is sent.
function _M.exit_insert_callback(func, conf)
    local ngx_ctx = ngx.ctx
    local funcs = ngx_ctx.apisix_exit_callback_funcs
    if not funcs then
        funcs = {}
        ngx_ctx.apisix_exit_callback_funcs = funcs
    end
    funcs[#funcs + 1] = func
    funcs[#funcs + 1] = conf or false
end


local function first_value(...)
    for i = 1, select("#", ...) do
        local value = (select(i, ...))
        if value ~= nil then
            return value
        end
    end
end


local function run_callbacks(funcs, code, body)
    local headers = {}
    for i = 1, #funcs, 2 do
        code, body, headers = funcs[i](code, body, headers, funcs[i + 1] or nil)
    end
    for name, value in pairs(headers or {}) do
        ngx_header[name] = value
    end
    return code, body
end


local function print_parts(...)
    clear(parts)
    local n = 0
    for i = 1, select("#", ...) do
        n = add_part(n, (select(i, ...)))
    end
    if n > 0 then
        ngx_print(parts)
    end
end


local function finish(ngx_ctx, code)
    local ctx = ngx_ctx.api_ctx
    if ctx and not ctx._resp_source then
        ctx._resp_source = "apisix"
    end
    return ngx_exit(code)
end


--- Sends `code` with a body and ends the request. A table becomes JSON and a line feed; without a
-- code (nil, or text in its place) the body is sent and the request goes on.
function _M.exit(code, ...)
    if code and type(code) ~= "number" then
        return _M.exit(nil, code, ...)
    end
    local ngx_ctx = ngx.ctx
    local funcs = ngx_ctx.apisix_exit_callback_funcs
    local body
    if funcs then
        code, body = run_callbacks(funcs, code, first_value(...))
    end
    if code then
        ngx.status = code
    end
    if funcs then
        print_parts(body)

    else
        print_parts(...)
    end
    if code then
        return finish(ngx_ctx, code)
    end
end


function _M.say(...)
    return _M.exit(nil, ...)
end


local function replace(name, value)
    ngx_header[name] = value
end


local function apply(set, ...)
    if ngx.headers_sent then
        error("headers have already been sent", 3)
    end
    local n = select("#", ...)
    local first = ...
    if n > 1 then
        for i = 1, n, 2 do
            set((select(i, ...)), (select(i + 1, ...)))
        end
        return
    end
    if type(first) ~= "table" then
        replace(first, nil)
        return
    end
    for name, value in pairs(first) do
        set(name, value)
    end
end


--- set_header(name, value, ...) or set_header({name = value}); a nil value removes the header.
function _M.set_header(...)
    return apply(replace, ...)
end


--- Like set_header, next to what is already there.
function _M.add_header(...)
    return apply(resp.add_header, ...)
end


--- Says who made the answer: "apisix", "nginx" or "upstream".
function _M.set_response_source(ctx, source)
    if ctx then
        ctx._resp_source = source
    end
end


function _M.get_response_source(ctx)
    return ctx and ctx._resp_source or "apisix"
end


function _M.clear_header_as_body_modified()
    ngx_header.content_length = nil
    ngx_header.content_encoding = nil
    ngx_header.last_modified = nil
    ngx_header.etag = nil
end


return _M
