--- Compiles the plugin's configuration once, so that requests only look things up.
--
-- A pool holds the backends and, for every deployment name that the configuration mentions, a plan:
-- the tiers of backends to use, in order. Names that it does not mention share one plan.
-- Pools are kept by the revision that the renderer writes, so that routes and consumers that carry
-- copies of the same configuration share one rotation.

local byte = string.byte
local format = string.format
local gsub = string.gsub
local match = string.match
local sub = string.sub
local concat = table.concat
local sort = table.sort
local ipairs = ipairs
local pairs = pairs
local setmetatable = setmetatable
local tonumber = tonumber
local type = type

local LITERAL = "literal:"
local MAX_REVISIONS = 4

local _M = {}

local by_conf = setmetatable({}, { __mode = "k" })
local by_revision = {}
local revisions = {}


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


local function compile_backend(instance, index)
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
        server_name = host,
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


-- Order of use: active backends by priority; those of weight 0 only after all others; standby last.
local function tier_rank(backend)
    local rank = backend.mode == "standby" and 2 or 0
    return backend.weight == 0 and rank + 1 or rank
end


local function by_use(a, b)
    if a.rank ~= b.rank then
        return a.rank < b.rank
    end
    if a.priority ~= b.priority then
        return a.priority > b.priority
    end
    return a.backend.index < b.backend.index
end


local function make_plan(backends, deployment)
    local members, draining = {}, 0
    for _, backend in ipairs(backends) do
        if _M.serves(backend, deployment) then
            if backend.mode == "drain" then
                draining = draining + 1

            else
                members[#members + 1] = {
                    backend = backend,
                    rank = tier_rank(backend),
                    priority = backend.priority,
                    -- a tier of weight 0 only is served evenly
                    weight = backend.weight > 0 and backend.weight or 1,
                    current = 0,
                }
            end
        end
    end
    sort(members, by_use)
    local tiers = {}
    for _, member in ipairs(members) do
        local tier = tiers[#tiers]
        if not tier or tier[1].rank ~= member.rank or tier[1].priority ~= member.priority then
            tier = {}
            tiers[#tiers + 1] = tier
        end
        tier[#tier + 1] = member
    end
    return { tiers = tiers, size = #members, draining = draining }
end


local function configured_names(backends)
    local names = {}
    for _, backend in ipairs(backends) do
        for name in pairs(backend.deployments or {}) do
            names[name] = true
        end
        for name in pairs(backend.map) do
            names[name] = true
        end
    end
    return names
end


local function retries(strategy, name)
    if type(strategy) ~= "table" then
        return strategy == name
    end
    for _, entry in ipairs(strategy) do
        if entry == name then
            return true
        end
    end
    return false
end


local function compile(conf)
    local backends = {}
    for i, instance in ipairs(conf.instances) do
        backends[i] = compile_backend(instance, i)
    end
    local plans = {}
    for name in pairs(configured_names(backends)) do
        plans[name] = make_plan(backends, name)
    end
    return {
        backends = backends,
        plans = plans,
        any = make_plan(backends, nil),
        settings = conf.azure_openai,
        revision = conf.azure_openai.revision,
        keepalive_timeout = conf.keepalive_timeout or 60000,
        keepalive_pool = conf.keepalive_pool or 30,
        ssl_verify = conf.ssl_verify ~= false,
        retry_429 = retries(conf.fallback_strategy, "http_429"),
        retry_5xx = retries(conf.fallback_strategy, "http_5xx"),
    }
end


local function remember(revision, pool)
    by_revision[revision] = pool
    revisions[#revisions + 1] = revision
    if #revisions > MAX_REVISIONS then
        by_revision[table.remove(revisions, 1)] = nil
    end
end


--- Whether a plugin configuration is one for this driver.
-- @tparam table conf configuration of `ai-proxy-multi`
-- @treturn boolean
function _M.is_ours(conf)
    local first = conf.instances and conf.instances[1]
    return conf.azure_openai ~= nil and first ~= nil and first.provider == "dynamic-azure-openai"
end


--- The pool of a configuration, compiled on first use.
-- @tparam table conf configuration of `ai-proxy-multi`
-- @treturn table pool
function _M.pool(conf)
    local pool = by_conf[conf]
    if pool then
        return pool
    end
    local revision = conf.azure_openai.revision
    pool = revision and by_revision[revision]
    if not pool then
        pool = compile(conf)
        if revision then
            remember(revision, pool)
        end
    end
    by_conf[conf] = pool
    return pool
end


--- The plan for a deployment.
-- @tparam table pool
-- @tparam string|nil deployment
-- @treturn table `{tiers = {{member, ...}, ...}, size, draining}`
-- @treturn boolean whether the configuration mentions the name
function _M.plan(pool, deployment)
    local plan = deployment and pool.plans[deployment]
    if plan then
        return plan, true
    end
    return pool.any, false
end


--- Checks what APISIX's own schema of `ai-proxy-multi` leaves open.
-- @tparam table conf
-- @treturn boolean
-- @treturn string|nil what is wrong
function _M.check(conf)
    for _, instance in ipairs(conf.instances) do
        local _, host = parse_endpoint(instance.override and instance.override.endpoint)
        if not host then
            return false, "instance '" .. instance.name .. "': override.endpoint must be "
                .. "scheme://host[:port]"
        end
    end
    return true
end

return _M
