local core = require("apisix.core")

return {
    {"has_prefix and find take plain text", function()
        assert(core.string.has_prefix("a.b", "a."))
        assert(not core.string.has_prefix("ab", "a."))
        assert(core.string.find("a.b", ".") == 2)
        assert(core.string.rfind_char("a/b/c", "/") == 4)
    end},
    {"deepcopy keeps shared references and metatables", function()
        local shared = {1}
        local original = setmetatable({a = shared, b = shared}, {__index = {x = 1}})
        local copy = core.table.deepcopy(original)
        assert(copy.a == copy.b and copy.a ~= shared and copy.x == 1)
    end},
    {"try_read_attr stops at what is no table", function()
        assert(core.table.try_read_attr({a = {b = 1}}, "a", "b") == 1)
        assert(core.table.try_read_attr({a = 1}, "a", "b") == nil)
    end},
    {"json answers errors as second results", function()
        local value, err = core.json.decode("{")
        assert(value == nil and err)
        assert(tostring(core.json.delay_encode({a = 1})) == '{"a":1}')
    end},
    {"the release that is imitated is told", function()
        assert(core.version.VERSION == "3.18.0")
    end},
}
