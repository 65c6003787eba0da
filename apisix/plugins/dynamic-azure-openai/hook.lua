--- `apisix.lua_module_hook`: runs in init_by_lua before APISIX itself is loaded.
--
-- Refuses an engine that it does not know: an error here keeps nginx from starting.
-- Adds the provider's name to the list from which APISIX builds the schema of `ai-proxy-multi`.
-- Only leaf modules may be required here: anything more would load APISIX half initialised.

require("apisix.plugins.dynamic-azure-openai.guard").check_start()

local schema = require("apisix.plugins.ai-providers.schema")

local NAME = "dynamic-azure-openai"

for _, provider in ipairs(schema.providers) do
    if provider == NAME then
        return true
    end
end
schema.providers[#schema.providers + 1] = NAME

return true
