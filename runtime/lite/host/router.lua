--- Finds the route of a path as APISIX's radixtree_uri does.
--
-- An exact path first, then wildcards, the longest text before the `*` first. Among the same text
-- before the `*`, the higher route priority, then the longer path, then the order of the file.
-- A `*` at the start of a later segment takes any text, slashes included.

local expr = require("host.expr")

local ipairs = ipairs
local pairs = pairs
local re_gsub = ngx.re.gsub
local re_find = ngx.re.find
local sort = table.sort
local sub = string.sub
local find = string.find

local _M = {}


local function method_set(methods)
    if not methods or #methods == 0 then
        return nil
    end
    local set = {}
    for _, method in ipairs(methods) do
        set[method] = true
    end
    return set
end


-- The regular expression for a path whose `*` is not its last character; nil otherwise.
local function inner_pattern(path, star)
    if star == #path then
        return nil
    end
    local quoted = re_gsub(path, [[[.\\+?^$()\[\]{}|]|\*]], "\\$0", "jo")
    return "^" .. re_gsub(quoted, [[(?<=/)\\\*[^/]*]], "[\\s\\S]*", "jo") .. "$"
end


local function insert(bucket, key, entry)
    local list = bucket[key]
    if not list then
        list = {}
        bucket[key] = list
    end
    entry.order = #list
    list[#list + 1] = entry
end


local function add_path(router, path, shared)
    local star = find(path, "*", 1, true)
    local entry = {
        path = path,
        route = shared.route,
        methods = shared.methods,
        vars = shared.vars,
        priority = shared.priority,
        pattern = star and inner_pattern(path, star),
    }
    if not star then
        insert(router.exact, path, entry)
        return
    end
    local prefix = sub(path, 1, star - 1)
    if not router.by_length[#prefix] then
        router.by_length[#prefix] = {}
        router.lengths[#router.lengths + 1] = #prefix
    end
    insert(router.by_length[#prefix], prefix, entry)
end


local function before(a, b)
    if a.priority ~= b.priority then
        return a.priority > b.priority
    end
    if #a.path ~= #b.path then
        return #a.path > #b.path
    end
    return a.order < b.order
end


local function arrange(router)
    sort(router.lengths, function(a, b) return a > b end)
    for _, list in pairs(router.exact) do
        sort(list, before)
    end
    for _, bucket in pairs(router.by_length) do
        for _, list in pairs(bucket) do
            sort(list, before)
        end
    end
end


--- Builds a router from route items ({value = route, ...}), or returns nil and the reason.
function _M.new(items)
    local router = {exact = {}, by_length = {}, lengths = {}}
    for _, item in ipairs(items) do
        local route = item.value
        local vars, err
        if route.vars then
            vars, err = expr.new(route.vars)
            if not vars then
                return nil, "route " .. route.id .. ": " .. err
            end
        end
        if route.status ~= 0 then
            local shared = {
                route = item,
                methods = method_set(route.methods),
                vars = vars,
                priority = route.priority or 0,
            }
            for _, path in ipairs(route.uris or {route.uri}) do
                add_path(router, path, shared)
            end
        end
    end
    arrange(router)
    return router
end


local function choose(list, path, method, var)
    for i = 1, #list do
        local entry = list[i]
        if (not entry.methods or entry.methods[method])
           and (not entry.vars or expr.eval(entry.vars, var))
           and (not entry.pattern or re_find(path, entry.pattern, "jo")) then
            return entry
        end
    end
end


--- The entry ({route = item, path = its pattern}) that serves a path, or nil.
function _M.match(router, path, method, var)
    local list = router.exact[path]
    local entry = list and choose(list, path, method, var)
    if entry then
        return entry
    end
    local lengths = router.lengths
    for i = 1, #lengths do
        local length = lengths[i]
        if length <= #path then
            list = router.by_length[length][sub(path, 1, length)]
            entry = list and choose(list, path, method, var)
            if entry then
                return entry
            end
        end
    end
end


return _M
