--- Server-sent events: where events end, and what their data is.
--
-- Pure codec after the WHATWG event stream format: lines end with CR LF, LF or CR, an empty line
-- ends an event, `data:` lines are joined with LF, lines that start with `:` are comments.
-- Nothing here changes a byte: callers use positions and forward the bytes as they came.

local find = string.find
local match = string.match
local sub = string.sub
local byte = string.byte
local concat = table.concat

local LF, CR = 10, 13

local _M = {}


--- Where the event that contains or follows `from` ends.
-- @tparam string buf received bytes
-- @tparam number from start of the event
-- @treturn number|nil position of the last byte of the empty line that ends it
function _M.event_end(buf, from)
    local _, lf = find(buf, "\n\r?\n", from)
    local _, cr = find(buf, "\r\r", from, true)
    if lf and cr then
        return lf < cr and lf or cr
    end
    return lf or cr
end


--- Where the last complete event of a buffer ends.
-- The patterns are anchored: without that a buffer that holds no end is searched once per byte.
-- @tparam string buf received bytes
-- @tparam[opt=1] number from where to look; what ends an event takes up to 3 bytes
-- @treturn number position of its last byte; 0 when no event is complete
function _M.last_event_end(buf, from)
    local n = #buf
    if n >= 2 and byte(buf, n) == LF and byte(buf, n - 1) == LF then
        return n
    end
    local _, _, lf = find(buf, "^.*\n\r?\n()", from)
    local _, _, cr = find(buf, "^.*\r\r()", from)
    local after = lf or 1
    if cr and cr > after then
        after = cr
    end
    return after - 1
end


--- The joined `data` of one event.
-- @tparam string buf received bytes
-- @tparam number from first byte of the event
-- @tparam number to last byte of the event
-- @treturn string|nil nil when the event has no data line (a comment, an empty event)
function _M.data(buf, from, to)
    local first, rest
    while from <= to do
        local stop = find(buf, "[\r\n]", from) or to + 1
        local at = match(buf, "^data: ?()", from)
        if at then
            local line = sub(buf, at, stop - 1)
            if not first then
                first = line

            else
                rest = rest or { first }
                rest[#rest + 1] = line
            end
        end
        from = stop + 1
        if byte(buf, stop) == CR and byte(buf, from) == LF then
            from = from + 1
        end
    end
    return rest and concat(rest, "\n") or first
end

return _M
