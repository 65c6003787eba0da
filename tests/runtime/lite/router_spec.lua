local router = require("host.router")


local function item(id, uris, fields)
    local route = fields or {}
    route.id = id
    route.uris = uris
    return {value = route}
end


local function found(built, path, method, var)
    local entry = router.match(built, path, method or "GET", var or {})
    return entry and entry.route.value.id, entry and entry.path
end


return {
    {"the exact path wins over any wildcard", function()
        local built = router.new({item("w", {"/a*"}), item("x", {"/a"})})
        assert(found(built, "/a") == "x")
        assert(found(built, "/ab") == "w")
    end},
    {"the longest text before the star wins, whatever the priority", function()
        local built = router.new({item("s", {"/*"}, {priority = 9}), item("l", {"/v1/*"})})
        assert(found(built, "/v1/x") == "l")
        assert(found(built, "/v1") == "s")
    end},
    {"the pattern that matched is told", function()
        local built = router.new({item("a", {"/v1/*", "/*"})})
        local _, path = found(built, "/v1/x")
        assert(path == "/v1/*")
    end},
    {"a route whose method or vars do not fit leaves the path to a shorter one", function()
        local built = router.new({
            item("post", {"/v1/*"}, {methods = {"POST"}}),
            item("red", {"/v1/*"}, {vars = {{"arg_c", "==", "red"}}, priority = 1}),
            item("any", {"/*"}),
        })
        assert(found(built, "/v1/x", "POST") == "post")
        assert(found(built, "/v1/x", "POST", {arg_c = "red"}) == "red")
        assert(found(built, "/v1/x", "GET") == "any")
    end},
    {"a star in the middle takes slashes too, other characters are literal", function()
        local built = router.new({item("m", {"/a/*/c.d"})})
        assert(found(built, "/a/x/y/c.d") == "m")
        assert(found(built, "/a/x/cxd") == nil)
    end},
    {"an inner star does not stop a plain one with the same start", function()
        local built = router.new({item("plain", {"/a/*"}), item("inner", {"/a/*/z"})})
        assert(found(built, "/a/b/z") == "inner")
        assert(found(built, "/a/b") == "plain")
    end},
    {"nothing fits: nil", function()
        assert(found(router.new({item("a", {"/a"})}), "/b") == nil)
        assert(found(router.new({}), "/") == nil)
    end},
    {"operators compare numbers, lists and patterns", function()
        local expr = require("host.expr")
        local function holds(term, var)
            return expr.eval(assert(expr.new({term})), var)
        end
        assert(holds({"n", "==", 5}, {n = "5"}))
        assert(holds({"n", "~=", "a"}, {n = "b"}))
        assert(holds({"n", "~=", "a"}, {}))
        assert(holds({"n", "in", {"a", "b"}}, {n = "b"}))
        assert(not holds({"n", "in", {"a"}}, {n = "b"}))
        assert(holds({"n", "~~", "^b+$"}, {n = "bb"}))
        assert(not holds({"n", "~~", "^b+$"}, {}))
    end},
    {"conditions that lite does not know are refused", function()
        local _, err = router.new({item("a", {"/"}, {vars = {{"n", ">", 5}}})})
        assert(err == "route a: operator > in vars needs the docker or apisix runtime", err)
        assert(not router.new({item("a", {"/"}, {vars = {"OR", {"n", "==", 5}}})}))
    end},
}
