--- Route `vars`: a list of {variable, operator, value} that must all hold.
--
-- Operators: ==, ~=, ~~ (regular expression), in. Everything else is refused when routes load.

local ipairs = ipairs
local pairs = pairs
local re_find = ngx.re.find
local tonumber = tonumber
local tostring = tostring
local type = type

local _M = {}


local function same(actual, wanted)
    if type(wanted) == "number" then
        return tonumber(actual) == wanted
    end
    return actual == wanted
end


local function contains(actual, list)
    for _, wanted in ipairs(list) do
        if same(actual, wanted) then
            return true
        end
    end
    return false
end


local function matches(actual, pattern)
    return type(actual) == "string" and re_find(actual, pattern, "jo") ~= nil
end


local OPERATORS = {
    ["=="] = same,
    ["~="] = function(actual, wanted) return not same(actual, wanted) end,
    ["~~"] = matches,
    ["in"] = contains,
}


local function check_term(term)
    if type(term) ~= "table" or #term ~= 3 then
        return "a condition of vars must be [variable, operator, value]"
    end
    if not OPERATORS[term[2]] then
        return "operator " .. tostring(term[2]) .. " in vars needs the docker or apisix runtime"
    end
    if term[2] == "in" and type(term[3]) ~= "table" then
        return "operator in needs a list of values"
    end
end


--- Compiles conditions, or returns nil and the reason.
function _M.new(vars)
    local terms = {}
    for i, term in ipairs(vars) do
        local err = check_term(term)
        if err then
            return nil, err
        end
        terms[i] = {variable = term[1], holds = OPERATORS[term[2]], wanted = term[3]}
    end
    for key in pairs(vars) do
        if type(key) ~= "number" then
            return nil, "vars must be a list of conditions"
        end
    end
    return terms
end


--- Whether every condition holds for these variables.
function _M.eval(terms, var)
    for i = 1, #terms do
        local term = terms[i]
        if not term.holds(var[term.variable], term.wanted) then
            return false
        end
    end
    return true
end


return _M
