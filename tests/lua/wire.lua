-- A backend's bytes, played to `answer` in pieces.

local cuts = require("cuts")

local concat = table.concat
local sub = string.sub

local wire = {}


--- A socket that gives the pieces one read at a time, then fails with `last`.
function wire.socket(pieces, last)
    local i, rest = 0, ""
    local sock = { reads = 0 }

    function sock:receiveany(size)
        self.reads = self.reads + 1
        while rest == "" do
            i = i + 1
            rest = pieces[i]
            if not rest then
                rest = ""
                return nil, last
            end
        end
        local data = sub(rest, 1, size)
        rest = sub(rest, #data + 1)
        return data
    end

    return sock
end


--- Reads one answer to its end. `keeps` is what `transport.done` asks before it keeps a connection.
function wire.read(answer, pieces, last)
    local res = { sock = wire.socket(pieces, last), buf = "", ended = false }
    local ok, err = answer.read_head(res)
    if not ok then
        return { err = err }
    end
    local got, data = {}, nil
    repeat
        data, err = answer.read(res)
        got[#got + 1] = data
    until not data
    return {
        status = res.status,
        fields = res.fields,
        headers = res.headers,
        body = concat(got),
        reads = #got,
        err = err,
        keeps = res.ended and res.reusable and res.buf == "",
    }
end


local function differs(seen, expected)
    for _, name in ipairs({ "status", "body", "err", "keeps" }) do
        if seen[name] ~= expected[name] then
            return name .. " is " .. tostring(seen[name])
        end
    end
    return nil
end


--- Every cut, and every pair of cuts, must read as `expected`; returns what does not.
function wire.sweep(answer, input, last, expected)
    return cuts.every_two(input, function(pieces)
        return differs(wire.read(answer, pieces, last), expected)
    end)
end


--- Byte by byte: as many reads as the answer has bytes.
function wire.by_bytes(answer, input, last)
    return wire.read(answer, cuts.bytes(input), last)
end

return wire
