--- The engine's own settings: config.yaml, laid over APISIX's defaults by the Python side.

local _M = {
    type = "yaml",
}

local settings = {}


--- The settings as one table; a change of config.yaml is a reload of nginx, so it never changes.
function _M.local_conf()
    return settings
end


--- For the host, once, before any plugin is loaded.
function _M.set(conf)
    settings = conf
end


return _M
