--- apisix.plugin: what plugins ask about their settings, and the hook for bodies made in Lua.

local live = require("host.live")
local plugins = require("host.plugins")

local ngx = ngx
local ngx_flush = ngx.flush
local ngx_print = ngx.print

local _M = {
    plugin_attr = plugins.attr,
    get = plugins.get,
}


--- Metadata of a plugin as {value = ..., modifiedIndex = n}, or nil.
function _M.plugin_metadata(name)
    return live.metadata(name)
end


--- Passes a body through the route's lua_body_filter functions and prints it.
-- `no_flush` keeps it in nginx's buffer; `wait` waits until the client took it.
function _M.lua_response_filter(ctx, headers, body, no_flush, wait)
    local list = ctx.matched_route.plan.lua_body_filter
    for i = 1, list.n, 3 do
        local code, new_body = list[i + 1](list[i + 2], ctx, headers, body)
        if code then
            if code ~= ngx.OK then
                ngx.status = code
            end
            ngx_print(new_body)
            ngx.exit(ngx.OK)
        end
        body = new_body or body
    end
    local ok, err = ngx_print(body)
    if not ok then
        return false, err
    end
    if no_flush then
        return true
    end
    ok, err = ngx_flush(wait == true)
    if not ok then
        return false, err
    end
    return true
end


return _M
