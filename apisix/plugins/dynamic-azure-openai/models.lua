--- `GET /openai/v1/models` (and `/openai/models`): the union over the backends.
--
-- Entries are copied as bytes, never decoded and encoded again. A backend with a list of
-- deployments contributes only those, and a mapped deployment appears under the client's name
-- for it. The result is kept for a minute; backends that fail are left out, and only when all fail
-- does the client see an error.

local cjson = require("cjson.safe")
local json_scan = require("apisix.plugins.dynamic-azure-openai.json_scan")
local messages = require("apisix.plugins.dynamic-azure-openai.messages")
local transport = require("apisix.plugins.dynamic-azure-openai.transport")

local ngx = ngx
local sub = string.sub
local concat = table.concat
local ipairs = ipairs
local pairs = pairs
local setmetatable = setmetatable
local type = type
local min = math.min

local CACHE_SECONDS = 60
-- a list that lacks a backend which is down must not outlive it for long
local PARTIAL_CACHE_SECONDS = 5
-- a model may think for minutes, a list is there or it is not
local READ_TIMEOUT_MS = 5000
local BODY_LIMIT = 8 * 1048576
local DATA = { data = true }
local ID = { id = true }

local _M = {}

local cache = setmetatable({}, { __mode = "k" })


local function renamed(entry, first, last, id)
    return sub(entry, 1, first - 1) .. cjson.encode(id) .. sub(entry, last + 1)
end


-- Puts an entry under every name that clients may use for it.
local function add(union, backend, entry, first, last, id)
    local listed = backend.deployments
    if not listed or listed[id] then
        union[id] = union[id] or entry
    end
    for client, name in pairs(backend.map) do
        if name == id then
            union[client] = union[client] or renamed(entry, first, last, client)
        end
    end
end


--- Adds one backend's list to a union.
-- @tparam table union entries by id
-- @tparam table backend a compiled backend
-- @tparam string body its answer
-- @treturn boolean whether it was a list
function _M.merge(union, backend, body)
    local first = json_scan.members(body, DATA)
    local spans = first and first.data and json_scan.elements(body, first.data)
    if not spans then
        return false
    end
    for i = 1, #spans, 2 do
        local entry = sub(body, spans[i], spans[i + 1])
        local at, stop = json_scan.members(entry, ID)
        local id = at and at.id and cjson.decode(sub(entry, at.id, stop.id))
        if type(id) == "string" then
            add(union, backend, entry, at.id, stop.id, id)
        end
    end
    return true
end


--- The list as JSON, sorted by id.
-- @tparam table union entries by id
-- @treturn string
function _M.render(union)
    local ids, entries = {}, {}
    for id in pairs(union) do
        ids[#ids + 1] = id
    end
    table.sort(ids)
    for i, id in ipairs(ids) do
        entries[i] = union[id]
    end
    return '{"object":"list","data":[' .. concat(entries, ",") .. "]}"
end


local function impatient(pool)
    local settings = { read_timeout_ms = min(pool.settings.read_timeout_ms, READ_TIMEOUT_MS) }
    return setmetatable({ settings = setmetatable(settings, { __index = pool.settings }) },
                        { __index = pool })
end


-- None of the client's headers goes along: a range or a condition would spoil the list of others.
local function fetch(r, pool, backend)
    -- the v1 routes of a backend refuse the api-versions of the older ones
    local args = not r.route.versioned and r.args
    local target = "/openai/v1/models" .. (args and "?" .. args or "")
    local res, err = transport.request(backend, pool, "GET " .. target .. " HTTP/1.1\r\n"
        .. "x-ms-client-request-id: " .. r.request_id .. "\r\n")
    if not res then
        return nil, err
    end
    local body
    body, err = transport.read_all(res, BODY_LIMIT, READ_TIMEOUT_MS)
    transport.done(res)
    if not body or res.status ~= 200 then
        return nil, err or res.status
    end
    return body
end


-- Returns the list, and for how long it may be kept; nil when no backend answered.
local function collect(r)
    local threads, union, reached = {}, {}, 0
    local pool = impatient(r.pool)
    for _, backend in ipairs(r.pool.backends) do
        if backend.mode ~= "drain" then
            threads[#threads + 1] = { ngx.thread.spawn(fetch, r, pool, backend), backend }
        end
    end
    for _, entry in ipairs(threads) do
        local ok, body = ngx.thread.wait(entry[1])
        if ok and body and _M.merge(union, entry[2], body) then
            reached = reached + 1
        end
    end
    if reached == 0 then
        return nil
    end
    return _M.render(union), reached == #threads and CACHE_SECONDS or PARTIAL_CACHE_SECONDS
end


--- Answers the list.
-- @tparam table r request state
-- @treturn number status
-- @treturn string body
function _M.answer(r)
    local kept = cache[r.pool]
    ngx.header["Content-Type"] = "application/json"
    ngx.header["X-Request-Id"] = r.request_id
    if kept and kept.until_time > ngx.now() then
        return 200, kept.body
    end
    local body, seconds = collect(r)
    if not body then
        return messages.error("backend_unreachable")
    end
    cache[r.pool] = { body = body, until_time = ngx.now() + seconds }
    return 200, body
end

return _M
