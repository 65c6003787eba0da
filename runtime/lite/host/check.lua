--- A throw-away process's work: would these files be accepted? Ends the process.
--
-- Exit 0 when they would, else one line on stderr and exit 1. Same code as the workers use, except
-- that no plugin is initialised.

local config = require("apisix.core.config_local")
local live = require("host.live")
local plugins = require("host.plugins")

local cjson = require("cjson.safe")

local open = io.open
local os_exit = os.exit
local pcall = pcall
local stderr = io.stderr
local tostring = tostring
local gsub = string.gsub

local MARK = "lite-check: "

local _M = {}


local function refuse(reason)
    stderr:write(MARK, (gsub(tostring(reason), "%s*\n%s*", " ")), "\n")
    os_exit(1)
end


local function verify(dir)
    local file, err = open(dir .. "/config.json", "rb")
    if not file then
        return nil, err
    end
    local doc
    doc, err = cjson.decode(file:read("*a"))
    file:close()
    if not doc then
        return nil, err
    end
    config.set(doc.local_conf)
    local ok
    ok, err = plugins.load(false)
    if not ok then
        return nil, err
    end
    return live.read(dir .. "/lite.json")
end


function _M.run(dir)
    local ok, set, err = pcall(verify, dir)
    if not ok then
        refuse(set)
    end
    if not set then
        refuse(err)
    end
    os_exit(0)
end


return _M
