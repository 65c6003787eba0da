--- The gateway's id for a request.
--
-- A client's own `x-request-id` is kept when it is harmless in logs and headers; anything else is
-- replaced. The engine's request-id plugin echoes what it stored on the context: that is set too.

local core = require("apisix.core")

local ngx = ngx
local find = string.find
local type = type

local HEADER = "X-Request-Id"
local STORED = "request-id-" .. HEADER

local _M = {}


--- Whether an id is harmless in logs and headers.
-- @param id what the client sent
-- @treturn boolean
function _M.is_valid(id)
    return type(id) == "string" and #id <= 128 and find(id, "^[%w_-]+$") ~= nil
end


--- Makes sure that the request has a well-formed id.
-- @tparam table ctx the engine's request context
-- @treturn string the id
function _M.ensure(ctx)
    local id = core.request.header(ctx, HEADER)
    if _M.is_valid(id) then
        return id
    end
    id = ngx.var.request_id
    core.request.set_header(ctx, HEADER, id)
    ctx[STORED] = id
    if ctx.var.apisix_request_id then
        ctx.var.apisix_request_id = id
    end
    return id
end

return _M
