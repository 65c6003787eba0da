--- Hands an answer to the client.
--
-- The only place that writes to the client after the access phase has decided. A write that fails
-- means that the client left.

local core = require("apisix.core")
local headers = require("apisix.plugins.dynamic-azure-openai.headers")

local ngx = ngx
local ngx_print = ngx.print
local ngx_flush = ngx.flush
local lower = string.lower

local _M = {}


local function connection_of(fields)
    for i = 1, #fields, 2 do
        if lower(fields[i]) == "connection" then
            return fields[i + 1]
        end
    end
    return nil
end


--- Headers that the gateway adds to every answer of the driver.
-- @tparam table r request state
function _M.own_headers(r)
    ngx.header["X-Request-Id"] = r.request_id
    if r.pool.settings.debug_headers then
        ngx.header["X-Gateway-Attempts"] = r.attempts
        if r.backend then
            ngx.header["X-Gateway-Backend"] = r.backend.name
        end
    end
end


--- Sets status and headers of a backend's answer.
-- @tparam table r request state
-- @tparam number status
-- @tparam table fields names and values in turn
-- @tparam boolean keep_length whether the content-length still holds
function _M.head(r, status, fields, keep_length)
    ngx.status = status
    r.status = status
    headers.to_client(fields, connection_of(fields), keep_length)
    _M.own_headers(r)
    core.response.set_response_source(r.ctx, "upstream")
end


--- Sends bytes and waits until the socket took them: a slow client slows its own backend down and
-- costs no memory.
-- @tparam table r request state
-- @tparam string bytes
-- @treturn boolean whether the client is still there
function _M.send(r, bytes)
    if not r.sent then
        -- nothing is attempted again: a long stream must not keep a large request in memory
        r.sent, r.body, r.scanned, r.header_lines = true, nil, nil, nil
    end
    if not ngx_print(bytes) then
        return false
    end
    return ngx_flush(true) ~= nil
end


--- Closes the client's connection without a proper end, so that nobody takes a cut answer for a
-- whole one. Does not return.
function _M.cut()
    return ngx.exit(444)
end


--- An error of the gateway's own as the answer.
-- @tparam table r request state
-- @tparam number status
-- @tparam string body JSON
-- @treturn number status
-- @treturn string body; both to be returned to the engine
function _M.own_error(r, status, body)
    r.status = status
    ngx.header["Content-Type"] = "application/json"
    _M.own_headers(r)
    return status, body
end

return _M
