--- Plain-text helpers on top of the string library.

local byte = string.byte
local find = string.find
local sub = string.sub
local setmetatable = setmetatable

local _M = setmetatable({}, {__index = string})


--- Position of a plain `needle`; never a pattern.
function _M.find(haystack, needle, from)
    return find(haystack, needle, from or 1, true)
end


function _M.has_prefix(text, prefix)
    return sub(text, 1, #prefix) == prefix
end


function _M.has_suffix(text, suffix)
    return suffix == "" or sub(text, -#suffix) == suffix
end


--- Last position of one character, searched backwards from `from`.
function _M.rfind_char(text, char, from)
    local wanted = byte(char)
    for i = from or #text, 1, -1 do
        if byte(text, i) == wanted then
            return i
        end
    end
    return nil
end


function _M.decode_args(args)
    return ngx.decode_args(args, 0)
end


function _M.encode_args(args)
    return ngx.encode_args(args)
end


return _M
