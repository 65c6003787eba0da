--- Reads what a client asks for: operation, deployment, stream; and prepares what a backend gets.
--
-- Pure: strings in, descriptions out. The body is scanned, not decoded, and changed by splicing.

local cjson = require("cjson.safe")
local json_scan = require("apisix.plugins.dynamic-azure-openai.json_scan")

local byte = string.byte
local find = string.find
local gmatch = string.gmatch
local gsub = string.gsub
local lower = string.lower
local match = string.match
local sub = string.sub
local char = string.char
local concat = table.concat
local tonumber = tonumber
local type = type

local OPEN_BRACE, QUOTE, SLASH = 0x7b, 0x22, 0x2f

-- stream_options on the deployment routes is known from this api-version on
local STREAM_OPTIONS_SINCE = "2024-09-01"

local MEMBERS = { model = true, stream = true, stream_options = true }
local STREAM_OPTION_MEMBERS = { include_usage = true }

local OPERATIONS = {
    ["chat/completions"] = { name = "chat", usage_option = true, protocol = "openai-chat" },
    ["completions"] = { name = "completions", usage_option = true, protocol = "passthrough" },
    ["embeddings"] = { name = "embeddings", protocol = "openai-embeddings" },
    ["responses"] = { name = "responses", protocol = "openai-responses" },
}
local MODELS = { name = "models", method = "GET", protocol = "passthrough" }

local _M = {}


local function unescape(text)
    return (gsub(text, "%%(%x%x)", function(hex)
        return char(tonumber(hex, 16))
    end))
end


-- Takes off every layer of `%25`: what is behind the gateway may decode more than once.
local function without_layers(path)
    local layers
    repeat
        path, layers = gsub(path, "%%25", "%%")
    until layers == 0
    return path
end


--- The path of a request target, as it will be checked and forwarded.
-- Runs of slashes are joined, as the engine does before it matches routes. What could make the
-- backend see another path than the one checked here is refused.
-- @tparam string target `$request_uri`
-- @treturn string|nil path without the query; nil when it is refused
function _M.path(target)
    local path = match(target, "^[^?#]*")
    if byte(path, 1) ~= SLASH then
        path = match(path, "^%a[%w+.-]*://[^/]*(/.*)$") or ""
    end
    local folded = lower(path)
    if path == "" or find(folded, "%2f", 1, true) or find(folded, "%5c", 1, true)
        or find(path, "\\", 1, true) then
        return nil
    end
    path = gsub(path, "//+", "/")
    local dots = without_layers(gsub(lower(path), "%%2e", "."))
    if find(dots .. "/", "/%.%.?/") or find(dots, "%2e", 1, true) or find(dots, "%2f", 1, true)
        or find(dots, "%5c", 1, true) then
        return nil
    end
    return path
end


--- What a path asks for.
-- @tparam string path of `path`
-- @treturn table|nil `{operation, legacy, versioned, deployment, path}`; nil when nothing here
--   serves it; `legacy`: the deployment is in the path, `versioned`: there is an api-version
function _M.route(path)
    local segment, rest = match(path, "^/openai/deployments/([^/]+)/(.+)$")
    if segment then
        local operation = OPERATIONS[rest]
        return operation and {
            operation = operation,
            legacy = true,
            versioned = true,
            deployment = unescape(segment),
            rest = rest,
            path = path,
        }
    end
    -- where Azure's own clients look for what has no deployment in its path
    if path == "/openai/responses" then
        return { operation = OPERATIONS.responses, versioned = true, path = path }
    end
    if path == "/openai/models" then
        return { operation = MODELS, versioned = true, path = "/openai/v1/models" }
    end
    rest = match(path, "^/openai/v1/(.+)$") or match(path, "^/v1/(.+)$")
    local operation = rest and (rest == "models" and MODELS or OPERATIONS[rest])
    return operation and { operation = operation, path = "/openai/v1/" .. rest }
end


--- Scans a request body.
-- @tparam string body JSON
-- @treturn table|nil `{model, model_first, model_last, stream, options_first, options_last,
--   object_at, empty}`; nil on error
-- @treturn string|nil code of the error in the catalogue of messages
function _M.scan(body)
    local first, last, object_at, duplicates, after =
        json_scan.members(body, MEMBERS, 1, cjson.decode)
    if not first or not json_scan.only_space(body, after) then
        return nil, "invalid_json"
    end
    if duplicates and duplicates.model then
        return nil, "duplicate_member"
    end
    local model
    if first.model and byte(body, first.model) == QUOTE then
        model = cjson.decode(sub(body, first.model, last.model))
    end
    return {
        model = model,
        model_first = first.model,
        model_last = last.model,
        stream = first.stream ~= nil and sub(body, first.stream, last.stream) == "true",
        options_first = first.stream_options,
        options_last = last.stream_options,
        object_at = object_at,
        empty = find(body, "^%s*}", object_at + 1) ~= nil,
    }
