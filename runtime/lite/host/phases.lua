--- Runs a route's plugins phase by phase.
--
-- A plan is made once per route and configuration: for each phase a flat list name, function,
-- conf, ... in the order of priority, so a request neither sorts nor looks anything up.

local log = require("apisix.core.log")
local response = require("apisix.core.response")

local ipairs = ipairs

local _M = {}

local PHASES = {
    "rewrite", "access", "before_proxy", "header_filter", "log", "lua_body_filter",
}


local function phase_list(ordered, phase)
    local list, n = {}, 0
    for _, entry in ipairs(ordered) do
        local func = entry.plugin[phase]
        if func then
            list[n + 1] = entry.plugin.name
            list[n + 2] = func
            list[n + 3] = entry.conf
            n = n + 3
        end
    end
    list.n = n
    return list
end


--- The plan of plugins in running order; `flat` is what APISIX keeps as ctx.plugins.
function _M.plan(ordered)
    local plan = {flat = {}}
    for _, phase in ipairs(PHASES) do
        plan[phase] = phase_list(ordered, phase)
    end
    for _, entry in ipairs(ordered) do
        plan.flat[#plan.flat + 1] = entry.plugin
        plan.flat[#plan.flat + 1] = entry.conf
    end
    return plan
end


--- Runs a phase whose functions may answer: the first that returns a code ends the request.
function _M.run(list, ctx)
    for i = 1, list.n, 3 do
        ctx._plugin_name = list[i]
        local code, body = list[i + 1](list[i + 2], ctx)
        ctx._plugin_name = nil
        if code or body then
            -- APISIX warns here; but nginx adds the request line, where clients put keys
            log.info(list[i], " exits with http status code ", code)
            response.exit(code, body)
        end
    end
end


--- Runs a phase whose results do not matter (filters, log).
function _M.run_all(list, ctx)
    for i = 1, list.n, 3 do
        ctx._plugin_name = list[i]
        list[i + 1](list[i + 2], ctx)
    end
    ctx._plugin_name = nil
end


return _M
