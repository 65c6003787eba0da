--- Finds the consumer of a key.
--
-- Keys are known by their SHA-256 only. A presented key is hashed and its hash looked up: how long
-- that takes depends on the hash, of which a guesser controls nothing, not on how much of the key
-- was right.

local ffi = require("ffi")

local C = ffi.C
local ffi_string = ffi.string
local byte = string.byte
local format = string.format
local gsub = string.gsub
local ipairs = ipairs

ffi.cdef [[
    unsigned char *SHA256(const unsigned char *d, size_t n, unsigned char *md);
]]

-- Azure's keys have 84 characters; hashing megabytes is no service to anybody
local MAX_KEY = 4096
local DIGEST_SIZE = 32

local _M = {}

local digest = ffi.new("unsigned char[?]", DIGEST_SIZE)
local indexed, index


local function to_hex(c)
    return format("%02x", byte(c))
end


--- SHA-256 of a string.
-- @tparam string text
-- @treturn string 64 hex digits, lower case
function _M.sha256(text)
    C.SHA256(text, #text, digest)
    return (gsub(ffi_string(digest, DIGEST_SIZE), ".", to_hex))
end


-- The engine hands out the same table until consumers change.
local function index_of(consumers)
    if indexed ~= consumers then
        local by_hash = {}
        for _, consumer in ipairs(consumers.nodes) do
            for _, hash in ipairs(consumer.auth_conf.key_sha256) do
                by_hash[hash] = consumer
            end
        end
        indexed, index = consumers, by_hash
    end
    return index
end


--- The consumer of the first valid key.
-- @tparam table consumers the engine's consumers that use this plugin
-- @tparam table presented list of keys
-- @treturn table|nil consumer
function _M.find(consumers, presented)
    local by_hash = index_of(consumers)
    for i = 1, #presented do
        local key = presented[i]
        if #key <= MAX_KEY then
            local consumer = by_hash[_M.sha256(key)]
            if consumer then
                return consumer
            end
        end
    end
    return nil
end

return _M
