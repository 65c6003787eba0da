--- A JSON Schema checker for plugin configurations.
--
-- Covers the keywords in CHECKS and fills in defaults the way APISIX's checker does: a missing
-- property gets its default after the given ones were checked, defaults are not checked.
-- Reasons never quote a value: configurations hold keys. A keyword that is not known here is an
-- error, so that a rule is never skipped silently.

local deepcopy = require("apisix.core.table").deepcopy
local deep_eq = require("apisix.core.table").deep_eq

local ipairs = ipairs
local pairs = pairs
local re_find = ngx.re.find
local setmetatable = setmetatable
local tostring = tostring
local type = type

local _M = {}

local validate


local function check_items(schema, value)
    if type(value) ~= "table" then
        return true
    end
    for i, item in ipairs(value) do
        local ok, err = validate(schema, item)
        if not ok then
            return false, "failed to validate item " .. i .. ": " .. err
        end
    end
    return true
end


local function check_unique(wanted, value)
    if not wanted or type(value) ~= "table" then
        return true
    end
    for i = 1, #value do
        for j = i + 1, #value do
            if deep_eq(value[i], value[j]) then
                return false, "expected unique items but items " .. i .. " and " .. j
                              .. " are equal"
            end
        end
    end
    return true
end


local function check_properties(properties, value)
    if type(value) ~= "table" then
        return true
    end
    for name, schema in pairs(properties) do
        if value[name] ~= nil then
            local ok, err = validate(schema, value[name])
            if not ok then
                return false, 'property "' .. name .. '" validation failed: ' .. err
            end

        elseif schema.default ~= nil then
            value[name] = deepcopy(schema.default)
        end
    end
    return true
end


local function check_required(names, value)
    if type(value) ~= "table" then
        return true
    end
    for _, name in ipairs(names) do
        if value[name] == nil then
            return false, 'property "' .. name .. '" is required'
        end
    end
    return true
end


local function check_patterns(patterns, value)
    if type(value) ~= "table" then
        return true
    end
    for pattern, schema in pairs(patterns) do
        for name, item in pairs(value) do
            if type(name) == "string" and re_find(name, pattern, "jo") then
                local ok, err = validate(schema, item)
                if not ok then
                    return false, "failed to validate " .. name .. ": " .. err
                end
            end
        end
    end
    return true
end


local function covered(schema, name)
    if schema.properties and schema.properties[name] then
        return true
    end
    for pattern in pairs(schema.patternProperties or {}) do
        if re_find(name, pattern, "jo") then
            return true
        end
    end
    return false
end


local function check_additional(rule, value, schema)
    if type(value) ~= "table" or rule == true then
        return true
    end
    for name, item in pairs(value) do
        if not covered(schema, tostring(name)) then
            if not rule then
                return false, "additional properties forbidden, found " .. tostring(name)
            end
            local ok, err = validate(rule, item)
            if not ok then
                return false, "failed to validate additional property " .. tostring(name)
                              .. ": " .. err
            end
        end
    end
    return true
end


local function count_matches(schemas, value)
    local n = 0
    for _, schema in ipairs(schemas) do
        if validate(schema, value) then
            n = n + 1
        end
    end
    return n
end


local CHECKS = setmetatable({
    items = check_items,
    uniqueItems = check_unique,
    properties = check_properties,
    patternProperties = check_patterns,
    additionalProperties = check_additional,
    required = check_required,
    anyOf = function(schemas, value)
        return count_matches(schemas, value) > 0, "object matches none of the required"
    end,
    oneOf = function(schemas, value)
        return count_matches(schemas, value) == 1, "value should match only one schema"
    end,
    allOf = function(schemas, value)
        return count_matches(schemas, value) == #schemas, "value does not match all schemas"
    end,
    ["not"] = function(schema, value)
        return not validate(schema, value), "value wasn't supposed to match schema"
    end,
}, {__index = require("host.schema_values")})

-- The type first, so that later checks can rely on it; required before defaults are filled in.
local ORDER = {
    "type", "enum", "required", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum",
    "minLength", "maxLength", "pattern", "minItems", "maxItems", "items", "uniqueItems",
    "properties", "patternProperties", "additionalProperties", "anyOf", "oneOf", "allOf", "not",
}

local ANNOTATIONS = {
    ["$comment"] = true, title = true, description = true, default = true, examples = true,
    encrypt_fields = true,
}


local function known_keywords(schema)
    for keyword in pairs(schema) do
        if not CHECKS[keyword] and not ANNOTATIONS[keyword] then
            return false, "schema keyword " .. tostring(keyword) .. " is not known to lite"
        end
    end
    return true
end


function validate(schema, value)
    if type(schema) == "boolean" then
        return schema, "expect false always"
    end
    local ok, err = known_keywords(schema)
    if not ok then
        return false, err
    end
    for _, keyword in ipairs(ORDER) do
        local rule = schema[keyword]
        if rule ~= nil then
            ok, err = CHECKS[keyword](rule, value, schema)
            if not ok then
                return false, err
            end
        end
    end
    return true
end


--- true, or false and a reason of one line. Missing properties with a default are filled in.
function _M.check(schema, value)
    return validate(schema, value)
end


return _M
