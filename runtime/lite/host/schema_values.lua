--- Checks of a schema that look at one value only: type, enum, numbers, texts, lengths of arrays.
--
-- Each is check(rule, value) -> true | false, reason. Reasons never quote a value.

local deep_eq = require("apisix.core.table").deep_eq
local isarray = require("table.isarray")
local null = require("cjson.safe").null

local concat = table.concat
local floor = math.floor
local ipairs = ipairs
local next = next
local re_find = ngx.re.find
local re_gsub = ngx.re.gsub
local tostring = tostring
local type = type


-- An empty table stands for an empty array and for an empty object.
local IS = {
    null = function(v) return v == null end,
    string = function(v) return type(v) == "string" end,
    boolean = function(v) return type(v) == "boolean" end,
    number = function(v) return type(v) == "number" end,
    integer = function(v) return type(v) == "number" and floor(v) == v end,
    array = function(v) return type(v) == "table" and isarray(v) end,
    object = function(v) return type(v) == "table" and (next(v) == nil or not isarray(v)) end,
    table = function(v) return type(v) == "table" end,
    ["function"] = function(v) return type(v) == "function" end,
}


local function check_type(wanted, value)
    if type(wanted) == "string" then
        if IS[wanted](value) then
            return true
        end
        return false, "wrong type: expected " .. wanted .. ", got " .. type(value)
    end
    for _, name in ipairs(wanted) do
        if IS[name](value) then
            return true
        end
    end
    return false, "wrong type: expected one of " .. concat(wanted, ", ") .. ", got " .. type(value)
end


local function check_enum(values, value)
    for _, candidate in ipairs(values) do
        if deep_eq(candidate, value) then
            return true
        end
    end
    return false, "matches none of the enum values"
end


local function characters(text)
    local _, n = re_gsub(text, ".", "", "jous")
    return n or #text
end


local function number_check(holds, wording)
    return function(limit, value)
        if type(value) ~= "number" or holds(value, limit) then
            return true
        end
        return false, "expected a number " .. wording .. " " .. tostring(limit)
    end
end


local function string_check(holds, wording)
    return function(limit, value)
        if type(value) ~= "string" or holds(characters(value), limit) then
            return true
        end
        return false, "string too " .. wording .. " " .. limit .. " characters"
    end
end


local function array_check(holds, wording)
    return function(limit, value)
        if type(value) ~= "table" or not isarray(value) or holds(#value, limit) then
            return true
        end
        return false, "expect array to have at " .. wording .. " " .. limit .. " items"
    end
end


local function at_least(a, b) return a >= b end
local function at_most(a, b) return a <= b end
local function above(a, b) return a > b end
local function below(a, b) return a < b end


local function check_pattern(pattern, value)
    if type(value) ~= "string" or re_find(value, pattern, "jo") then
        return true
    end
    return false, "failed to match pattern " .. pattern
end


return {
    type = check_type,
    enum = check_enum,
    minimum = number_check(at_least, "of at least"),
    maximum = number_check(at_most, "of at most"),
    exclusiveMinimum = number_check(above, "greater than"),
    exclusiveMaximum = number_check(below, "smaller than"),
    minLength = string_check(at_least, "short, expected at least"),
    maxLength = string_check(at_most, "long, expected at most"),
    minItems = array_check(at_least, "least"),
    maxItems = array_check(at_most, "most"),
    pattern = check_pattern,
}
