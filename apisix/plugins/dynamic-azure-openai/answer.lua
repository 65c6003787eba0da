--- Reads an HTTP/1.1 answer: head, framing, body.
--
-- Works on the connection that `transport` opened, and on nothing else. Reads are as large as what
-- has arrived; what is not used yet stays in `buf`. What an untrusted peer can send is bounded: the
-- head, a chunk's size line, a trailer.
--
-- An answer is a table: `sock`, `buf`, `status`, `fields` (names and values in turn, as they came),
-- `headers` (by lower-case name), `framing` (length, chunked, close), `left` (bytes of the body or
-- of the chunk), `ended`, `reusable`.

local byte = string.byte
local find = string.find
local sub = string.sub
local lower = string.lower
local match = string.match
local gmatch = string.gmatch
local tonumber = tonumber
local concat = table.concat
local min = math.min

local READ_SIZE = 65536
local MAX_HEAD = 65536
local MAX_INFORMATIONAL = 16
local MAX_CHUNK_LINE = 4096
local SEMICOLON = 0x3b
local MALFORMED_CHUNK = "body: malformed chunk"

local _M = {}


-- Fills the buffer; returns the error when nothing came.
local function fill(res, step)
    local data, err = res.sock:receiveany(READ_SIZE)
    if not data then
        return step .. ": " .. (err or "closed")
    end
    res.buf = res.buf == "" and data or res.buf .. data
    return nil
end


local function read_head_text(res)
    local from = 1
    while true do
        local at, stop = find(res.buf, "\r?\n\r?\n", from)
        if at then
            local head = sub(res.buf, 1, at - 1)
            res.buf = sub(res.buf, stop + 1)
            return head
        end
        if #res.buf > MAX_HEAD then
            return nil, "head: too large"
        end
        -- what was looked at holds no end, but for up to three bytes of one
        from = #res.buf > 3 and #res.buf - 2 or 1
        local err = fill(res, "head")
        if err then
            return nil, err
        end
    end
end


-- `fields` keeps names and values as they came and in order; `headers` answers look-ups.
local function parse_head(res, head)
    local minor, status = match(head, "^HTTP/1%.(%d) (%d%d%d)%f[%D]")
    if not status then
        return nil, "head: malformed status line"
    end
    res.status, res.minor = tonumber(status), minor
    local fields, headers, n = {}, {}, 0
    for name, value in gmatch(head, "\n([^:%s]+)[ \t]*:[ \t]*([^\r\n]*)") do
        value = match(value, "^.*[^ \t]") or ""
        fields[n + 1], fields[n + 2] = name, value
        n = n + 2
        local key = lower(name)
        headers[key] = headers[key] and headers[key] .. ", " .. value or value
    end
    res.fields, res.headers = fields, headers
    return true
end


local function frame(res)
    local headers = res.headers
    local encoding = headers["transfer-encoding"]
    local length = headers["content-length"]
    res.reusable = res.minor == "1"
        and not find(lower(headers.connection or ""), "close", 1, true)
    if res.status == 204 or res.status == 304 then
        res.framing, res.left = "length", 0

    elseif encoding and find(lower(encoding), "chunked", 1, true) then
        res.framing, res.left = "chunked", 0
        -- whoever announces both may count its bytes in another way than we do
        res.reusable = res.reusable and not length

    elseif length then
        res.framing, res.left = "length", tonumber(match(length, "^%d+$"))
        if not res.left then
            return nil, "head: malformed content-length"
        end

    else
        res.framing, res.reusable = "close", false
    end
    return true
end


--- Reads the head and finds out how the body is framed.
-- @tparam table res an answer with `sock` and an empty `buf`
-- @treturn boolean|nil
-- @treturn string|nil error
function _M.read_head(res)
    for _ = 0, MAX_INFORMATIONAL do
        local head, err = read_head_text(res)
        if not head then
            return nil, err
        end
        local ok
        ok, err = parse_head(res, head)
        if not ok then
            return nil, err
        end
        if res.status >= 200 then
            return frame(res)
        end
    end
    return nil, "head: too many informational answers"
end


