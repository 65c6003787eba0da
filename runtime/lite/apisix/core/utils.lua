--- Small things about this machine.

local open = io.open

local hostname

local _M = {}


function _M.gethostname()
    if hostname then
        return hostname
    end
    local file = open("/proc/sys/kernel/hostname", "r")
    hostname = file and file:read("*l") or ""
    if file then
        file:close()
    end
    return hostname
end


return _M
