--- Token usage as Azure OpenAI reports it, brought to one shape.
--
-- Chat, completions and embeddings say `prompt_tokens`/`completion_tokens`, the Responses API
-- says `input_tokens`/`output_tokens`; details sit in `*_tokens_details`.
-- Only the small `usage` object is decoded, never the body around it.

local cjson = require("cjson.safe")
local json_scan = require("apisix.plugins.dynamic-azure-openai.json_scan")

local sub = string.sub
local byte = string.byte
local find = string.find
local type = type
local tonumber = tonumber

local OPEN_BRACE = 0x7b
local QUOTE = 0x22

local TOP_LEVEL = { usage = true, model = true, response = true }
local IN_RESPONSE = { usage = true, model = true }

local _M = {}


local function count(object, name)
    local value = type(object) == "table" and tonumber(object[name])
    return value and value >= 0 and value or 0
end


local function either(object, name, other)
    return count(object, object[name] ~= nil and name or other)
end


--- Normalises one decoded `usage` object.
-- @tparam table usage as decoded
-- @treturn table `{prompt, completion, total, cached, reasoning, audio}` in tokens, and `raw`
function _M.normalise(usage)
    local input = usage.prompt_tokens_details or usage.input_tokens_details
    local output = usage.completion_tokens_details or usage.output_tokens_details
    local prompt = either(usage, "prompt_tokens", "input_tokens")
    local completion = either(usage, "completion_tokens", "output_tokens")
    local total = count(usage, "total_tokens")
    return {
        prompt = prompt,
        completion = completion,
        total = total > 0 and total or prompt + completion,
        cached = count(input, "cached_tokens"),
        reasoning = count(output, "reasoning_tokens"),
        audio = count(input, "audio_tokens") + count(output, "audio_tokens"),
        raw = usage,
    }
end


local function string_at(text, first, last)
    if not first or byte(text, first) ~= QUOTE then
        return nil
    end
    return cjson.decode(sub(text, first, last))
end


local function usage_at(text, first, last)
    if not first or byte(text, first) ~= OPEN_BRACE then
        return nil
    end
    local decoded = cjson.decode(sub(text, first, last))
    return type(decoded) == "table" and _M.normalise(decoded) or nil
end


--- Reads the usage out of a JSON answer or of one event's data.
-- Looks at the top level and, for events of the Responses API, inside `response`.
-- @tparam string text a JSON object
-- @treturn table|nil as `normalise` returns it
-- @treturn string|nil the model that answered
function _M.read(text)
    local first, last = json_scan.members(text, TOP_LEVEL)
    if not first then
        return nil
    end
    local nested = first.response
    if nested and byte(text, nested) == OPEN_BRACE then
        first, last = json_scan.members(text, IN_RESPONSE, nested)
        if not first then
            return nil
        end
    end
    return usage_at(text, first.usage, last.usage), string_at(text, first.model, last.model)
end


--- Whether bytes can hold a usage object at all; a cheap test before any scan.
-- @tparam string text received bytes
-- @treturn boolean
function _M.mentioned(text)
    return find(text, '"usage"', 1, true) ~= nil and find(text, '"usage"%s*:%s*{') ~= nil
end

return _M
