--- The client's request. Names and behaviour are those of APISIX's core.request.

local open = io.open
local ngx = ngx
local req = ngx.req
local get_headers = req.get_headers
local lower = string.lower
local tonumber = tonumber
local type = type

local _M = {
    get_method = req.get_method,
    get_http_version = req.http_version,
}


--- All headers, names in lower case; a repeated header is an array.
function _M.headers()
    return get_headers()
end


--- The first value of a header, or nil.
function _M.header(_, name)
    local value = get_headers()[name]
    return type(value) == "table" and value[1] or value
end


--- Sets a request header, or removes it when the value is nil.
function _M.set_header(ctx, name, value)
    req.set_header(name, value)
    if ctx and ctx.var then
        ctx.var["http_" .. lower(name)] = nil
    end
end


local function own(ctx)
    return ctx or ngx.ctx.api_ctx
end


function _M.get_uri_args(ctx)
    ctx = own(ctx)
    if not ctx.req_uri_args then
        ctx.req_uri_args = req.get_uri_args(0)
    end
    return ctx.req_uri_args
end


function _M.get_remote_client_ip(ctx)
    return own(ctx).var.remote_addr or ""
end


function _M.get_ip(ctx)
    return own(ctx).var.realip_remote_addr or own(ctx).var.remote_addr or ""
end


local function too_large(size, max_size)
    if max_size and size > max_size then
        return "request size " .. size .. " is greater than the maximum size " .. max_size
               .. " allowed"
    end
end


local function read_file(path, max_size)
    local file, err = open(path, "rb")
    if not file then
        return nil, err
    end
    local size = file:seek("end")
    err = too_large(size, max_size)
    if err then
        file:close()
        return nil, err
    end
    file:seek("set")
    local body = file:read("*a")
    file:close()
    return body
end


--- The request body as one string, nil when there is none; an error when it is over `max_size`.
function _M.get_body(max_size, ctx)
    local var = ctx and ctx.var or ngx.var
    local announced = tonumber(var.http_content_length)
    local err = announced and too_large(announced, max_size)
    if err then
        return nil, err
    end
    req.read_body()
    local body = req.get_body_data()
    if body then
        err = too_large(#body, max_size)
        if err then
            return nil, err
        end
        return body
    end
    local path = req.get_body_file()
    if not path then
        return nil
    end
    return read_file(path, max_size)
end


return _M
