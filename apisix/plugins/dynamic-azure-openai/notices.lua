--- Says in the log what happens to backends.
--
-- nginx adds the request line, query included, to whatever is logged while a request runs, and
-- clients are known to put keys there. So a timer says it: once a second, each thing once with how
-- often it happened; a backend that is down under load does not fill the disk.

local core = require("apisix.core")

local pairs = pairs
local timer_at = ngx.timer.at

local SECONDS = 1
-- the texts hold names of backends and errors of sockets: more than this is no use to anybody
local MAX_KINDS = 100

local _M = {}

local pending = { warn = {}, error = {} }
local kinds = 0
local armed = false


local function write_out()
    local batch = pending
    pending, kinds, armed = { warn = {}, error = {} }, 0, false
    for level, texts in pairs(batch) do
        for text, n in pairs(texts) do
            core.log[level](text, n > 1 and " (" .. n .. " times)" or "")
        end
    end
end


local function note(level, text)
    local texts = pending[level]
    if not texts[text] then
        if kinds >= MAX_KINDS then
            return
        end
        kinds = kinds + 1
    end
    texts[text] = (texts[text] or 0) + 1
    if not armed then
        armed = timer_at(SECONDS, write_out) and true or false
    end
end


--- An attempt failed.
-- @tparam string name of the backend
-- @tparam string reason the transport's error, or a status
function _M.failed(name, reason)
    note("warn", "backend " .. name .. " failed: " .. reason)
end


--- A backend refused the gateway's own credential: nobody but the operator can help.
-- @tparam string name of the backend
-- @tparam number status
function _M.refused(name, status)
    note("error", "backend " .. name .. " refuses the gateway's credential: " .. status)
end

return _M
