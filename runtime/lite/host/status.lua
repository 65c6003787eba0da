--- The status listener, and what workers report to it.

local core = require("apisix.core")

local ngx = ngx

local dict = ngx.shared["status-report"]

local _M = {
    generation = 0,
}


local function key(id)
    return _M.generation .. ":" .. id
end


--- A worker says which version of the routes it serves; nil while it has none.
function _M.report(version)
    if version then
        dict:set(key(ngx.worker.id()), version)

    else
        dict:delete(key(ngx.worker.id()))
    end
end


function _M.alive()
    core.response.set_header("Content-Type", "application/json")
    core.response.exit(200, {status = "ok"})
end


-- The oldest version that any worker serves, or nil and the reason.
local function oldest_version()
    local oldest
    for id = 0, ngx.worker.count() - 1 do
        local version = dict:get(key(id))
        if not version then
            return nil, "worker id: " .. id .. " has not received configuration"
        end
        if not oldest or version < oldest then
            oldest = version
        end
    end
    return oldest
end


--- 200 when every worker of this generation has routes; the header tells `gateway up` which.
function _M.ready()
    core.response.set_header("Content-Type", "application/json")
    local version, err = oldest_version()
    if not version then
        return core.response.exit(503, {status = "error", error = err})
    end
    core.response.set_header("X-Config-Version", version, "X-Config-Generation", _M.generation)
    return core.response.exit(200, {status = "ok"})
end


return _M
