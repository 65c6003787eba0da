local check = require("host.jsonschema").check


local function refused(schema, value, reason)
    local ok, err = check(schema, value)
    assert(not ok, "accepted")
    assert(err:find(reason, 1, true), err)
end


local function accepted(schema, value)
    local ok, err = check(schema, value)
    assert(ok, err)
end


return {
    {"types are told apart, an empty table is both array and object", function()
        accepted({type = "array"}, {})
        accepted({type = "object"}, {})
        refused({type = "array"}, {a = 1}, "expected array")
        refused({type = "object"}, {1}, "expected object")
        refused({type = "integer"}, 1.5, "expected integer")
        accepted({type = {"string", "number"}}, 1)
        refused({type = {"string", "number"}}, true, "one of string, number")
    end},
    {"defaults are filled in, and copied", function()
        local schema = {properties = {a = {default = {1}}, b = {default = false}}}
        local one, two = {}, {}
        accepted(schema, one)
        accepted(schema, two)
        assert(one.b == false and one.a[1] == 1 and one.a ~= two.a)
    end},
    {"a required property is missed even when it has a default", function()
        refused({properties = {a = {default = 1}}, required = {"a"}}, {}, '"a" is required')
    end},
    {"limits hold at their edges", function()
        accepted({minimum = 1, maximum = 2}, 1)
        accepted({minimum = 1, maximum = 2}, 2)
        refused({minimum = 1}, 0, "at least 1")
        refused({exclusiveMaximum = 2}, 2, "smaller than 2")
        accepted({minLength = 2, maxLength = 2}, "\195\164\195\182")
        refused({maxLength = 1}, "\195\164\195\182", "too long")
        refused({minItems = 1}, {}, "at least 1")
    end},
    {"reasons never quote the value", function()
        for _, schema in ipairs({{pattern = "^a$"}, {enum = {"a"}}, {type = "number"},
                                 {maxLength = 3}, {["not"] = {type = "string"}}}) do
            local _, err = check(schema, "top-secret")
            assert(not err:find("secret", 1, true), err)
        end
    end},
    {"errors say where they are", function()
        local schema = {properties = {list = {type = "array", items = {
            properties = {name = {type = "string"}}}}}}
        refused(schema, {list = {{name = "a"}, {name = 2}}},
                'property "list" validation failed: failed to validate item 2: property "name"')
    end},
    {"additional properties are forbidden or checked", function()
        refused({properties = {a = {}}, additionalProperties = false}, {b = 1}, "found b")
        accepted({patternProperties = {["^x-"] = {}}, additionalProperties = false}, {["x-a"] = 1})
        refused({additionalProperties = {type = "string"}}, {b = 1}, "additional property b")
        refused({patternProperties = {["^x-"] = {type = "string"}}}, {["x-a"] = 1}, "x-a")
    end},
    {"combinations work", function()
        local either = {anyOf = {{type = "string"}, {type = "array", items = {type = "string"}}}}
        accepted(either, "a")
        accepted(either, {"a"})
        refused(either, {1}, "matches none")
        refused({oneOf = {{type = "number"}, {type = "integer"}}}, 1, "only one")
        refused({allOf = {{minimum = 1}, {maximum = 2}}}, 3, "all schemas")
    end},
    {"a keyword that is not known is an error, not ignored", function()
        refused({minProperties = 1}, {}, "minProperties is not known")
    end},
}
