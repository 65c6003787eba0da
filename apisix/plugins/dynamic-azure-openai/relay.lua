--- Brings an answer from a backend to the client: whole when it is small, in pieces when it is a
-- stream or large.
--
-- Until something is sent the attempt can still fail and another backend can take over; the
-- functions return the error then. After that an error cuts the client's connection.

local inflate = require("apisix.plugins.dynamic-azure-openai.inflate")
local messages = require("apisix.plugins.dynamic-azure-openai.messages")
local response = require("apisix.plugins.dynamic-azure-openai.response")
local stream = require("apisix.plugins.dynamic-azure-openai.stream")
local transport = require("apisix.plugins.dynamic-azure-openai.transport")
local usage = require("apisix.plugins.dynamic-azure-openai.usage")

local ngx = ngx
local now = ngx.now
local find = string.find
local lower = string.lower
local match = string.match
local sub = string.sub
local floor = math.floor
local concat = table.concat

-- where the usage of an answer is looked for that is too large to be held
local TAIL = 16384

-- of a compressed answer: what is kept to be unpacked, and what it may grow to
local MAX_COMPRESSED = 1048576
local MAX_INFLATED = 16777216

-- a burst is served for this many turns before others get theirs
local TURNS = 32

local _M = {}


local function note_first_output(r)
    r.ttft_ms = floor((now() - r.attempt_started) * 1000)
end


-- A loop over data that has already arrived never waits; this lets other requests run. Not for
-- 0 seconds: an nginx without OpenResty's patches warns about each such call.
local function take_turns(turn, since)
    if turn < TURNS then
        return turn + 1, since
    end
    local at = now()
    if at == since then
        ngx.sleep(0.001)
    end
    return 0, now()
end


local function send(r, res, bytes, keep_length)
    if not r.sent then
        response.head(r, res.status, res.fields, keep_length)
    end
    return response.send(r, bytes)
end


local function client_left(res)
    transport.close(res)
    return ngx.exit(499)
end


local function cut_stream(r, res, st)
    transport.close(res)
    r.cut = true
    r.usage, r.model = st.usage, st.model
    response.send(r, messages.stream_error(st.at_boundary))
    return response.cut()
end


local function end_stream(r, res, st)
    local rest = stream.finish(st)
    r.usage, r.model = st.usage, st.model
    transport.done(res)
    if (rest ~= "" or not r.sent) and not send(r, res, rest) then
        return ngx.exit(499)
    end
    r.completed = true
    return true
end


-- While the head is held, the next read may wait no longer than the hold lasts.
local function wait_for_head(r, res, st)
    if not st.hold_until then
        st.hold_until = now() + r.pool.settings.stream_hold_ms / 1000
    end
    local left = floor((st.hold_until - now()) * 1000)
    transport.set_read_timeout(res, left < 1 and 1 or left)
end


-- Returns nil when an error event stood in the head, false when the client is gone.
local function on_chunk(r, res, st, chunk)
    local was_head = st.in_head
    local out, first = stream.push(st, chunk)
    if not out then
        return nil
    end
    if first then
        note_first_output(r)
    end
    -- at once: whoever leaves after the last event has still used the tokens
    r.usage, r.model = st.usage, st.model
    if st.in_head then
        wait_for_head(r, res, st)

    elseif was_head then
        transport.set_read_timeout(res, r.pool.settings.read_timeout_ms)
    end
    return out == "" or send(r, res, out)
end


-- Returns true when reading goes on, false when another backend may be tried.
local function on_error(r, res, st, err)
    if st.hold_until and st.in_head and find(err, "timeout", 1, true) then
        -- the hold is over and nothing decided: what is there goes out, and the wait goes on
        transport.set_read_timeout(res, r.pool.settings.read_timeout_ms)
        local out = stream.open(st)
        return out == "" or send(r, res, out) or client_left(res)
    end
    if r.sent then
        return cut_stream(r, res, st)
    end
    return false
end


