--- The answer when plugin code raises.

local core = require("apisix.core")

local ngx = ngx

local _M = {}

local BODY = [[{"error":{"code":"internal_error","message":"The gateway failed while handling ]]
    .. [[this request.","type":"server_error"}}]] .. "\n"


--- Logs the traceback and answers 500 in the shape of OpenAI's errors; a response that has begun
-- is cut instead, so that nobody takes it for complete.
function _M.answer(ctx, err)
    core.log.error("plugin ", ctx._plugin_name or "host", " failed: ", err)
    if ngx.headers_sent then
        return ngx.exit(ngx.ERROR)
    end
    core.response.set_header("Content-Type", "application/json")
    return core.response.exit(500, BODY)
end


return _M
