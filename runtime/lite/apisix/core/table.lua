--- Table helpers under the names that APISIX has for them.

local getmetatable = getmetatable
local ipairs = ipairs
local pairs = pairs
local select = select
local setmetatable = setmetatable
local type = type

local _M = setmetatable({
    new = require("table.new"),
    clear = require("table.clear"),
    nkeys = require("table.nkeys"),
    clone = require("table.clone"),
    isarray = require("table.isarray"),
    isempty = require("table.isempty"),
}, {__index = table})


--- The value at a path of keys, nil as soon as a step is not a table.
function _M.try_read_attr(tab, ...)
    for i = 1, select("#", ...) do
        if type(tab) ~= "table" then
            return nil
        end
        tab = tab[(select(i, ...))]
    end
    return tab
end


function _M.array_find(array, wanted)
    if type(array) ~= "table" then
        return nil
    end
    for i, value in ipairs(array) do
        if value == wanted then
            return i
        end
    end
    return nil
end


function _M.insert_tail(tab, ...)
    local n = #tab
    for i = 1, select("#", ...) do
        n = n + 1
        tab[n] = select(i, ...)
    end
    return n
end


local function copy(value, seen)
    if type(value) ~= "table" then
        return value
    end
    if seen[value] then
        return seen[value]
    end
    local result = {}
    seen[value] = result
    for k, v in pairs(value) do
        result[k] = copy(v, seen)
    end
    return setmetatable(result, getmetatable(value))
end


--- A deep copy; shared and circular references stay shared in the copy.
function _M.deepcopy(value)
    return copy(value, {})
end


local function deep_eq(a, b)
    if type(a) ~= "table" or type(b) ~= "table" then
        return a == b
    end
    if _M.nkeys(a) ~= _M.nkeys(b) then
        return false
    end
    for k, v in pairs(a) do
        if not deep_eq(v, b[k]) then
            return false
        end
    end
    return true
end
_M.deep_eq = deep_eq


return _M