end


--- Whether the client itself asked for the usage event of a stream.
-- @tparam string body
-- @tparam table scanned of `scan`
-- @treturn boolean
function _M.asks_for_usage(body, scanned)
    local at = scanned.options_first
    if not at or byte(body, at) ~= OPEN_BRACE then
        return false
    end
    local first, last = json_scan.members(body, STREAM_OPTION_MEMBERS, at, cjson.decode)
    local value = first and first.include_usage
    return value ~= nil and sub(body, value, last.include_usage) == "true"
end


--- Whether a route and api-version know `stream_options`.
-- @tparam table route of `route`
-- @tparam string|nil api_version the version that the backend will get, on legacy routes
-- @treturn boolean
function _M.knows_stream_options(route, api_version)
    if not route.operation.usage_option then
        return false
    end
    if not route.legacy then
        return true
    end
    local date = api_version and match(api_version, "^%d%d%d%d%-%d%d%-%d%d")
    return date ~= nil and date >= STREAM_OPTIONS_SINCE
end


-- The edit that adds include_usage and keeps every other field of stream_options.
local function usage_edit(body, scanned)
    local at = scanned.options_first
    if not at then
        return scanned.object_at + 1, scanned.object_at,
            '"stream_options":{"include_usage":true}' .. (scanned.empty and "" or ",")
    end
    if byte(body, at) ~= OPEN_BRACE then
        return at, scanned.options_last, '{"include_usage":true}'
    end
    local first, last = json_scan.members(body, STREAM_OPTION_MEMBERS, at, cjson.decode)
    if first and first.include_usage then
        return first.include_usage, last.include_usage, "true"
    end
    local empty = not first or find(body, "^%s*}", at + 1) ~= nil
    return at + 1, at, '"include_usage":true' .. (empty and "" or ",")
end


--- The body for one backend.
-- @tparam string body the client's bytes
-- @tparam table scanned of `scan`
-- @tparam string|nil model the backend's name for the deployment, when it differs
-- @tparam boolean include_usage whether to ask for the usage event
-- @treturn string the client's own string when nothing has to change
function _M.body(body, scanned, model, include_usage)
    if not model and not include_usage then
        return body
    end
    local edits = {}
    if model then
        edits[1] = { scanned.model_first, scanned.model_last, cjson.encode(model) }
    end
    if include_usage then
        local edit = { usage_edit(body, scanned) }
        if edits[1] and edits[1][1] > edit[1] then
            edits[1], edits[2] = edit, edits[1]

        else
            edits[#edits + 1] = edit
        end
    end
    local pieces, from = {}, 1
    for i = 1, #edits do
        local edit = edits[i]
        pieces[#pieces + 1] = sub(body, from, edit[1] - 1)
        pieces[#pieces + 1] = edit[3]
        from = edit[2] + 1
    end
    pieces[#pieces + 1] = sub(body, from)
    return concat(pieces)
end


-- Backends read names of parameters in any case, and decoded.
local function names_version(parameter)
    return lower(unescape(match(parameter, "^[^=]*"))) == "api-version"
end


--- The api-version of a query string.
-- @tparam string|nil args `$args`
-- @treturn string|nil
function _M.api_version(args)
    for parameter in gmatch(args or "", "[^&]+") do
        if names_version(parameter) then
            return match(parameter, "=(.*)$")
        end
    end
    return nil
end


local function without_version(parameter)
    return names_version(parameter) and "" or nil
end


-- Every occurrence goes, one comes: a backend that is pinned to a version must not see two.
local function with_api_version(args, version)
    local kept = gsub("&" .. (args or ""), "&([^&]*)", without_version)
    kept = sub(kept, 2)
    return kept == "" and "api-version=" .. version or kept .. "&api-version=" .. version
end


--- The request target for one backend.
-- @tparam table route of `route`
-- @tparam string|nil args `$args`, forwarded as it is
-- @tparam table backend a compiled backend
-- @treturn string
function _M.target(route, args, backend)
    local path = route.path
    if route.legacy then
        local mapped = backend.map_path[route.deployment]
        if mapped then
            path = "/openai/deployments/" .. mapped .. "/" .. route.rest
        end
    end
    if route.versioned and backend.api_version then
        args = with_api_version(args, backend.api_version)
    end
    if args and args ~= "" then
        return path .. "?" .. args
    end
    return path
end


--- Whether a content type is JSON; an absent one counts as JSON.
-- @tparam string|nil content_type
-- @treturn boolean
function _M.is_json(content_type)
    if type(content_type) ~= "string" then
        return content_type == nil
    end
    return match(lower(content_type), "^%s*application/[%w.+-]*json%f[^%w.+-]") ~= nil
end

return _M
