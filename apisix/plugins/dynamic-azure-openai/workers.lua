--- Which revision of the configuration each worker serves.
--
-- APISIX reports a worker as ready when it has read its file; routes follow up to a second later.
-- Every worker writes the revision that its own router holds into the shared dict `gateway-state`,
-- so that whoever starts the engine or changes its files can wait for what is really live.

local router = require("apisix.router")
local backends = require("apisix.plugins.dynamic-azure-openai.backends")

local ngx = ngx
local shared = ngx.shared
local ipairs = ipairs

local DICT = "gateway-state"
local PREFIX = "worker:"
local REPORT_SECONDS = 0.25

local _M = {}

local armed = false


--- The pool of the routes that this worker's router holds.
-- @treturn table|nil
function _M.pool()
    for _, route in ipairs(router.http_routes() or {}) do
        local plugins = route.value and route.value.plugins
        local conf = plugins and plugins["ai-proxy-multi"]
        if conf and backends.is_ours(conf) then
            return backends.pool(conf)
        end
    end
    return nil
end


local function report(premature)
    local id = ngx.worker.id()
    -- a worker that is going away must not speak for the one that takes its number
    if premature or not id or ngx.worker.exiting() then
        return
    end
    local pool = _M.pool()
    shared[DICT]:set(PREFIX .. id, pool and pool.revision or "")
end


--- Starts to report; does nothing the second time, nor in a process that has no workers' work.
function _M.watch()
    if not armed and ngx.get_phase() ~= "init" then
        armed = ngx.timer.every(REPORT_SECONDS, report) and true or false
    end
end


--- What the workers reported.
-- @treturn table list of revisions by worker, "" where none is known
function _M.revisions()
    local list = {}
    for i = 1, ngx.worker.count() do
        list[i] = shared[DICT]:get(PREFIX .. (i - 1)) or ""
    end
    return list
end

return _M
