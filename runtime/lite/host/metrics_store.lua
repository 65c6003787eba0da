--- Counters, gauges and histograms for all workers, as Prometheus text.
--
-- Counters and histograms are collected in the worker and added to the shared dict once a second
-- and at the worker's end; gauges go to the dict at once. The dict holds one number per line of
-- the text, and an index of its own: listing the dict's keys would lock it for every worker.

local floor = math.floor
local format = string.format
local gsub = string.gsub
local ipairs = ipairs
local concat = table.concat
local ngx = ngx
local sort = table.sort
local sub = string.sub
local tostring = tostring
local type = type

local dict = ngx.shared["prometheus-metrics"]

local COUNT_KEY = "index:n"
local PREFIX = "apisix_"
-- Series whose names a worker remembers; beyond that it starts over, the dict keeps all.
local MAX_CACHED = 2000

local _M = {}

local families = {}
local cached = 0
local caches = {}
local dirty, dirty_n = {}, 0


local function escape(value)
    value = type(value) == "string" and value or tostring(value)
    return (gsub(gsub(gsub(value, "\\", "\\\\"), '"', '\\"'), "\n", "\\n"))
end


local function label_text(names, values)
    local parts = {}
    for i, name in ipairs(names) do
        parts[i] = name .. '="' .. escape(values[i] == nil and "" or values[i]) .. '"'
    end
    return concat(parts, ",")
end


-- Puts a line into the index, once over all workers.
local function index(family, line, order)
    if not dict:add("seen:" .. line, true) then
        return
    end
    local n = dict:incr(COUNT_KEY, 1, 0)
    dict:set("index:" .. n, family.name .. "\n" .. order .. "\n" .. line)
end


local function add(key, value)
    local _, err = dict:incr(key, value, 0)
    if err then
        dict:incr("errors", 1, 0)
    end
end


local function line_of(family, suffix, labels)
    local name = PREFIX .. family.name .. suffix
    return labels == "" and name or name .. "{" .. labels .. "}"
end


local function new_scalar(family, labels)
    local line = line_of(family, "", labels)
    index(family, line, line)
    return {line = line, value = 0}
end


-- Lines of one histogram stay together and in the order of their limits.
local function new_histogram(family, labels)
    local series = {lines = {}, counts = {}, sum = 0, limits = family.limits}
    local comma = labels == "" and "" or ","
    local limits = family.limits
    for i = 1, #limits + 1 do
        local limit = limits[i] and tostring(limits[i]) or "+Inf"
        local line = line_of(family, "_bucket", labels .. comma .. 'le="' .. limit .. '"')
        index(family, line, labels .. "\t" .. format("%04d", i))
        series.lines[i] = line
        series.counts[i] = 0
    end
    series.sum_line = line_of(family, "_sum", labels)
    series.count_line = line_of(family, "_count", labels)
    index(family, series.sum_line, labels .. "\t9998")
    index(family, series.count_line, labels .. "\t9999")
    return series
end


local function mark(series)
    if not series.dirty then
        series.dirty = true
        dirty_n = dirty_n + 1
        dirty[dirty_n] = series
    end
end


local function define(kind, name, help, labels, limits)
    local family = {name = name, kind = kind, help = help, labels = labels, limits = limits}
    families[#families + 1] = family
    families[name] = family
    return family
end


function _M.counter(name, help, labels)
    return define("counter", name, help, labels)
end


function _M.gauge(name, help, labels)
    return define("gauge", name, help, labels)
end


--- A histogram with the given upper limits, ascending; +Inf is added.
function _M.histogram(name, help, labels, limits)
    return define("histogram", name, help, labels, limits)
end


--- The series of a family for label values; keep it in a cache of `cache()`, not for ever.
function _M.series(family, values)
    local make = family.kind == "histogram" and new_histogram or new_scalar
    return make(family, label_text(family.labels, values))
end


--- A table for series by caller's own keys; emptied when too many series are remembered.
function _M.cache()
    local cache = {}
    caches[#caches + 1] = cache
    return cache
end


local clear = require("table.clear")

--- Call it before a new entry goes into a cache.
function _M.grow()
    cached = cached + 1
    if cached > MAX_CACHED then
        cached = 1
        for _, cache in ipairs(caches) do
            clear(cache)
        end
    end
end


function _M.inc(series, value)
    series.value = series.value + value
    mark(series)
end


--- Changes a gauge at once, for every worker to see.
function _M.adjust(series, value)
    add(series.line, value)
end


function _M.set(series, value)
    dict:set(series.line, value)
end


function _M.observe(series, value)
    local limits = series.limits
    local i = 1
    while limits[i] and value > limits[i] do
        i = i + 1
    end
    series.counts[i] = series.counts[i] + 1
    series.sum = series.sum + value
    mark(series)
end


local function flush_histogram(series)
    local total = 0
    local counts = series.counts
    for i = 1, #counts do
        total = total + counts[i]
        counts[i] = 0
        if total > 0 then
            add(series.lines[i], total)
        end
    end
    add(series.sum_line, series.sum)
    add(series.count_line, total)
    series.sum = 0
end


--- Adds what this worker collected to the shared dict.
function _M.flush()
    for i = 1, dirty_n do
        local series = dirty[i]
        series.dirty = false
        dirty[i] = nil
        if series.counts then
            flush_histogram(series)

        else
            add(series.line, series.value)
            series.value = 0
        end
    end
    dirty_n = 0
end


local function by_order(a, b)
    return a.order < b.order
end


local function collect_lines()
    local groups = {}
    for i = 1, dict:get(COUNT_KEY) or 0 do
        local entry = dict:get("index:" .. i)
        if entry then
            local name, order, line = entry:match("^([^\n]*)\n([^\n]*)\n(.*)$")
            groups[name] = groups[name] or {}
            groups[name][#groups[name] + 1] = {order = order, line = line}
        end
    end
    return groups
end


local function number(value)
    if value == floor(value) and value < 2 ^ 53 and value > -2 ^ 53 then
        return format("%d", value)
    end
    return tostring(value)
end


local function write_family(out, family, entries)
    sort(entries, by_order)
    out[#out + 1] = "# HELP " .. PREFIX .. family.name .. " " .. family.help
    out[#out + 1] = "# TYPE " .. PREFIX .. family.name .. " " .. family.kind
    for _, entry in ipairs(entries) do
        local value = dict:get(entry.line)
        if value then
            out[#out + 1] = entry.line .. " " .. number(value)
        end
    end
end


--- The text of everything that has a value.
function _M.text()
    _M.flush()
    local groups = collect_lines()
    local out = {
        "# HELP apisix_nginx_metric_errors_total Errors while keeping metrics",
        "# TYPE apisix_nginx_metric_errors_total counter",
        "apisix_nginx_metric_errors_total " .. (dict:get("errors") or 0),
    }
    for _, family in ipairs(families) do
        if groups[family.name] then
            write_family(out, family, groups[family.name])
        end
    end
    return concat(out, "\n") .. "\n"
end


--- A client-supplied name, short enough for a label.
function _M.short(value, limit)
    if value == nil then
        return ""
    end
    return type(value) == "string" and sub(value, 1, limit) or tostring(value)
end


return _M
