--- Finds members of a JSON object without decoding it.
--
-- The gateway must never decode and re-encode a client's or a backend's JSON: lua-cjson turns
-- `[]` into `{}` and loses the digits of large integers. It looks members up in the bytes and,
-- where something has to change, splices bytes.
--
-- The scan knows nesting and strings, so a `"model"` inside a prompt is never taken for the
-- member. It does not validate: what it skips over is the backend's to judge.
-- Pure: bytes in, positions out. Positions are 1-based and inclusive, as in `string.sub`.

local ffi = require("ffi")

local C = ffi.C
local ffi_cast = ffi.cast
local sub = string.sub
local find = string.find
local tonumber = tonumber

ffi.cdef [[
    void *memchr(const void *s, int c, size_t n);
]]

local bytes_t = ffi.typeof("const uint8_t *")

local QUOTE = 0x22
local BACKSLASH = 0x5c
local OPEN_BRACE, CLOSE_BRACE = 0x7b, 0x7d
local OPEN_BRACKET, CLOSE_BRACKET = 0x5b, 0x5d
local COMMA, COLON = 0x2c, 0x3a
local SPACE = 0x20

-- longer keys are nobody's we look for; not copying them bounds the work on hostile bodies
local MAX_KEY = 128

local _M = {}


-- All offsets below are 0-based; `n` is the length.

local function skip_space(p, i, n)
    while i < n and p[i] <= SPACE do
        i = i + 1
    end
    return i
end


-- `i` is the opening quote; returns the offset after the closing one, or nil.
-- memchr, because prompts are long strings: their bytes are not looked at one by one.
local function skip_string(p, i, n)
    local from = i + 1
    while from < n do
        local hit = C.memchr(p + from, QUOTE, n - from)
        if hit == nil then
            return nil
        end
        local at = tonumber(ffi_cast(bytes_t, hit) - p)
        local before = at - 1
        while before > i and p[before] == BACKSLASH do
            before = before - 1
        end
        if (at - 1 - before) % 2 == 0 then
            return at + 1
        end
        from = at + 1
    end
    return nil
end


local function skip_nested(p, i, n)
    local depth = 0
    while i < n do
        local c = p[i]
        if c == QUOTE then
            i = skip_string(p, i, n)
            if not i then
                return nil
            end

        else
            if c == OPEN_BRACE or c == OPEN_BRACKET then
                depth = depth + 1

            elseif c == CLOSE_BRACE or c == CLOSE_BRACKET then
                depth = depth - 1
                if depth == 0 then
                    return i + 1
                end
            end
            i = i + 1
        end
    end
    return nil
end


local function skip_scalar(p, i, n)
    local from = i
    while i < n do
        local c = p[i]
        if c == COMMA or c == CLOSE_BRACE or c == CLOSE_BRACKET or c <= SPACE then
            break
        end
        i = i + 1
    end
    return i > from and i or nil
end


local function skip_value(p, i, n)
    if i >= n then
        return nil
    end
    local c = p[i]
    if c == QUOTE then
        return skip_string(p, i, n)
    end
    if c == OPEN_BRACE or c == OPEN_BRACKET then
        return skip_nested(p, i, n)
    end
    return skip_scalar(p, i, n)
end


-- A key may be spelled with escapes (`"mod\u0065l"`): the backend reads it as `model`, so do we.
local function read_key(s, from, to, decode)
    if to - from > MAX_KEY then
        return ""
    end
    local key = sub(s, from + 2, to - 1)
    if not find(key, "\\", 1, true) then
        return key
    end
    return decode and decode(sub(s, from + 1, to)) or ""
end


-- One `"key": value`; returns the offset after the value, the key's name, the value's start.
local function read_member(s, p, i, n, decode)
    if i >= n or p[i] ~= QUOTE then
        return nil
    end
    local key_end = skip_string(p, i, n)
    if not key_end then
        return nil
    end
    local key = read_key(s, i, key_end, decode)
    i = skip_space(p, key_end, n)
    if i >= n or p[i] ~= COLON then
        return nil
    end
    local value_at = skip_space(p, i + 1, n)
    return skip_value(p, value_at, n), key, value_at
end


-- After a value: the offset of what follows the comma, or nil and the offset after the object.
local function step(p, i, n, closing)
    i = skip_space(p, i, n)
    if i < n and p[i] == COMMA then
        return skip_space(p, i + 1, n)
    end
    return nil, i < n and p[i] == closing and i + 1 or nil
end


-- Keeps where a wanted member's value is; returns the set of names that came twice.
local function note(first, last, duplicates, name, from, to)
    if first[name] then
        duplicates = duplicates or {}
        duplicates[name] = true
    end
    first[name], last[name] = from, to
    return duplicates
end


--- Finds members of the object that starts at `from`.
-- @tparam string s the text
-- @tparam table wanted set of member names, `{model = true}`
-- @tparam[opt=1] number from where to look; white space before the object is skipped
-- @tparam[opt] function decode JSON string literal -> string, for keys written with escapes
-- @treturn table|nil `{[name] = first byte, ...}`; nil when the text is not a JSON object
-- @treturn table|string `{[name] = last byte, ...}`, or what is wrong
-- @treturn number position of the object's `{`
-- @treturn table|nil set of the wanted names that occur twice (their last value is in the tables)
-- @treturn number position after the object's `}`
function _M.members(s, wanted, from, decode)
    local p, n = ffi_cast(bytes_t, s), #s
    local i = skip_space(p, (from or 1) - 1, n)
    if i >= n or p[i] ~= OPEN_BRACE then
        return nil, "not a JSON object"
    end
    local first, last, object_at, duplicates = {}, {}, i + 1, nil
    i = skip_space(p, i + 1, n)
    if i < n and p[i] == CLOSE_BRACE then
        return first, last, object_at, nil, i + 2
    end
    local stop
    while i do
        local after, key, value_at = read_member(s, p, i, n, decode)
        if not after then
            return nil, "malformed JSON"
        end
        if wanted[key] then
            duplicates = note(first, last, duplicates, key, value_at + 1, after)
        end
        i, stop = step(p, after, n, CLOSE_BRACE)
    end
    if not stop then
        return nil, "malformed JSON"
    end
    return first, last, object_at, duplicates, stop + 1
end


--- Whether only white space follows.
-- @tparam string s the text
-- @tparam number from first position to look at
-- @treturn boolean
function _M.only_space(s, from)
    local p, n = ffi_cast(bytes_t, s), #s
    return skip_space(p, from - 1, n) >= n
end


--- Lists the elements of the array that starts at `from`.
-- @tparam string s the text
-- @tparam number from position of the `[`
-- @treturn table|nil `{first, last, first, last, ...}`; nil when it is not an array
function _M.elements(s, from)
    local p, n = ffi_cast(bytes_t, s), #s
    local i = from - 1
    if i >= n or p[i] ~= OPEN_BRACKET then
        return nil
    end
    local spans = {}
    i = skip_space(p, i + 1, n)
    if i < n and p[i] == CLOSE_BRACKET then
        return spans
    end
    local stop
    while i do
        local after = skip_value(p, i, n)
        if not after then
            return nil
        end
        spans[#spans + 1], spans[#spans + 2] = i + 1, after
        i, stop = step(p, after, n, CLOSE_BRACKET)
    end
    return stop and spans or nil
end

return _M
