--- The prometheus plugin: records each request of the routes that enable it.

local core = require("apisix.core")
local exporter = require("apisix.plugins.prometheus.exporter")

local schema = {
    type = "object",
    properties = {
        prefer_name = {
            type = "boolean",
            default = false,
            description = "label by the route's name instead of its id",
        },
    },
}

local _M = {
    version = 0.2,
    priority = 500,
    name = "prometheus",
    schema = schema,
    log = exporter.http_log,
}


function _M.check_schema(conf)
    return core.schema.check(schema, conf)
end


return _M