local function read_by_length(res)
    if res.left == 0 then
        res.ended = true
        return nil
    end
    if res.buf == "" then
        local err = fill(res, "body")
        if err then
            return nil, err
        end
    end
    local data = res.buf
    if #data > res.left then
        data = sub(data, 1, res.left)
        -- bytes that nobody announced: this connection is not used again
        res.reusable = false
    end
    res.buf = ""
    res.left = res.left - #data
    return data
end


local function read_to_close(res)
    if res.buf ~= "" then
        local data = res.buf
        res.buf = ""
        return data
    end
    local err = fill(res, "body")
    if not err then
        return read_to_close(res)
    end
    if err == "body: closed" then
        res.ended = true
        return nil
    end
    return nil, err
end


-- The size line of the next chunk, trailers included when it is the last one.
-- Returns where its data begins, nil when more bytes are needed.
local function next_chunk(res, at)
    local buf = res.buf
    local line_end, stop = find(buf, "\r?\n", at)
    if not line_end then
        return nil, #buf - at >= MAX_CHUNK_LINE and MALFORMED_CHUNK or nil
    end
    local digits, after = match(buf, "^(%x+)[ \t]*()", at)
    if not digits or (after ~= line_end and byte(buf, after) ~= SEMICOLON) then
        return nil, MALFORMED_CHUNK
    end
    local size = tonumber(digits, 16)
    if size > 0 then
        res.left = size
        return stop + 1
    end
    local _, last = find(buf, "\n\r?\n", line_end)
    if not last then
        return nil, #buf - at > MAX_HEAD and "body: malformed trailer" or nil
    end
    res.ended = true
    return last + 1
end


-- One step through the buffer: data, the line end behind a whole chunk, or the next size line.
-- Returns where to go on, nil when more bytes are needed or something is wrong.
local function step_chunked(res, at, pieces)
    local buf = res.buf
    if res.left > 0 then
        -- not `left` alone: string.sub takes what is beyond 31 bits for a negative position
        local data = sub(buf, at, at - 1 + min(res.left, #buf))
        if data == "" then
            return nil
        end
        pieces[#pieces + 1] = data
        res.left = res.left - #data
        res.closing = res.left == 0
        return at + #data
    end
    if res.closing then
        local _, stop = find(buf, "^\r?\n", at)
        if not stop then
            return nil, #buf > at and MALFORMED_CHUNK or nil
        end
        res.closing = false
        return stop + 1
    end
    return next_chunk(res, at)
end


-- All data that has arrived, as one piece. The buffer is cut once, not once per chunk.
local function read_chunked(res)
    local pieces, at = {}, 1
    while not res.ended do
        local to, err = step_chunked(res, at, pieces)
        if to then
            at = to

        elseif pieces[1] then
            -- what is wrong behind them is found again by the next read
            break

        else
            res.buf, at = sub(res.buf, at), 1
            err = err or fill(res, "body")
            if err then
                return nil, err
            end
        end
    end
    res.buf = sub(res.buf, at)
    return pieces[2] and concat(pieces) or pieces[1]
end


--- Reads what has arrived of the body, waiting for something to arrive.
-- After a timeout the body may be read on.
-- @tparam table res an answer
-- @treturn string|nil bytes; nil at the end or on error
-- @treturn string|nil error; nil at the end
function _M.read(res)
    if res.ended then
        return nil
    end
    if res.framing == "length" then
        return read_by_length(res)
    end
    if res.framing == "chunked" then
        return read_chunked(res)
    end
    return read_to_close(res)
end


--- Reads the rest of a body up to a limit.
-- @tparam table res an answer
-- @tparam number limit in bytes
-- @tparam[opt] function may_wait asked before each read; false ends it
-- @treturn string|nil the body; nil when it is longer, or on error
-- @treturn string|nil error
function _M.read_all(res, limit, may_wait)
    local pieces, size = {}, 0
    while true do
        if may_wait and not may_wait() then
            return nil, "body: timeout"
        end
        local data, err = _M.read(res)
        if err then
            return nil, err
        end
        if not data then
            return concat(pieces)
        end
        size = size + #data
        if size > limit then
            return nil, "body: too large"
        end
        pieces[#pieces + 1] = data
    end
end

return _M
