--- core.schema.check(schema, value) -> true | false, reason. Fills in defaults.

local jsonschema = require("host.jsonschema")

return {
    TYPE_CONSUMER = 1,
    TYPE_METADATA = 2,
    check = jsonschema.check,
}
