--- The gateway's own counters and gauges, beside those of the engine.
--
-- Workers add up in their own memory and write to the shared dict `gateway-metrics` twice a second:
-- a request costs table writes, no lock. A worker writes what it has when it stops; what a crash
-- loses is at most that half second.
-- The text is appended to what the engine's Prometheus listener says.

local ffi = require("ffi")
local core = require("apisix.core")

local ngx = ngx
local shared = ngx.shared
local timer_at = ngx.timer.at
local C = ffi.C
local find = string.find
local format = string.format
local gsub = string.gsub
local match = string.match
local sub = string.sub
local concat = table.concat
local sort = table.sort
local ipairs = ipairs
local pairs = pairs
local tonumber = tonumber
local tostring = tostring
local type = type

ffi.cdef [[
    int kill(int pid, int sig);
]]

local ESRCH = 3

local FLUSH_SECONDS = 0.5
local DICT = "gateway-metrics"
local ESCAPES = { ["\\"] = "\\\\", ['"'] = '\\"', ["\n"] = "\\n" }

local FAMILIES = {
    gateway_requests_total = { "counter", "Requests by operation, deployment, consumer, status" },
    gateway_attempts_total = { "counter", "Attempts on backends by outcome: a status or a reason" },
    gateway_failovers_total = { "counter", "Moves from a failed backend to another, by reason" },
    gateway_exhausted_total = { "counter", "Requests for which no backend was left" },
    gateway_tokens_total = { "counter", "Tokens by kind: prompt, completion, cached, reasoning, "
        .. "audio" },
    gateway_usage_unknown_total = { "counter", "Successful answers that told no usage" },
    gateway_stream_aborts_total = { "counter", "Answers cut after their first byte, by side" },
    gateway_requests_in_flight = { "gauge", "Attempts under way" },
}

local _M = {}

local pending = {}
local armed = false

-- label values are few; escaping them once is enough
local escaped = {}
local escaped_count = 0


local function escape(value)
    local known = escaped[value]
    if known then
        return known
    end
    local text = gsub(tostring(value), '[\\"\n]', ESCAPES)
    if escaped_count < 2000 then
        escaped[value], escaped_count = text, escaped_count + 1
    end
    return text
end


local function write_out()
    local dict = shared[DICT]
    local batch = pending
    pending = {}
    local failed
    for key, n in pairs(batch) do
        if n ~= 0 then
            local _, err = dict:incr(key, n, 0)
            failed = failed or err
        end
    end
    if failed then
        ngx.log(ngx.ERR, "could not count: ", failed)
    end
end


local function on_timer()
    armed = false
    write_out()
end


local function add(key, n)
    pending[key] = (pending[key] or 0) + n
    if not armed then
        armed = timer_at(FLUSH_SECONDS, on_timer) and true or false
    end
end


--- Counts.
-- @tparam string family a name of those declared here
-- @tparam number n how much
-- @param ... label names and values in turn
function _M.add(family, n, l1, v1, l2, v2, l3, v3, l4, v4, l5, v5)
    local key = family .. "{" .. l1 .. '="' .. escape(v1)
    if l2 then
        key = key .. '",' .. l2 .. '="' .. escape(v2)
    end
    if l3 then
        key = key .. '",' .. l3 .. '="' .. escape(v3)
    end
    if l4 then
        key = key .. '",' .. l4 .. '="' .. escape(v4)
    end
    if l5 then
        key = key .. '",' .. l5 .. '="' .. escape(v5)
    end
    add(key .. '"}', n)
end


--- Moves a gauge.
-- Each worker has its own share of it: one that is killed takes its share along, and the gauge
-- still returns to 0.
-- @tparam string family a name of those declared here
-- @tparam number n up or down by
-- @tparam string label
-- @tparam string value
function _M.move(family, n, label, value)
    add(family .. "{" .. label .. '="' .. escape(value) .. '"}#' .. ngx.worker.pid(), n)
end


local function is_gone(pid)
    return C.kill(tonumber(pid), 0) ~= 0 and ffi.errno() == ESRCH
end


-- The values by series; the shares of a gauge are added, those of workers that are gone dropped.
local function collect(dict)
    local values = {}
    for _, key in ipairs(dict:get_keys(0)) do
        local series, pid = match(key, "^(.*})#(%d+)$")
        if pid and is_gone(pid) then
            dict:delete(key)

        else
            series = series or key
            values[series] = (values[series] or 0) + (dict:get(key) or 0)
        end
    end
    return values
end


local function by_family(dict)
    local families = {}
    for series, value in pairs(collect(dict)) do
        local family = sub(series, 1, find(series, "{", 1, true) - 1)
        local lines = families[family] or {}
        families[family] = lines
        lines[#lines + 1] = series .. " " .. format("%.0f", value)
    end
    return families
end


--- The text of all series, in the Prometheus exposition format.
-- @treturn string
function _M.text()
    write_out()
    local out = {}
    for family, lines in pairs(by_family(shared[DICT])) do
        local declared = FAMILIES[family]
        sort(lines)
        out[#out + 1] = "# HELP " .. family .. " " .. declared[2] .. "\n# TYPE " .. family .. " "
            .. declared[1] .. "\n" .. concat(lines, "\n") .. "\n"
    end
    sort(out)
    return concat(out)
end


local function append(code, body, headers)
    if code == 200 and type(body) == "string" then
        body = body .. _M.text()
    end
    return code, body, headers
end


--- Adds the text to what the engine's Prometheus listener says.
-- The engine ends the request inside its function: APISIX's exit callback is the way in.
-- @tparam table exporter APISIX's `apisix.plugins.prometheus.exporter`
function _M.join(exporter)
    local stock = exporter.export_metrics
    exporter.export_metrics = function()
        core.response.exit_insert_callback(append)
        return stock()
    end
end

return _M
