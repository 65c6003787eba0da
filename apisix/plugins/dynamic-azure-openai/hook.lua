--- `apisix.lua_module_hook`: runs in init_by_lua before APISIX itself is loaded.
--
-- Adds the provider's name to the list from which APISIX builds the schema of `ai-proxy-multi`.
-- Only leaf modules may be required here: anything more would load APISIX half initialised.

local schema = require("apisix.plugins.ai-providers.schema")

local NAME = "dynamic-azure-openai"

for _, provider in ipairs(schema.providers) do
    if provider == NAME then
        return true
    end
end
schema.providers[#schema.providers + 1] = NAME

return true
