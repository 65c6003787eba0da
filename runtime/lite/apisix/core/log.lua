--- Levelled logging: core.log.warn("text ", value, ...). Calls below the configured level cost
-- one table look-up.

local errlog = require("ngx.errlog")
local ngx = ngx
local ngx_log = ngx.log
local get_phase = ngx.get_phase
local setmetatable = setmetatable

local LEVELS = {
    stderr = ngx.STDERR,
    emerg = ngx.EMERG,
    alert = ngx.ALERT,
    crit = ngx.CRIT,
    error = ngx.ERR,
    warn = ngx.WARN,
    notice = ngx.NOTICE,
    info = ngx.INFO,
    debug = ngx.DEBUG,
}


local function silent() end


local function writer(level)
    return function(...)
        return ngx_log(level, ...)
    end
end


local function choose(self, name)
    local level = LEVELS[name]
    if not level then
        return nil
    end
    -- nginx logs at a fixed level while it starts, so the choice is kept from the workers on only
    if get_phase() == "init" then
        return writer(level)
    end
    local wanted = errlog.get_sys_filter_level()
    local method = wanted and level > wanted and silent or writer(level)
    self[name] = method
    return method
end


return setmetatable({}, {__index = choose})
