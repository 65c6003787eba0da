--- Start of the master, of workers, and their end; picks up new routes while they run.

local config = require("apisix.core.config_local")
local live = require("host.live")
local log = require("apisix.core.log")
local plugins = require("host.plugins")
local sockets = require("host.sockets")
local status = require("host.status")
local version = require("apisix.core.version")

local cjson = require("cjson.safe")

local error = error
local ngx = ngx
local open = io.open
local pcall = pcall
local randomseed = math.randomseed
local byte = string.byte

local POLL_SECONDS = 0.5
local FLUSH_SECONDS = 1

local _M = {
    server_name = "APISIX",
}

local routes_path
local refused


local function read_settings(path)
    local file, err = open(path, "rb")
    if not file then
        error("cannot read " .. path .. ": " .. err, 0)
    end
    local text = file:read("*a")
    file:close()
    local doc
    doc, err = cjson.decode(text)
    if not doc then
        error("cannot read " .. path .. ": " .. err, 0)
    end
    return doc
end


--- In init_by_lua, after the module hook: settings from `dir`/config.json.
function _M.init(dir)
    local doc = read_settings(dir .. "/config.json")
    routes_path = dir .. "/lite.json"
    config.set(doc.local_conf)
    status.generation = doc.generation
    local apisix = doc.local_conf.apisix or {}
    if apisix.enable_server_tokens ~= false then
        _M.server_name = "APISIX/" .. version.VERSION
    end
    sockets.patch()
end


-- A document that this worker cannot use was refused before it was published; should one come all
-- the same, the old tables stay and it is said once.
local function load_routes()
    local on_disk = live.version_on_disk(routes_path)
    if not on_disk or on_disk == live.current.version or on_disk == refused then
        return
    end
    local ok, set, err = pcall(live.read, routes_path)
    if not ok or not set then
        refused = on_disk
        log.error("routes of version ", on_disk, " are refused: ", ok and err or set)
        return
    end
    live.current = set
    status.report(set.version)
end


local function poll(premature)
    if not premature then
        load_routes()
    end
end


local function flush(premature)
    local store = package.loaded["host.metrics_store"]
    if store and not premature then
        store.flush()
    end
end


local function seed()
    local file = open("/dev/urandom", "rb")
    local bytes = file and file:read(4)
    if file then
        file:close()
    end
    if not bytes then
        return ngx.now() * 1000 + ngx.worker.pid()
    end
    local a, b, c, d = byte(bytes, 1, 4)
    return ((a * 256 + b) * 256 + c) * 128 + d
end


--- In init_worker_by_lua: plugins, then the routes before the first request, then the timers.
function _M.init_worker()
    status.report(nil)
    randomseed(seed())
    local ok, err = plugins.load(true)
    if not ok then
        log.error(err)
        return
    end
    load_routes()
    ngx.timer.every(POLL_SECONDS, poll)
    ngx.timer.every(FLUSH_SECONDS, flush)
end


--- In exit_worker_by_lua: what this worker counted must not be lost.
function _M.exit_worker()
    flush(false)
    plugins.each("destroy")
end


return _M
