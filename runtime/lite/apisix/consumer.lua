--- apisix.consumer: who may call.

local core = require("apisix.core")
local live = require("host.live")

local _M = {}


--- Consumers that an auth plugin knows: {nodes = {consumer...}, len, conf_version}, or nil.
function _M.plugin(name)
    return live.current.consumers[name]
end

_M.consumers_conf = _M.plugin


--- Makes a consumer the caller of this request.
function _M.attach_consumer(ctx, consumer, conf)
    ctx.consumer = consumer
    ctx.consumer_name = consumer.consumer_name
    ctx.consumer_group_id = consumer.group_id
    ctx.consumer_ver = conf.conf_version
    core.request.set_header(ctx, "X-Consumer-Username", consumer.username)
    core.request.set_header(ctx, "X-Credential-Identifier", consumer.credential_id)
    core.request.set_header(ctx, "X-Consumer-Custom-ID", consumer.custom_id)
end


return _M
