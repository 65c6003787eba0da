--- Gauges about nginx itself: connections, requests, this node, shared dicts.

local ffi = require("ffi")
local utils = require("apisix.core.utils")
local version = require("apisix.core.version")

local C = ffi.C
local ipairs = ipairs
local ngx = ngx
local pairs = pairs
local pcall = pcall
local tonumber = tonumber

ffi.cdef[[
    extern uint64_t *ngx_stat_accepted;
    extern uint64_t *ngx_stat_handled;
    extern uint64_t *ngx_stat_requests;
    extern uint64_t *ngx_stat_active;
    extern uint64_t *ngx_stat_reading;
    extern uint64_t *ngx_stat_writing;
    extern uint64_t *ngx_stat_waiting;
]]

local STATES = {"active", "accepted", "handled", "reading", "writing", "waiting"}

local _M = {}

local families


--- Registers the gauges; they come first in the text.
function _M.define(store)
    families = {
        connections = store.gauge("nginx_http_current_connections", "HTTP connections by state",
                                  {"state"}),
        requests = store.gauge("http_requests_total", "Requests since the start", {}),
        node = store.gauge("node_info", "This node", {"hostname", "version"}),
        capacity = store.gauge("shared_dict_capacity_bytes", "Size of each shared dict", {"name"}),
        free = store.gauge("shared_dict_free_space_bytes", "Free bytes of each shared dict",
                           {"name"}),
    }
end


local function read_counter(name)
    local ok, value = pcall(function()
        return tonumber(C["ngx_stat_" .. name][0])
    end)
    return ok and value or 0
end


local function set(store, family, values, value)
    store.set(store.series(family, values), value)
end


--- Brings the gauges up to date.
function _M.collect(store)
    for _, state in ipairs(STATES) do
        set(store, families.connections, {state}, read_counter(state))
    end
    set(store, families.requests, {}, read_counter("requests"))
    set(store, families.node, {utils.gethostname(), version.VERSION}, 1)
    for name, dict in pairs(ngx.shared) do
        set(store, families.capacity, {name}, dict:capacity())
        set(store, families.free, {name}, dict:free_space())
    end
end


return _M
