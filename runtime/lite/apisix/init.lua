--- The phases of a request, in APISIX's order, as called from nginx.conf.

require("apisix.core.log")
local core = require("apisix.core")
local errors = require("host.errors")
local live = require("host.live")
local phases = require("host.phases")
local router = require("host.router")
local startup = require("host.startup")
local status = require("host.status")

local ngx = ngx
local run = phases.run
local run_all = phases.run_all
local set_vars_meta = core.ctx.set_vars_meta
local traceback = debug.traceback
local xpcall = xpcall

local NOT_FOUND = {error_msg = "404 Route Not Found"}
local NO_UPSTREAM = {error_msg = "503 the route has no plugin that answers"}

local _M = {
    http_init = startup.init,
    http_init_worker = startup.init_worker,
    http_exit_worker = startup.exit_worker,
    status = status.alive,
    status_ready = status.ready,
}


-- request_uri of a plugin is the normalised path: what was checked is what is seen.
local function prepare(ctx)
    set_vars_meta(ctx)
    local var = ctx.var
    var.real_request_uri = var.request_uri
    var.request_uri = var.uri .. (var.is_args or "") .. (var.args or "")
    var.request_line = var.request
    local forwarded = var.http_x_forwarded_for
    if forwarded then
        var.original_x_forwarded_for = forwarded
    end
end


local function matched(ctx)
    local var = ctx.var
    local entry = router.match(live.current.router, var.uri, var.request_method, var)
    if not entry then
        return core.response.exit(404, NOT_FOUND)
    end
    local item = entry.route
    ctx.matched_route = item
    ctx.curr_req_matched = {_path = entry.path, _method = var.request_method}
    ctx.conf_type = "route"
    ctx.conf_version = item.modifiedIndex
    ctx.conf_id = item.value.id
    ctx.route_id = item.value.id
    ctx.route_name = item.value.name
    ctx.plugins = item.plan.flat
    return item.plan
end


local function serve(ctx)
    prepare(ctx)
    local plan = matched(ctx)
    run(plan.rewrite, ctx)
    run(plan.access, ctx)
    if not ctx.bypass_nginx_upstream then
        return core.response.exit(503, NO_UPSTREAM)
    end
    run(plan.before_proxy, ctx)
end


function _M.http_access_phase()
    local ctx = {}
    local ngx_ctx = ngx.ctx
    ngx_ctx.api_ctx = ctx
    ctx.ngx_ctx = ngx_ctx
    local ok, err = xpcall(serve, traceback, ctx)
    if not ok then
        return errors.answer(ctx, err)
    end
end


-- A filter that fails cuts the answer, as it does in nginx itself.
function _M.http_header_filter_phase()
    core.response.set_header("Server", startup.server_name)
    local ctx = ngx.ctx.api_ctx
    local item = ctx and ctx.matched_route
    if item then
        run_all(item.plan.header_filter, ctx)
    end
end


function _M.http_log_phase()
    local ctx = ngx.ctx.api_ctx
    local item = ctx and ctx.matched_route
    if not item then
        return
    end
    local ok, err = xpcall(run_all, traceback, item.plan.log, ctx)
    if not ok then
        core.log.error("log phase: ", err)
    end
end


return _M
