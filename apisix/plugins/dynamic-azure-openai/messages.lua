--- What the gateway itself says to clients: errors in the shape that OpenAI and Azure use.
--
-- `{"error":{"code":..,"message":..,"type":..}}`, application/json. No message names a backend's
-- address or secret; backend names are for operators and appear in logs only.

local cjson = require("cjson.safe")

local encode = cjson.encode

local _M = {}

local TYPES = {
    [400] = "invalid_request_error",
    [401] = "authentication_error",
    [403] = "permission_error",
    [404] = "not_found_error",
    [405] = "invalid_request_error",
    [413] = "invalid_request_error",
    [415] = "invalid_request_error",
    [429] = "rate_limit_error",
}

--- Messages by code; the status is theirs too.
_M.CATALOGUE = {
    invalid_api_key = { 401, "Access denied: no valid API key was sent. Send it as "
        .. "'Authorization: Bearer <key>' or 'api-key: <key>'." },
    invalid_path = { 400, "The path contains an encoded slash, a backslash or a dot segment." },
    invalid_json = { 400, "The request body is not a JSON object." },
    duplicate_member = { 400, "The request body has more than one top-level 'model'." },
    missing_model = { 400, "The request body has no top-level 'model'; on this route it is the "
        .. "name of the deployment." },
    unsupported_media_type = { 415, "This operation takes application/json." },
    request_too_large = { 413, "The request body is larger than this gateway accepts." },
    body_unreadable = { 400, "The request body could not be read." },
    not_found = { 404, "Resource not found." },
    method_not_allowed = { 405, "This operation does not take that method." },
    DeploymentNotFound = { 404, "The API deployment for this resource does not exist: no backend "
        .. "of this gateway serves it." },
    backends_draining = { 503, "All backends that serve this deployment are draining." },
    backend_auth_failed = { 502, "The gateway's own credentials were refused by the backend; "
        .. "your key is not at fault." },
    backend_unreachable = { 502, "No backend could be reached." },
    backend_timeout = { 504, "No backend answered in time." },
    backend_error = { 502, "The backend's answer could not be read." },
    stream_interrupted = { 502, "The stream was interrupted by the backend." },
    internal_error = { 500, "The gateway failed on this request." },
}


--- An error body.
-- @tparam number status
-- @tparam string code
-- @tparam string message
-- @treturn string JSON
function _M.body(status, code, message)
    return encode({
        error = {
            code = code,
            message = message,
            type = TYPES[status] or "server_error",
        },
    })
end


local bodies = {}
for code, entry in pairs(_M.CATALOGUE) do
    bodies[code] = _M.body(entry[1], code, entry[2])
end


--- A catalogued error.
-- @tparam string code a key of `CATALOGUE`
-- @treturn number status
-- @treturn string JSON body
function _M.error(code)
    return _M.CATALOGUE[code][1], bodies[code]
end


--- The event that ends a stream which was cut after something had been flushed.
-- @tparam boolean at_boundary whether the bytes sent so far end with a complete event
-- @treturn string bytes of one SSE event
function _M.stream_error(at_boundary)
    return (at_boundary and "" or "\n\n") .. "data: " .. bodies.stream_interrupted .. "\n\n"
end

return _M
