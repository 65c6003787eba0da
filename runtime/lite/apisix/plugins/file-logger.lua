--- One JSON line per request in a file.
--
-- lite knows the formats, not the expressions (`match`, `*_expr`) and not response bodies.

local core = require("apisix.core")
local entries = require("host.log_entry")
local plugin = require("apisix.plugin")

local open = io.open

local NEEDS_APISIX = " needs the docker or apisix runtime"
local PLUGIN_NAME = "file-logger"

local schema = {
    type = "object",
    properties = {
        path = {type = "string"},
        log_format = {type = "object"},
        log_format_extra = {type = "object"},
        include_req_body = {type = "boolean", default = false},
        max_req_body_bytes = {type = "integer", minimum = 1, default = 524288},
        include_resp_body = {type = "boolean", default = false},
        max_resp_body_bytes = {type = "integer", minimum = 1, default = 524288},
    },
}

local metadata_schema = {
    type = "object",
    properties = {
        path = {type = "string"},
        log_format = {type = "object"},
        log_format_extra = {type = "object"},
    },
}

local _M = {
    version = 0.1,
    priority = 399,
    name = PLUGIN_NAME,
    schema = schema,
    metadata_schema = metadata_schema,
}


local function configured_path(conf)
    local metadata = plugin.plugin_metadata(PLUGIN_NAME)
    return conf.path or metadata and metadata.value.path
end


function _M.check_schema(conf, schema_type)
    if schema_type == core.schema.TYPE_METADATA then
        return core.schema.check(metadata_schema, conf)
    end
    for _, name in ipairs({"match", "include_req_body_expr", "include_resp_body_expr"}) do
        if conf[name] then
            return false, name .. NEEDS_APISIX
        end
    end
    if conf.include_resp_body then
        return false, "include_resp_body" .. NEEDS_APISIX
    end
    local ok, err = core.schema.check(schema, conf)
    if not ok then
        return false, err
    end
    if not configured_path(conf) then
        return false, 'property "path" is set neither here nor in the metadata'
    end
    return true
end


-- Opened for each line, so that moving the file away needs no signal; one write keeps lines whole.
local function append(path, line)
    local file, err = open(path, "a")
    if not file then
        core.log.error("failed to open file: ", path, ", error info: ", err)
        return
    end
    file:setvbuf("no")
    local ok
    ok, err = file:write(line .. "\n")
    if not ok then
        core.log.error("failed to write file: ", path, ", error info: ", err)
    end
    file:close()
end


--- Reads the body while that is still possible.
function _M.access(conf)
    if conf.include_req_body then
        ngx.req.read_body()
    end
end


function _M.log(conf, ctx)
    local metadata = plugin.plugin_metadata(PLUGIN_NAME)
    local entry = entries.make(conf, metadata and metadata.value or {}, ctx)
    append(configured_path(conf), core.json.encode(entry))
end


return _M
