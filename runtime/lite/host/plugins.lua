--- Loads the plugins that config.yaml enables and checks configurations against them.
--
-- A plugin is ours (the gateway's Lua path) or one that lite brings along; any other enabled name
-- is fine until a route or consumer uses it.

local config = require("apisix.core.config_local")
local log = require("apisix.core.log")

local ipairs = ipairs
local pairs = pairs
local pcall = pcall
local sort = table.sort
local tostring = tostring
local type = type

local NEEDS_APISIX = " needs the docker or apisix runtime"

local _M = {}

local loaded = {}
local enabled = {}

local META_SCHEMA = {
    type = "object",
    properties = {
        disable = {type = "boolean"},
        priority = {type = "integer"},
    },
    additionalProperties = false,
}


local function available(name)
    return package.searchpath("apisix.plugins." .. name, package.path) ~= nil
end


local function defect(plugin)
    if type(plugin) ~= "table" then
        return "is not a table"
    end
    if not plugin.priority or not plugin.version then
        return "has no priority or no version"
    end
    if type(plugin.schema) ~= "table" then
        return "has no schema"
    end
    if plugin.body_filter or plugin.delayed_body_filter then
        return "filters bodies, which runtime lite does not do"
    end
end


local function load_one(name)
    local ok, plugin = pcall(require, "apisix.plugins." .. name)
    if not ok then
        return nil, "plugin " .. name .. " does not load: " .. tostring(plugin)
    end
    local reason = defect(plugin)
    if reason then
        return nil, "plugin " .. name .. " " .. reason
    end
    plugin.schema.properties = plugin.schema.properties or {}
    plugin.schema.properties._meta = META_SCHEMA
    plugin.name = name
    plugin.attr = _M.attr(name)
    return plugin
end


--- Settings of a plugin from config.yaml (`plugin_attr`), or nil.
function _M.attr(name)
    local attrs = config.local_conf().plugin_attr
    return attrs and attrs[name]
end


--- Loads every enabled plugin that is there; `init` runs their init functions, which a mere check
-- must not. Returns true, or nil and the reason.
function _M.load(init)
    for _, name in ipairs(config.local_conf().plugins or {}) do
        enabled[name] = true
        if not loaded[name] and available(name) then
            local plugin, err = load_one(name)
            if not plugin then
                return nil, err
            end
            loaded[name] = plugin
            if init and plugin.init then
                plugin.init()
            end
        end
    end
    return true
end


function _M.get(name)
    return loaded[name]
end


local function check_one(name, conf, schema_type)
    if not enabled[name] then
        return nil, "plugin " .. name .. " is not in the list of plugins of config.yaml"
    end
    local plugin = loaded[name]
    if not plugin then
        return nil, "plugin " .. name .. NEEDS_APISIX
    end
    if type(conf) ~= "table" then
        return nil, "plugin " .. name .. ": the configuration is not an object"
    end
    if plugin.check_schema then
        local ok, err = plugin.check_schema(conf, schema_type)
        if not ok then
            return nil, "plugin " .. name .. ": " .. tostring(err)
        end
    end
    return true
end


--- Checks {name = conf} and fills in defaults; nil and the reason when one is refused.
function _M.check(confs, schema_type)
    for name, conf in pairs(confs or {}) do
        local ok, err = check_one(name, conf, schema_type)
        if not ok then
            return nil, err
        end
    end
    return true
end


local function priority_of(plugin, conf)
    return conf._meta and conf._meta.priority or plugin.priority
end


--- The plugins of a route in the order in which they run: {{plugin, conf}, ...}.
function _M.ordered(confs)
    local list = {}
    for name, conf in pairs(confs or {}) do
        local plugin = loaded[name]
        if not (conf._meta and conf._meta.disable) then
            list[#list + 1] = {plugin = plugin, conf = conf, priority = priority_of(plugin, conf)}
        end
    end
    sort(list, function(a, b)
        if a.priority ~= b.priority then
            return a.priority > b.priority
        end
        return a.plugin.name < b.plugin.name
    end)
    return list
end


--- Calls `hook` of every loaded plugin that has it; used at a worker's end.
function _M.each(hook)
    for name, plugin in pairs(loaded) do
        if plugin[hook] then
            local ok, err = pcall(plugin[hook])
            if not ok then
                log.error("plugin ", name, " failed in ", hook, ": ", err)
            end
        end
    end
end


return _M