--- Relays an event stream.
-- @tparam table r request state
-- @tparam table res answer of `transport.request`
-- @treturn boolean|nil true when the client has it all; nil when nothing was sent yet and another
--   backend may be tried
-- @treturn string|nil transport error
-- @treturn table|nil the stream's state, when its head carried an error event
function _M.events(r, res)
    local st = stream.new(r.injected, r.pool.settings.stream_hold_bytes)
    local turn, since = 0, 0
    while true do
        local chunk, err = transport.read(res)
        if chunk then
            local there = on_chunk(r, res, st, chunk)
            if there == nil then
                return nil, nil, st
            end
            if not there then
                return client_left(res)
            end
            turn, since = take_turns(turn, since)

        elseif not err then
            return end_stream(r, res, st)

        elseif not on_error(r, res, st, err) then
            return nil, err
        end
    end
end


-- The last top-level member of an answer whose beginning is gone. Only a `usage` object that is
-- followed by nothing but simple members up to the end of the body can be it.
local function usage_of_tail(tail)
    local object = match(tail, '"usage"%s*:%s*(%b{})[^{}%[%]]*}%s*$')
    return object and usage.read('{"usage":' .. object .. "}") or nil
end


--- Whether an answer is an event stream.
-- @tparam table res answer of `transport.request`
-- @treturn boolean
function _M.is_event_stream(res)
    return find(lower(res.headers["content-type"] or ""), "text/event-stream", 1, true) ~= nil
end


-- The usage of an answer that the backend compressed although it was asked not to.
local function read_compressed(r, res, copy)
    local text = inflate.gunzip(copy, MAX_INFLATED)
    if not text then
        return
    end
    if _M.is_event_stream(res) then
        local st = stream.new(false, 0)
        stream.push(st, text)
        r.usage, r.model = st.usage, st.model
        return
    end
    r.usage, r.model = usage.read(text)
end


-- Of plain text the end tells the usage. A compressed answer is unpacked from its beginning: it is
-- kept whole, as pieces, or not at all.
local function keep_copy(copy, bytes)
    if not copy.compressed then
        copy.tail = sub(copy.tail .. bytes, -TAIL)
        return
    end
    copy.size = copy.size + #bytes
    if copy.size <= MAX_COMPRESSED then
        copy[#copy + 1] = bytes
    end
end


local function read_copy(r, res, copy)
    if not copy.compressed then
        r.usage = usage_of_tail(copy.tail)

    elseif copy.size <= MAX_COMPRESSED then
        read_compressed(r, res, concat(copy))
    end
end


local function relay_large(r, res, pieces)
    local keep_length = res.framing == "length"
    local bytes = concat(pieces)
    local copy = { compressed = res.headers["content-encoding"] ~= nil, tail = "", size = 0 }
    local turn, since = 0, 0
    while bytes do
        if not send(r, res, bytes, keep_length) then
            return client_left(res)
        end
        keep_copy(copy, bytes)
        turn, since = take_turns(turn, since)
        local err
        bytes, err = transport.read(res)
        if err then
            transport.close(res)
            r.cut = true
            return response.cut()
        end
    end
    transport.done(res)
    read_copy(r, res, copy)
    r.completed = true
    return true
end


--- Relays what was `held` of an answer and the rest of it as they are; else like `events`.
-- @treturn boolean true when the client has it all
function _M.rest(r, res, held)
    -- the last read may have waited for the end of the hold only
    transport.set_read_timeout(res, r.pool.settings.read_timeout_ms)
    return relay_large(r, res, { held })
end


local function relay_small(r, res, body)
    transport.done(res)
    if res.headers["content-encoding"] then
        read_compressed(r, res, body)

    else
        r.usage, r.model = usage.read(body)
    end
    response.head(r, res.status, res.fields, false)
    ngx.header["Content-Length"] = #body
    note_first_output(r)
    if not response.send(r, body) then
        return ngx.exit(499)
    end
    r.completed = true
    return true
end


--- Relays any other answer: held up to `json_hold_bytes`, so that a failure can still fail over.
-- @tparam table r request state
-- @tparam table res answer of `transport.request`
-- @treturn boolean|nil true when the client has it all
-- @treturn string|nil transport error; nothing was sent then
function _M.body(r, res)
    -- a compressed event stream cannot be looked into: it is not held at all
    local limit = _M.is_event_stream(res) and 0 or r.pool.settings.json_hold_bytes
    local pieces, size = {}, 0
    while size <= limit do
        local data, err = transport.read(res)
        if err then
            return nil, err
        end
        if not data then
            return relay_small(r, res, concat(pieces))
        end
        pieces[#pieces + 1] = data
        size = size + #data
    end
    return relay_large(r, res, pieces)
end

return _M
