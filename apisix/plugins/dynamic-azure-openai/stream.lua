--- What happens to the bytes of a streamed answer between the backend and the client.
--
-- Pure: bytes in, bytes out; sockets and clocks are the caller's.
--
-- A stream has two states. In its *head* everything is held: the events before the first output
-- (filter results without choices, role-only deltas, comments, `response.created`,
-- `response.in_progress`), so that a failure there can still fail over. Then it *flows*: what
-- arrives goes out, byte for byte. Two exceptions, both by whole events: the usage event is removed
-- when the gateway had asked for it and the client had not, and with that an event that is not
-- complete yet waits for its end.

local head = require("apisix.plugins.dynamic-azure-openai.head")
local sse = require("apisix.plugins.dynamic-azure-openai.sse")
local usage = require("apisix.plugins.dynamic-azure-openai.usage")

local find = string.find
local sub = string.sub
local concat = table.concat

-- An event longer than this is not the usage event; its parts no longer wait for its end.
local MAX_WAIT = 65536

-- The last event of a Responses stream repeats the whole answer, and the usage is in it. What is
-- longer than this is not kept to be looked at.
local MAX_KEPT = 4194304

local _M = {}


--- A new stream.
-- @tparam boolean injected whether the gateway asked for the usage event on its own
-- @tparam number hold_bytes how much of the head is held at most
-- @treturn table the stream's state: `in_head`, `usage`, `model`, `err` are for the caller to read
function _M.new(injected, hold_bytes)
    return {
        injected = injected,
        hold_bytes = hold_bytes,
        in_head = true,
        hold_until = nil,
        seen = false,
        held = "",
        scanned = 1,
        tail = "",
        passing = false,
        usage = nil,
        model = nil,
        err = nil,
        err_data = nil,
        at_boundary = true,
    }
end


local function note_usage(self, data)
    local tokens, model = usage.read(data)
    if tokens then
        self.usage, self.model = tokens, model or self.model
    end
    return tokens ~= nil
end


local function is_bare_usage(data)
    return find(data, '"choices"%s*:%s*%[%s*%]') ~= nil
end


-- Reads the usage out of complete events; drops the bare usage event when nobody asked for it.
local function filter(self, buf)
    local kept, from, start = nil, 1, 1
    local stop = sse.event_end(buf, start)
    while stop do
        local data = sse.data(buf, start, stop)
        if data and usage.mentioned(data) and note_usage(self, data)
            and self.injected and is_bare_usage(data) then
            kept = kept or {}
            kept[#kept + 1] = sub(buf, from, start - 1)
            from = stop + 1
        end
        start = stop + 1
        stop = sse.event_end(buf, start)
    end
    if not kept then
        return buf
    end
    kept[#kept + 1] = sub(buf, from)
    return concat(kept)
end


-- The rest of an event whose beginning was let go. Returns what belongs to it, and what follows
-- its end; nil for the latter when it has not ended.
local function pass_long_event(self, chunk)
    local stop = sse.event_end(self.tail .. chunk, 1)
    if not stop then
        self.tail = sub(self.tail .. chunk, -3)
        self.at_boundary = false
        return chunk, nil
    end
    self.passing = false
    local taken = stop - #self.tail
    self.tail = ""
    return sub(chunk, 1, taken), sub(chunk, taken + 1)
end


-- Joins what came to what is kept of an unfinished event; returns both and where the last whole
-- event in them ends.
local function join(self, chunk)
    local kept = #self.tail
    local buf = kept == 0 and chunk or self.tail .. chunk
    local last = sse.last_event_end(buf, kept > 3 and kept - 2 or 1)
    self.tail = last == #buf and "" or sub(buf, last + 1)
    return buf, last
end


-- Keeps no more of an unfinished event than its end needs to be seen.
local function let_go(self)
    self.passing = true
    self.tail = sub(self.tail, -3)
end


-- Without injection bytes go out as they come; only a tail is kept aside to find the usage.
local function observe(self, chunk)
    local rest = chunk
    if self.passing then
        local _
        _, rest = pass_long_event(self, chunk)
        if not rest then
            return chunk
        end
    end
    local buf, last = join(self, rest)
    if last > 0 and usage.mentioned(buf) then
        filter(self, sub(buf, 1, last))
    end
    self.at_boundary = self.tail == ""
    if #self.tail > MAX_KEPT then
        let_go(self)
    end
    return chunk
end


local function remove_usage(self, chunk)
    local before = ""
    if self.passing then
        local rest
        before, rest = pass_long_event(self, chunk)
        if not rest then
            return before
        end
        chunk = rest
    end
    local buf, last = join(self, chunk)
    local out = last == #buf and buf or sub(buf, 1, last)
    if last > 0 and usage.mentioned(out) then
        out = filter(self, out)
    end
    self.at_boundary = true
    if #self.tail > MAX_WAIT then
        out, self.at_boundary = out .. self.tail, false
        let_go(self)
    end
    return before == "" and out or before .. out
end


local function flow(self, chunk)
    return (self.injected and remove_usage or observe)(self, chunk)
end


-- The head went before its end came: the first output is still watched for, it is a measure.
local function watch(self, chunk, verdict)
    if verdict or #self.held > MAX_WAIT then
        self.seen, self.held = true, ""

    else
        self.held, self.scanned = sub(self.held, self.scanned), 1
    end
    return flow(self, chunk), verdict == "output"
end


--- Lets the head go although nothing decided: its time is over.
-- @tparam table self
-- @treturn string bytes for the client, "" when there are none
function _M.open(self)
    local held = self.held
    self.in_head = false
    self.held, self.scanned = self.seen and "" or sub(held, self.scanned), 1
    return held == "" and "" or flow(self, held)
end


--- Takes bytes from the backend.
-- @tparam table self
-- @tparam string chunk
-- @treturn string|nil bytes for the client; "" when there are none now, nil when an error event
--   stood in the head (`err`, `err_data`)
-- @treturn boolean whether these are the first bytes with output
function _M.push(self, chunk)
    if self.seen then
        return flow(self, chunk), false
    end
    self.held = self.held == "" and chunk or self.held .. chunk
    local verdict, scanned, err, data = head.look(self.held, self.scanned)
    self.scanned = scanned
    if not self.in_head then
        return watch(self, chunk, verdict)
    end
    if verdict == "error" then
        self.err, self.err_data = err, data
        return nil, false
    end
    if verdict == "output" then
        self.seen = true
        return _M.open(self), true
    end
    if #self.held > self.hold_bytes then
        return _M.open(self), false
    end
    return "", false
end


--- Ends the stream.
-- @tparam table self
-- @treturn string what was still held, "" when nothing was
function _M.finish(self)
    local out = self.in_head and _M.open(self) or ""
    local rest = self.injected and not self.passing and self.tail or ""
    self.tail = ""
    return out .. rest
end

return _M
