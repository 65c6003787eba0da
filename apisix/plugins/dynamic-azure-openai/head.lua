--- What the events at the beginning of a stream are: quiet, output, or an error.
--
-- Quiet are filter results without choices, deltas that only name the role, comments, and the
-- events by which the Responses API says that it has begun. Pure; only these few events are
-- decoded.

local cjson = require("cjson.safe")
local outcome = require("apisix.plugins.dynamic-azure-openai.outcome")
local sse = require("apisix.plugins.dynamic-azure-openai.sse")

local pairs = pairs
local next = next
local type = type

local QUIET_TYPES = {
    ["response.created"] = true,
    ["response.in_progress"] = true,
    ["response.queued"] = true,
}

local _M = {}


local function delta_has_output(delta)
    for name, value in pairs(delta) do
        if name ~= "role" and value ~= "" and value ~= cjson.null
            and not (type(value) == "table" and next(value) == nil) then
            return true
        end
    end
    return false
end


local function choice_has_output(choice)
    if type(choice) ~= "table" then
        return false
    end
    local delta = choice.delta
    if type(delta) == "table" and delta_has_output(delta) then
        return true
    end
    local text = choice.text
    local finish = choice.finish_reason
    return (type(text) == "string" and text ~= "") or (finish ~= nil and finish ~= cjson.null)
end


local function has_output(event)
    if type(event.type) == "string" then
        return not QUIET_TYPES[event.type]
    end
    local choices = event.choices
    if type(choices) ~= "table" then
        return true
    end
    for i = 1, #choices do
        if choice_has_output(choices[i]) then
            return true
        end
    end
    return false
end


--- Looks for the first event that is not quiet.
-- @tparam string buf received bytes
-- @tparam number from where the first event that was not looked at yet begins
-- @treturn string|nil "output" or "error"; nil when all complete events are quiet
-- @treturn number where the next event begins
-- @treturn table|nil the error, with "error"
-- @treturn string|nil the data of the event that carried it
function _M.look(buf, from)
    while true do
        local stop = sse.event_end(buf, from)
        if not stop then
            return nil, from
        end
        local data = sse.data(buf, from, stop)
        from = stop + 1
        if data then
            local event = cjson.decode(data)
            if type(event) ~= "table" then
                return "output", from
            end
            local err = outcome.event_error(event)
            if err then
                return "error", from, err, data
            end
            if has_output(event) then
                return "output", from
            end
        end
    end
end

return _M
