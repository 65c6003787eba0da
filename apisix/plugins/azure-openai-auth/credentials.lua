--- Where clients put their keys, and how these are kept from going further.

local core = require("apisix.core")

local find = string.find
local match = string.match
local lower = string.lower
local sub = string.sub
local type = type

-- one client has no use for more; what is beyond is not looked at
local MAX_PRESENTED = 8

local AUTHORIZATION = "Authorization"
local PLAIN = { "api-key", "ocp-apim-subscription-key" }
local IDENTITY = { "X-Consumer-Username", "X-Credential-Identifier", "X-Consumer-Custom-ID" }

local _M = {}


local function bearer(value)
    if lower(sub(value, 1, 6)) ~= "bearer" or not find(value, "^%s", 7) then
        return nil
    end
    -- two anchored matches: one lazy pattern would take quadratic time on a run of spaces
    return match(match(value, "^%s+(.*)$", 7), "^.*%S")
end


local function add(presented, value, read)
    if type(value) == "table" then
        for i = 1, #value do
            add(presented, value[i], read)
        end
        return
    end
    local key = type(value) == "string" and (not read and value or read and read(value))
    if key and key ~= "" and #presented < MAX_PRESENTED then
        presented[#presented + 1] = key
    end
end


--- The keys that a request presents.
-- @tparam table ctx the engine's request context
-- @treturn table list of strings, at most 8
function _M.read(ctx)
    local headers = core.request.headers(ctx)
    local presented = {}
    add(presented, headers[AUTHORIZATION], bearer)
    for i = 1, #PLAIN do
        add(presented, headers[PLAIN[i]])
    end
    return presented
end


--- Removes every credential from the request.
-- @tparam table ctx the engine's request context
function _M.hide(ctx)
    core.request.set_header(ctx, AUTHORIZATION, nil)
    for i = 1, #PLAIN do
        core.request.set_header(ctx, PLAIN[i], nil)
    end
end


--- Removes the headers by which the engine would name the consumer to a backend.
-- @tparam table ctx the engine's request context
function _M.hide_identity(ctx)
    for i = 1, #IDENTITY do
        core.request.set_header(ctx, IDENTITY[i], nil)
    end
end

return _M
