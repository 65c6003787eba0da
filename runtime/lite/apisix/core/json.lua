--- JSON with errors as second results.
--
-- Debian's cjson turns `[]` into a table that encodes as `{}` and rounds integers of more than
-- 14 digits: fine for our own documents, never for what a client or a backend sent.

local cjson = require("cjson.safe")

local encode = cjson.encode
local tostring = tostring
local setmetatable = setmetatable

local _M = {
    null = cjson.null,
    array_mt = cjson.array_mt or {},
    encode = encode,
    decode = cjson.decode,
}

local delayed = {
    __tostring = function(self)
        return encode(self.data) or tostring(self.data)
    end,
}


--- A value that is encoded only when a log line is really written.
function _M.delay_encode(data)
    return setmetatable({data = data}, delayed)
end


return _M
