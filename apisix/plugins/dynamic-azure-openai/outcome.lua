--- What an attempt's result means: which results another backend may put right.
--
-- Pure tables and text, after the outcome table of docs/architecture.md.

local cjson = require("cjson.safe")

local floor = math.floor
local find = string.find
local match = string.match
local sub = string.sub
local tonumber = tonumber
local tostring = tostring
local type = type

local _M = {}

local RETRYABLE = { [408] = true, [401] = true, [403] = true }

-- Codes of error events inside a stream, as the status they would have been
local EVENT_STATUS = {
    too_many_requests = 429,
    rate_limit_exceeded = 429,
    content_filter = 400,
    context_length_exceeded = 400,
}


--- Whether a status may be put right by another backend.
-- A 404 is retryable only when it says DeploymentNotFound; that needs the body.
-- @tparam number status
-- @tparam string|nil body of a 404
-- @tparam table pool with `retry_429` and `retry_5xx`
-- @treturn boolean
function _M.retryable(status, body, pool)
    if status == 429 then
        return pool.retry_429
    end
    if status >= 500 then
        return pool.retry_5xx
    end
    if status == 404 then
        return body ~= nil and find(body, "DeploymentNotFound", 1, true) ~= nil
    end
    return RETRYABLE[status] == true
end


--- Whether the body of an answer has to be read before it is known what to do with it.
-- @tparam number status
-- @tparam boolean injected whether the gateway added to the request
-- @treturn boolean
function _M.needs_body(status, injected)
    return status >= 500 or status == 429 or status == 404 or RETRYABLE[status] == true
        or (status == 400 and injected)
end


--- The status that an error event stands for.
-- @tparam table err the decoded `error` member
-- @treturn number
function _M.event_status(err)
    local code = err.code
    if code == nil or code == cjson.null or code == "" then
        code = err.type
    end
    local number = tonumber(code)
    if number and number >= 400 and number <= 599 then
        return floor(number)
    end
    code = tostring(code)
    if sub(code, 1, 8) == "invalid_" then
        return 400
    end
    return EVENT_STATUS[code] or 502
end


--- The error that an event's data carries, if it does.
-- Chat sends `{"error":{..}}`; Responses sends `{"type":"error",..}` or `response.failed`.
-- @tparam table event decoded data
-- @treturn table|nil the error object
function _M.event_error(event)
    if type(event.error) == "table" then
        return event.error
    end
    if type(event.error) == "string" then
        return { message = event.error }
    end
    if event.type == "error" then
        return event
    end
    local response = event.type == "response.failed" and event.response
    if type(response) == "table" and type(response.error) == "table" then
        return response.error
    end
    return nil
end


--- How a transport error reads in metrics and decisions.
-- @tparam string err `"connect: timeout"`, `"head: closed"`, ...
-- @treturn string connect_timeout | connect_error | timeout | reset
function _M.transport_reason(err)
    local connecting = match(err, "^connect") or match(err, "^tls")
    local timed_out = find(err, "timeout", 1, true) or find(err, "timed out", 1, true)
    if connecting then
        return timed_out and "connect_timeout" or "connect_error"
    end
    return timed_out and "timeout" or "reset"
end


-- What the client should see when all failed: a throttle tells more than a missing deployment,
-- that more than a refused credential of ours.
local function rank(status)
    if status == 401 or status == 403 then
        return 1
    end
    return status == 404 and 2 or 3
end


--- Whether a later failed answer replaces an earlier one as the one to show.
-- @tparam number|nil kept status of the one kept so far
-- @tparam number status of the later one
-- @treturn boolean
function _M.replaces(kept, status)
    return kept == nil or rank(status) >= rank(kept)
end

return _M
