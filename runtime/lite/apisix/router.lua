--- apisix.router: the routes in use.

local live = require("host.live")

local _M = {}


--- Routes as {value = route, key = "/routes/id", modifiedIndex = n}, and their version.
function _M.http_routes()
    local current = live.current
    return current.routes, current.version
end


return _M
