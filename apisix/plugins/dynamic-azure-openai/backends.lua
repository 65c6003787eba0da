--- Compiles the plugin's configuration once, so that requests only look things up.
--
-- A pool holds the backends and, for every deployment name that the configuration mentions, a plan:
-- the tiers of backends to use, in order. Names that it does not mention share one plan.
-- Pools are kept by the revision that the renderer writes, so that routes and consumers that carry
-- copies of the same configuration share one rotation.

local backend_mod = require("apisix.plugins.dynamic-azure-openai.backend")

local sort = table.sort
local ipairs = ipairs
local pairs = pairs
local setmetatable = setmetatable
local type = type

local MAX_REVISIONS = 4

local _M = {}

local by_conf = setmetatable({}, { __mode = "k" })
local by_revision = {}
local revisions = {}


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
        if backend_mod.serves(backend, deployment) then
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
        backends[i] = backend_mod.compile(instance, i)
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


return _M
