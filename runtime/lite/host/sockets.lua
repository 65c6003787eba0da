--- Lets cosockets find names in the hosts file, as APISIX's resolver does; nginx asks DNS only.

local gmatch = string.gmatch
local gsub = string.gsub
local lines = io.lines
local lower = string.lower
local match = string.match
local ngx = ngx
local pcall = pcall

local _M = {}

local addresses = {}


local function add_line(line)
    local text = gsub(line, "#.*", "")
    local address, names = match(text, "^%s*(%S+)%s+(.+)$")
    if not address or match(address, ":") then
        return
    end
    for name in gmatch(names, "%S+") do
        addresses[lower(name)] = addresses[lower(name)] or address
    end
end


local function read_hosts(path)
    local ok, iterator = pcall(lines, path)
    if not ok then
        return
    end
    for line in iterator do
        add_line(line)
    end
end


--- Reads the hosts file and wraps ngx.socket.tcp. Call it once, before plugins are loaded.
function _M.patch(path)
    read_hosts(path or "/etc/hosts")
    addresses.localhost = addresses.localhost or "127.0.0.1"
    local plain_tcp = ngx.socket.tcp
    local plain_connect

    local function connect(sock, host, ...)
        return plain_connect(sock, addresses[host] or host, ...)
    end

    ngx.socket.tcp = function()  -- luacheck: ignore
        local sock = plain_tcp()
        plain_connect = plain_connect or sock.connect
        sock.connect = connect
        return sock
    end
end


return _M
