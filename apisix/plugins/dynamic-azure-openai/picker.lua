--- Chooses the next backend for a request.
--
-- Pure: the plan and what was tried in, a member out; randomness and time are not used.
-- Tiers are used in order: the next one only when every member of the one before was tried.
-- Within a tier:
--
-- * `roundrobin`: smooth weighted round robin. While nothing fails, any window as long as the sum
--   of the weights holds each backend exactly as often as its weight says (per worker).
-- * `chash`: weighted rendezvous hashing. A backend that goes takes only its own keys along.

local ffi = require("ffi")
local bit = require("bit")

local byte = string.byte
local log = math.log
local tonumber = tonumber
local tobit = bit.tobit
local bxor = bit.bxor
local rshift = bit.rshift

local uint32_t = ffi.typeof("uint32_t")

local _M = {}


local function times(a, b)
    return tobit(tonumber(ffi.cast(uint32_t, ffi.cast("uint64_t", ffi.cast(uint32_t, a)) * b)))
end


-- FNV-1a over the text, then the finaliser of MurmurHash3: FNV alone leaves the high bits of short
-- keys alike, and the shares would be off.
local function hash(seed, text)
    local h = seed
    for i = 1, #text do
        h = times(bxor(h, byte(text, i)), 0x01000193)
    end
    return h
end


local function finalise(h)
    h = times(bxor(h, rshift(h, 16)), 0x85ebca6b)
    h = times(bxor(h, rshift(h, 13)), 0xc2b2ae35)
    h = bxor(h, rshift(h, 16))
    return (h % 0x100000000 + 0.5) / 0x100000000
end


local function by_rendezvous(tier, tried, key_hash)
    local best, best_score
    for i = 1, #tier do
        local member = tier[i]
        if not (tried and tried[member.backend.index]) then
            local point = finalise(hash(key_hash, member.backend.name))
            local score = -member.weight / log(point)
            if not best or score > best_score then
                best, best_score = member, score
            end
        end
    end
    return best
end


local function by_weight(tier, tried)
    local best
    local total = 0
    for i = 1, #tier do
        local member = tier[i]
        if not (tried and tried[member.backend.index]) then
            member.current = member.current + member.weight
            total = total + member.weight
            if not best or member.current > best.current then
                best = member
            end
        end
    end
    if best then
        best.current = best.current - total
    end
    return best
end


--- The hash of a key, to be computed once per request.
-- @tparam string key
-- @treturn number
function _M.key_hash(key)
    return hash(tobit(0x811c9dc5), key)
end


--- The next backend.
-- @tparam table plan of `backends.plan`
-- @tparam table|nil tried set of backend indexes
-- @tparam number|nil key_hash of `key_hash`; nil means by weight
-- @treturn table|nil a compiled backend; nil when all were tried
function _M.next(plan, tried, key_hash)
    local tiers = plan.tiers
    for i = 1, #tiers do
        local member
        if key_hash then
            member = by_rendezvous(tiers[i], tried, key_hash)

        else
            member = by_weight(tiers[i], tried)
        end
        if member then
            return member.backend
        end
    end
    return nil
end

return _M
