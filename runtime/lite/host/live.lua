--- The tables in use: routes, consumers, plugin metadata. One set at a time, swapped as a whole.
--
-- A set is {version, routes, router, consumers, metadata}; a request that runs keeps what it got.

local phases = require("host.phases")
local plugins = require("host.plugins")
local router = require("host.router")

local cjson = require("cjson.safe")
local clone = require("table.clone")

local ipairs = ipairs
local open = io.open
local pairs = pairs
local setmetatable = setmetatable
local tonumber = tonumber
local tostring = tostring
local match = string.match

local TYPE_CONSUMER = 1
local TYPE_METADATA = 2
local HEAD_BYTES = 64

local _M = {
    current = {version = 0, routes = {}, consumers = {}, metadata = {}, router = router.new({})},
}


-- As APISIX does it: a plugin finds the resource that its conf belongs to.
local function set_parent(confs, item)
    local parent = {resource_key = item.key, resource_version = tostring(item.modifiedIndex)}
    for _, conf in pairs(confs or {}) do
        conf._meta = setmetatable(conf._meta or {}, {__index = {parent = parent}})
    end
end


local function build_metadata(set, list)
    for _, conf in ipairs(list) do
        local plugin = plugins.get(conf.id)
        if plugin and plugin.check_schema then
            local ok, err = plugin.check_schema(conf, TYPE_METADATA)
            if not ok then
                return nil, "plugin_metadata " .. conf.id .. ": " .. tostring(err)
            end
        end
        set.metadata[conf.id] = {
            value = conf,
            key = "/plugin_metadata/" .. conf.id,
            modifiedIndex = set.version,
        }
    end
    return true
end


local function build_route(set, route)
    local ok, err = plugins.check(route.plugins)
    if not ok then
        return nil, "route " .. route.id .. ": " .. err
    end
    local item = {value = route, key = "/routes/" .. route.id, modifiedIndex = set.version}
    item.plan = phases.plan(plugins.ordered(route.plugins))
    set_parent(route.plugins, item)
    return item
end


local function add_consumer(set, value, name, conf)
    local list = set.consumers[name]
    if not list then
        list = {nodes = {}, len = 0, conf_version = set.version}
        set.consumers[name] = list
    end
    local consumer = clone(value)
    consumer.consumer_name = value.id
    consumer.auth_conf = conf
    consumer.modifiedIndex = set.version
    consumer.custom_id = value.labels and value.labels.custom_id
    list.len = list.len + 1
    list.nodes[list.len] = consumer
end


local function build_consumer(set, value)
    value.id = value.username
    local ok, err = plugins.check(value.plugins, TYPE_CONSUMER)
    if not ok then
        return nil, "consumer " .. value.username .. ": " .. err
    end
    for name, conf in pairs(value.plugins or {}) do
        if plugins.get(name).type ~= "auth" then
            return nil, "consumer " .. value.username .. ": plugin " .. name
                        .. " on a consumer needs the docker or apisix runtime"
        end
        add_consumer(set, value, name, conf)
    end
    return true
end


local function build_consumers(set, list)
    for _, value in ipairs(list) do
        local ok, err = build_consumer(set, value)
        if not ok then
            return nil, err
        end
    end
    return true
end


local function fill(set, doc)
    local err
    for i, route in ipairs(doc.routes or {}) do
        set.routes[i], err = build_route(set, route)
        if not set.routes[i] then
            return nil, err
        end
    end
    return build_consumers(set, doc.consumers or {})
end


--- Builds a set from a decoded lite.json, or returns nil and one line that says what is wrong.
function _M.build(doc)
    local set = {version = doc.version, routes = {}, consumers = {}, metadata = {}}
    local ok, err = build_metadata(set, doc.plugin_metadata or {})
    if not ok then
        return nil, err
    end
    -- checks of a plugin's conf may ask for the metadata that comes with it
    _M.pending = set
    ok, err = fill(set, doc)
    _M.pending = nil
    if not ok then
        return nil, err
    end
    set.router, err = router.new(set.routes)
    if not set.router then
        return nil, err
    end
    return set
end


--- Plugin metadata of the set that is being checked, else of the one in use.
function _M.metadata(name)
    return (_M.pending or _M.current).metadata[name]
end


--- Version of the document on disk without reading all of it, or nil.
function _M.version_on_disk(path)
    local file = open(path, "rb")
    if not file then
        return nil
    end
    local head = file:read(HEAD_BYTES)
    file:close()
    return head and tonumber(match(head, '^{"version": ?(%d+)'))
end


--- Reads and builds the document at a path, or returns nil and the reason.
function _M.read(path)
    local file, err = open(path, "rb")
    if not file then
        return nil, err
    end
    local text = file:read("*a")
    file:close()
    local doc
    doc, err = cjson.decode(text)
    if not doc then
        return nil, path .. ": " .. err
    end
    return _M.build(doc)
end


return _M
