--- HTTP/1.1 to backends, over cosockets. The only file here that opens connections.
--
-- One transport for APISIX and for `lite`: APISIX's own client is not there on `lite`, re-encodes
-- bodies and cannot hand on what it read before a failure. Reads are buffered and as large as what
-- has arrived, so a small answer costs one read, and a burst of events goes out as one write.
--
-- Errors are strings with the step in front: `connect: ...`, `tls: ...`, `send: ...`,
-- `head: ...`, `body: ...`.

local answer = require("apisix.plugins.dynamic-azure-openai.answer")

local ngx = ngx
local tcp = ngx.socket.tcp
local now = ngx.now
local find = string.find
local pcall = pcall
local floor = math.floor
local max = math.max

local _M = {}


-- A handshake that ends without waiting and whose certificate is not trusted raises in
-- lua-resty-core. Without a session (nil, never false) the result is always looked at.
local function handshake(sock, server_name, verify)
    local returned, ok, err = pcall(sock.sslhandshake, sock, nil, server_name, verify)
    if not returned then
        return nil, "certificate not accepted"
    end
    return ok, err
end


local function open(backend, pool)
    local settings = pool.settings
    local sock = tcp()
    sock:settimeouts(settings.connect_timeout_ms, settings.send_timeout_ms,
                     settings.read_timeout_ms)
    local ok, err = sock:connect(backend.host, backend.port, {
        pool = backend.socket_pool,
        pool_size = pool.keepalive_pool,
    })
    if not ok then
        return nil, "connect: " .. (err or "failed")
    end
    if backend.tls and sock:getreusedtimes() == 0 then
        ok, err = handshake(sock, backend.server_name, pool.ssl_verify)
        if not ok then
            sock:close()
            return nil, "tls: " .. (err or "failed")
        end
    end
    return sock
end


--- Sends a request and reads the head of the answer.
-- @tparam table backend a compiled backend
-- @tparam table pool the pool it belongs to: timeouts, keepalive
-- @tparam string head request line and the headers of this request, without the empty line
-- @tparam string|nil body
-- @treturn table|nil answer: `status`, `fields` (names and values in turn), `headers` (by
--   lower-case name); to be read by `read` and given back by `done` or `close`
-- @treturn string|nil error
function _M.request(backend, pool, head, body)
    local sock, err = open(backend, pool)
    if not sock then
        return nil, err
    end
    local sent
    sent, err = sock:send({ head, backend.head, "\r\n", body or "" })
    if not sent then
        sock:close()
        return nil, "send: " .. (err or "closed")
    end
    local settings = pool.settings
    local first_byte = settings.first_byte_timeout_ms
    if first_byte > 0 then
        sock:settimeouts(settings.connect_timeout_ms, settings.send_timeout_ms, first_byte)
    end
    local res = { sock = sock, pool = pool, buf = "", ended = false }
    local ok
    ok, err = answer.read_head(res)
    if not ok then
        sock:close()
        if first_byte > 0 and find(err, "timeout", 1, true) then
            err = "first byte: timeout"
        end
        return nil, err
    end
    _M.set_read_timeout(res, settings.read_timeout_ms)
    return res
end


--- Changes how long one read may wait.
-- @tparam table res of `request`
-- @tparam number ms
function _M.set_read_timeout(res, ms)
    local settings = res.pool.settings
    res.sock:settimeouts(settings.connect_timeout_ms, settings.send_timeout_ms, ms)
end


_M.read = answer.read


--- Reads the rest of a body within a limit and a time: a backend that sends a byte now and then
-- would never run into the timeout of a read.
-- @tparam table res of `request`
-- @tparam number limit in bytes
-- @tparam number ms for all of it
-- @treturn string|nil the body; nil when it is longer, or on error
-- @treturn string|nil error
function _M.read_all(res, limit, ms)
    local deadline = now() + ms / 1000
    return answer.read_all(res, limit, function()
        local left = floor((deadline - now()) * 1000)
        _M.set_read_timeout(res, max(left, 1))
        return left > 0
    end)
end


--- Gives the connection back for the next request, or closes it when it cannot be used again.
-- @tparam table res of `request`
function _M.done(res)
    -- an empty body, and the end of a chunked one, are only seen by a read
    if not res.ended and res.framing == "length" and res.left == 0 then
        res.ended = true
    end
    if res.ended and res.reusable and res.buf == "" then
        res.sock:setkeepalive(res.pool.keepalive_timeout, res.pool.keepalive_pool)

    else
        res.sock:close()
    end
end


--- Closes the connection; what was not read is lost.
-- @tparam table res of `request`
function _M.close(res)
    res.sock:close()
end

return _M
