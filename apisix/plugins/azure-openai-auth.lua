--- Authenticates clients of the Azure OpenAI routes by API key.
--
-- Phases only; reading credentials and looking keys up are in the folder of the same name.
-- A client may send its key as `Authorization: Bearer`, `api-key` or `ocp-apim-subscription-key`;
-- when it sends several, one valid key is enough. Credentials and the consumer's name are removed
-- from the request, whatever plugin forwards it.

local core = require("apisix.core")
local consumer_mod = require("apisix.consumer")
local credentials = require("apisix.plugins.azure-openai-auth.credentials")
local keys = require("apisix.plugins.azure-openai-auth.keys")
local messages = require("apisix.plugins.dynamic-azure-openai.messages")
local request_id = require("apisix.plugins.dynamic-azure-openai.request_id")

local plugin_name = "azure-openai-auth"

local schema = {
    type = "object",
    properties = {
        realm = {
            description = "Realm of the WWW-Authenticate header",
            type = "string",
            pattern = [[^[A-Za-z0-9 ._-]{1,64}$]],
            default = "azure-openai",
        },
    },
}

local consumer_schema = {
    type = "object",
    properties = {
        key_sha256 = {
            description = "SHA-256 of each key that is valid now, as hex; two during a rotation",
            type = "array",
            minItems = 1,
            maxItems = 2,
            items = { type = "string", pattern = "^[0-9a-f]{64}$" },
        },
    },
    required = { "key_sha256" },
}

local _M = {
    version = 0.1,
    priority = 2500,
    type = "auth",
    name = plugin_name,
    schema = schema,
    consumer_schema = consumer_schema,
}


function _M.check_schema(conf, schema_type)
    if schema_type == core.schema.TYPE_CONSUMER then
        return core.schema.check(consumer_schema, conf)
    end
    return core.schema.check(schema, conf)
end


function _M.rewrite(conf, ctx)
    request_id.ensure(ctx)
    local presented = credentials.read(ctx)
    credentials.hide(ctx)
    local consumers = consumer_mod.consumers_conf(plugin_name)
    local consumer = consumers and keys.find(consumers, presented)
    if not consumer then
        local status, body = messages.error("invalid_api_key")
        core.response.set_header("WWW-Authenticate", 'Bearer realm="' .. conf.realm .. '"')
        core.response.set_header("Content-Type", "application/json")
        -- returned, it would be a warning with the whole request line, query included, in the log
        return core.response.exit(status, body)
    end
    consumer_mod.attach_consumer(ctx, consumer, consumers)
    credentials.hide_identity(ctx)
end

return _M
