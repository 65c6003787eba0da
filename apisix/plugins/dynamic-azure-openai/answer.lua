--- Reads an HTTP/1.1 answer: head, framing, body.
--
-- Works on the connection that `transport` opened, and on nothing else. Reads are as large as what
-- has arrived; what is not used yet stays in `buf`. What an untrusted peer can send is bounded: the
-- head, a chunk's size line, a trailer.
--
-- An answer is a table: `sock`, `buf`, `status`, `fields` (names and values in turn, as they came),
-- `headers` (by lower-case name), `framing` (length, chunked, close), `left` (bytes of the body or
-- of the chunk), `ended`, `reusable`.

local find = string.find
local sub = string.sub
local lower = string.lower
local match = string.match
local gmatch = string.gmatch
local tonumber = tonumber
local concat = table.concat

local READ_SIZE = 65536
local MAX_HEAD = 65536
local MAX_CHUNK_LINE = 4096

local _M = {}


-- Fills the buffer; returns nil and the error when nothing came.
local function fill(res, step)
    local data, err = res.sock:receiveany(READ_SIZE)
    if not data then
        return nil, step .. ": " .. (err or "closed")
    end
    res.buf = res.buf == "" and data or res.buf .. data
    return true
end


local function read_head_text(res)
    while true do
        local at, stop = find(res.buf, "\r?\n\r?\n")
        if at then
            local head = sub(res.buf, 1, at - 1)
            res.buf = sub(res.buf, stop + 1)
            return head
        end
        if #res.buf > MAX_HEAD then
            return nil, "head: too large"
        end
        local ok, err = fill(res, "head")
        if not ok then
            return nil, err
        end
    end
end


-- `fields` keeps names and values as they came and in order; `headers` answers look-ups.
local function parse_head(res, head)
    local minor, status = match(head, "^HTTP/1%.(%d) (%d%d%d)")
    if not status then
        return nil, "head: malformed status line"
    end
    res.status, res.minor = tonumber(status), minor
    local fields, headers, n = {}, {}, 0
    for name, value in gmatch(head, "\n([^:%s]+)[ \t]*:[ \t]*([^\r\n]*)") do
        fields[n + 1], fields[n + 2] = name, value
        n = n + 2
        local key = lower(name)
        headers[key] = headers[key] and headers[key] .. ", " .. value or value
    end
    res.fields, res.headers = fields, headers
    return true
end


local function has_no_body(status)
    return status == 204 or status == 304
end


local function frame(res)
    local headers = res.headers
    local encoding = headers["transfer-encoding"]
    local length = headers["content-length"]
    res.reusable = res.minor == "1"
        and not find(lower(headers.connection or ""), "close", 1, true)
    if has_no_body(res.status) then
        res.framing, res.left = "length", 0

    elseif encoding and find(lower(encoding), "chunked", 1, true) then
        res.framing, res.left = "chunked", 0

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
    repeat
        local head, err = read_head_text(res)
        if not head then
            return nil, err
        end
        local ok
        ok, err = parse_head(res, head)
        if not ok then
            return nil, err
        end
    until res.status >= 200
    return frame(res)
end


local function read_by_length(res)
    if res.left == 0 then
        res.ended = true
        return nil
    end
    if res.buf == "" then
        local ok, err = fill(res, "body")
        if not ok then
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
    local ok, err = fill(res, "body")
    if ok then
        return read_to_close(res)
    end
    if err == "body: closed" then
        res.ended = true
        return nil
    end
    return nil, err
end


-- The size line of the next chunk, trailers included when it is the last one.
-- Returns true when a chunk or the end is known, false when more bytes are needed.
local function next_chunk(res)
    local buf = res.buf
    local at, stop = find(buf, "\r?\n")
    if not at then
        return false, #buf > MAX_CHUNK_LINE and "body: malformed chunk" or nil
    end
    local size = tonumber(match(sub(buf, 1, at - 1), "^%s*(%x+)%s*$")
                          or match(sub(buf, 1, at - 1), "^%s*(%x+)%s*;"), 16)
    if not size then
        return false, "body: malformed chunk"
    end
    if size > 0 then
        res.left, res.buf = size, sub(buf, stop + 1)
        return true
    end
    local trailer = sub(buf, at)
    local _, last = find(trailer, "^\r?\n\r?\n")
    if not last then
        _, last = find(trailer, "\n\r?\n")
    end
    if not last then
        return false, #buf > MAX_HEAD and "body: malformed trailer" or nil
    end
    res.buf, res.ended = sub(trailer, last + 1), true
    return true
end


-- Takes what is there of the current chunk, and the line end that follows a whole one.
local function take_chunk(res, pieces)
    local buf = res.buf
    if res.left > 0 then
        if buf == "" then
            return false
        end
        local data = sub(buf, 1, res.left)
        pieces[#pieces + 1] = data
        res.left = res.left - #data
        res.buf = sub(buf, #data + 1)
        if res.left > 0 then
            return false
        end
        res.closing = true
    end
    if res.closing then
        local _, stop = find(res.buf, "^\r?\n")
        if not stop then
            return false, #res.buf >= 2 and "body: malformed chunk" or nil
        end
        res.buf, res.closing = sub(res.buf, stop + 1), false
    end
    return next_chunk(res)
end


-- All data that has arrived, as one piece.
local function read_chunked(res)
    local pieces = {}
    while not res.ended do
        local more, err = take_chunk(res, pieces)
        if err then
            return nil, err
        end
        if not more then
            if pieces[1] then
                break
            end
            local ok
            ok, err = fill(res, "body")
            if not ok then
                return nil, err
            end
        end
    end
    if not pieces[1] then
        return nil
    end
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
-- @treturn string|nil the body; nil when it is longer, or on error
-- @treturn string|nil error
function _M.read_all(res, limit)
    local pieces, size = {}, 0
    while true do
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
