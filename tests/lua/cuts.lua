-- Cuts bytes in every way; the loops of a hundred thousand runs stay in Lua.

local sub = string.sub

local cuts = {}


--- Hands every cut, and every pair of cuts, to `check(pieces)`; returns the first complaint.
function cuts.every_two(input, check)
    for a = 0, #input do
        for b = a, #input do
            local wrong = check({ sub(input, 1, a), sub(input, a + 1, b), sub(input, b + 1) })
            if wrong then
                return wrong .. ", cut at " .. a .. " and " .. b
            end
        end
    end
    return nil
end


--- One piece a byte.
function cuts.bytes(input)
    local pieces = {}
    for i = 1, #input do
        pieces[i] = sub(input, i, i)
    end
    return pieces
end

return cuts
