--- One backend, compiled from an instance of the plugin's configuration.

local byte = string.byte
local format = string.format
local gsub = string.gsub
local match = string.match
local sub = string.sub
local concat = table.concat
local ipairs = ipairs
local pairs = pairs
local tonumber = tonumber
local type = type

local LITERAL = "literal:"

local _M = {}


-- The engine resolves strings that begin with `$env://` and the like; the renderer protects a
-- user's value by this prefix.
local function plain(value)
    if type(value) == "string" and sub(value, 1, #LITERAL) == LITERAL then
        return sub(value, #LITERAL + 1)
    end
    return value
end


local function escape_segment(name)
    return (gsub(name, "[^%w%-%._~]", function(c)
        return format("%%%02X", byte(c))
    end))
end


local function parse_endpoint(endpoint)
    local scheme, rest = match(endpoint or "", "^(https?)://([^/]+)$")
    local host, port = match(rest or "", "^(%[.-%]):?(%d*)$")
    if not host then
        host, port = match(rest or "", "^([^:]+):?(%d*)$")
    end
    local default = scheme == "https" and 443 or 80
    return scheme, host, tonumber(port) or default, default
end


local function deployment_set(provider_conf)
    local names = provider_conf.deployments
    if not names then
        return nil
    end
    local set = {}
    for _, name in ipairs(names) do
        set[plain(name)] = true
    end
    return set
end


local function deployment_map(provider_conf)
    local map, path = {}, {}
    for client, backend in pairs(provider_conf.deployment_map or {}) do
        local name = plain(backend)
        map[plain(client)] = name
        path[plain(client)] = escape_segment(name)
    end
    return map, path
end


-- The part of the request head that never changes for this backend.
local function fixed_headers(host_header, auth)
    local lines = { "host: ", host_header, "\r\naccept-encoding: identity\r\n" }
    for name, value in pairs(auth and auth.header or {}) do
        lines[#lines + 1] = name .. ": " .. plain(value) .. "\r\n"
    end
    return concat(lines)
end


--- Compiles one instance.
-- @tparam table instance as in the plugin's configuration
-- @tparam number index its place there
-- @treturn table backend
function _M.compile(instance, index)
    local provider_conf = instance.provider_conf or {}
    local scheme, host, port, default_port = parse_endpoint(instance.override.endpoint)
    local map, map_path = deployment_map(provider_conf)
    local host_header = port == default_port and host or host .. ":" .. port
    local tls = scheme == "https"
    return {
        index = index,
        name = instance.name,
        instance = instance,
        tls = tls,
        -- the engine's resolver does not read the hosts file on every runtime
        host = host == "localhost" and "127.0.0.1" or host,
        port = port,
        server_name = gsub(host, "[%[%]]", ""),
        socket_pool = scheme .. "://" .. host .. ":" .. port,
        head = fixed_headers(host_header, instance.auth),
        priority = instance.priority or 0,
        weight = instance.weight,
        mode = provider_conf.mode or "active",
        deployments = deployment_set(provider_conf),
        map = map,
        map_path = map_path,
        api_version = plain(provider_conf.api_version),
        region = plain(provider_conf.region),
        capacity = provider_conf.capacity,
    }
end


--- Whether a backend serves a deployment.
-- @tparam table backend a compiled backend
-- @tparam string|nil deployment the client's name; nil means a name that nobody configured
-- @treturn boolean
function _M.serves(backend, deployment)
    local set = backend.deployments
    if not set then
        return true
    end
    return deployment ~= nil and (set[deployment] or backend.map[deployment] ~= nil)
end


return _M
