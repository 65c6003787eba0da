-- Feeds a stream in pieces and checks every step; loops of a hundred thousand runs stay in Lua.

local cuts = require("cuts")

local concat = table.concat
local sub = string.sub

local sweep = {}


-- One run. `case` = {input, expected, boundary, quiet, injected, hold}: `boundary` is the set of
-- lengths of `expected` that end with a complete event, `quiet` the number of input bytes during
-- which nothing may come out. Returns what is wrong, or nil, and the stream's state.
local function run(stream, case, cuts)
    local st = stream.new(case.injected, case.hold)
    local pieces, emitted, from, firsts = {}, 0, 1, 0
    for i = 1, #cuts + 1 do
        local to = cuts[i] or #case.input
        local out, first = stream.push(st, sub(case.input, from, to))
        if not out then
            return "error event", st
        end
        from = to + 1
        firsts = firsts + (first and 1 or 0)
        pieces[#pieces + 1] = out
        emitted = emitted + #out
        if emitted > 0 and to < case.quiet then
            return "bytes before the first output", st
        end
        if st.at_boundary ~= (case.boundary[emitted] == true) then
            return "at_boundary is " .. tostring(st.at_boundary) .. " after " .. emitted, st
        end
    end
    pieces[#pieces + 1] = stream.finish(st)
    if concat(pieces) ~= case.expected then
        return "other bytes: " .. concat(pieces), st
    end
    if firsts ~= case.firsts then
        return "first output seen " .. firsts .. " times", st
    end
    if case.prompt and (not st.usage or st.usage.prompt ~= case.prompt) then
        return "usage not read", st
    end
    if not case.prompt and st.usage then
        return "usage read from nowhere", st
    end
    return nil, st
end


sweep.run = run


-- One cut at every offset; with `pairs_too` every two cuts.
function sweep.all(stream, case, pairs_too)
    for a = 0, #case.input do
        local wrong = run(stream, case, { a })
        if wrong then
            return wrong .. ", cut at " .. a
        end
        for b = a, pairs_too and #case.input or -1 do
            wrong = run(stream, case, { a, b })
            if wrong then
                return wrong .. ", cut at " .. a .. " and " .. b
            end
        end
    end
    return nil
end


function sweep.pieces(stream, case, size)
    local cuts = {}
    for at = size, #case.input - 1, size do
        cuts[#cuts + 1] = at
    end
    local wrong = run(stream, case, cuts)
    return wrong
end


local function finds_error(stream, pieces, hold, injected)
    local st = stream.new(injected, hold)
    for i = 1, #pieces do
        local out = stream.push(st, pieces[i])
        if out ~= "" then
            return out == nil and st.err ~= nil
        end
    end
    return false
end


-- Whether every cut, and every pair of cuts, finds the error event before anything comes out.
function sweep.errors(stream, input, hold, injected)
    return cuts.every_two(input, function(pieces)
        return not finds_error(stream, pieces, hold, injected) and "not found" or nil
    end)
end

return sweep
