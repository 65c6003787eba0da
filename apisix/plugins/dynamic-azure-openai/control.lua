--- The control listener: what operators may ask, on loopback only.
--
-- `GET /backends`: every backend with its place in the order and what happened to it, and the
-- revision that each worker serves. No key, no endpoint: APISIX's own control API hands out both,
-- so it stays off.

local cjson = require("cjson.safe")
local messages = require("apisix.plugins.dynamic-azure-openai.messages")
local metrics = require("apisix.plugins.dynamic-azure-openai.metrics")
local workers = require("apisix.plugins.dynamic-azure-openai.workers")

local ngx = ngx
local gmatch = string.gmatch
local ipairs = ipairs
local tonumber = tonumber

local _M = {}


-- The counters hold all workers' attempts; reading them is rare, so they are not kept twice.
local function read_attempts()
    local attempts, failures, in_flight = {}, {}, {}
    local text = metrics.text()
    for name, outcome, n in gmatch(text, 'gateway_attempts_total{backend="([^"]*)",'
                                   .. 'deployment="[^"]*",outcome="([^"]*)"} (%d+)') do
        attempts[name] = (attempts[name] or 0) + tonumber(n)
        if tonumber(outcome) == nil or tonumber(outcome) >= 400 then
            failures[name] = (failures[name] or 0) + tonumber(n)
        end
    end
    for name, n in gmatch(text, 'gateway_requests_in_flight{backend="([^"]*)"} (%-?%d+)') do
        in_flight[name] = tonumber(n)
    end
    return attempts, failures, in_flight
end


local function describe(pool)
    local attempts, failures, in_flight = read_attempts()
    local list = {}
    for i, backend in ipairs(pool.backends) do
        list[i] = {
            name = backend.name,
            priority = backend.priority,
            weight = backend.weight,
            mode = backend.mode,
            region = backend.region,
            capacity = backend.capacity,
            attempts = attempts[backend.name] or 0,
            failures = failures[backend.name] or 0,
            in_flight = in_flight[backend.name] or 0,
        }
    end
    return { backends = list, revision = pool.revision, workers = workers.revisions() }
end


--- Answers a request to the listener.
function _M.handle()
    ngx.header["Content-Type"] = "application/json"
    local pool = ngx.var.uri == "/backends" and workers.pool()
    if not pool then
        local status, body = messages.error("not_found")
        ngx.status = status
        return ngx.say(body)
    end
    return ngx.say(cjson.encode(describe(pool)))
end

return _M
