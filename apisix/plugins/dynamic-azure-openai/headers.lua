--- Which headers cross the gateway.
--
-- To a backend: everything but credentials, identity, cookies, hop-by-hop headers and what the
-- gateway sets itself. To the client: everything but hop-by-hop headers.

local ngx = ngx
local lower = string.lower
local find = string.find
local gmatch = string.gmatch
local concat = table.concat
local pairs = pairs
local type = type

local _M = {}

local HOP_BY_HOP = {
    ["connection"] = true,
    ["keep-alive"] = true,
    ["proxy-authenticate"] = true,
    ["proxy-authorization"] = true,
    ["proxy-connection"] = true,
    ["te"] = true,
    ["trailer"] = true,
    ["transfer-encoding"] = true,
    ["upgrade"] = true,
}

local NEVER_SENT = {
    ["authorization"] = true,
    ["api-key"] = true,
    ["ocp-apim-subscription-key"] = true,
    ["cookie"] = true,
    ["x-ms-spillover-deployment"] = true,
    ["x-credential-identifier"] = true,
    ["x-real-ip"] = true,
    ["forwarded"] = true,
    ["host"] = true,
    ["content-length"] = true,
    ["accept-encoding"] = true,
    ["expect"] = true,
    ["x-request-id"] = true,
}

local OF_THE_BODY = { ["content-type"] = true, ["content-encoding"] = true }

local NEVER_SENT_PREFIX = "^x%-[fcg][%w]+%-"
local PREFIXES = { ["x-forwarded-"] = true, ["x-consumer-"] = true, ["x-gateway-"] = true }

for name in pairs(HOP_BY_HOP) do
    NEVER_SENT[name] = true
end


local function dropped(name, connection)
    if NEVER_SENT[name] or (connection and connection[name]) then
        return true
    end
    local from, to = find(name, NEVER_SENT_PREFIX)
    return from ~= nil and PREFIXES[name:sub(1, to)] == true
end


-- Headers that the peer's Connection header names are hop-by-hop too.
local function connection_tokens(value)
    if not value then
        return nil
    end
    local tokens = {}
    for token in gmatch(lower(type(value) == "table" and concat(value, ",") or value), "[^,%s]+") do
        tokens[token] = true
    end
    return tokens
end


--- The client's headers as they go to a backend.
-- @tparam string request_id the gateway's id, sent as `x-ms-client-request-id` unless the client
--   set that header
-- @treturn string header lines, each with its line end
function _M.to_backend(request_id)
    local headers = ngx.req.get_headers(0)
    local connection = connection_tokens(headers["connection"])
    local lines, n = {}, 0
    for name, value in pairs(headers) do
        if not dropped(name, connection) then
            if type(value) == "table" then
                value = concat(value, "\r\n" .. name .. ": ")
            end
            n = n + 1
            lines[n] = name .. ": " .. (value == true and "" or value) .. "\r\n"
        end
    end
    if not headers["x-ms-client-request-id"] then
        lines[n + 1] = "x-ms-client-request-id: " .. request_id .. "\r\n"
    end
    return concat(lines)
end


--- A backend's fields for a JSON body that the gateway made out of what it sent: ids, limits and
-- retry-after go along, what tells of the body does not.
-- @tparam table fields names and values in turn
-- @treturn table the same form
function _M.as_json(fields)
    local kept, n = { "Content-Type", "application/json" }, 2
    for i = 1, #fields, 2 do
        if not OF_THE_BODY[lower(fields[i])] then
            kept[n + 1], kept[n + 2] = fields[i], fields[i + 1]
            n = n + 2
        end
    end
    return kept
end


-- A name that came twice keeps both values.
local function set(name, value)
    local present = ngx.header[name]
    if present == nil then
        ngx.header[name] = value

    elseif type(present) == "table" then
        present[#present + 1] = value
        ngx.header[name] = present

    else
        ngx.header[name] = { present, value }
    end
end


--- Copies a backend's headers to the client's answer.
-- @tparam table fields names and values in turn
-- @tparam string|nil connection the backend's Connection header: what it names is hop-by-hop too
-- @tparam boolean|nil length whether the content-length still holds
function _M.to_client(fields, connection, length)
    local seen = {}
    local named = connection_tokens(connection)
    for i = 1, #fields, 2 do
        local name, value = fields[i], fields[i + 1]
        local key = lower(name)
        if key == "x-request-id" then
            ngx.header["X-Upstream-Request-Id"] = value

        elseif not HOP_BY_HOP[key] and not (named and named[key])
            and (length or key ~= "content-length") then
            if seen[key] then
                set(name, value)

            else
                seen[key] = true
                ngx.header[name] = value
            end
        end
    end
end

return _M
