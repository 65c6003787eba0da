--- Configuration of ai-proxy-multi: the fields that the gateway renders, with APISIX's limits.

local providers = require("apisix.plugins.ai-providers.schema").providers

local strings = {
    type = "object",
    patternProperties = {["^[a-zA-Z0-9._-]+$"] = {type = "string"}},
}

local instance = {
    type = "object",
    properties = {
        name = {type = "string", minLength = 1, maxLength = 100},
        provider = {type = "string", enum = providers},
        priority = {type = "integer", default = 0},
        weight = {type = "integer", minimum = 0},
        auth = {
            type = "object",
            properties = {header = strings, query = strings},
            additionalProperties = false,
        },
        override = {
            type = "object",
            properties = {endpoint = {type = "string", minLength = 1}},
        },
        provider_conf = {type = "object"},
        options = {type = "object"},
    },
    required = {"name", "provider", "auth", "weight"},
}

local multi = {
    type = "object",
    properties = {
        balancer = {
            type = "object",
            properties = {
                algorithm = {type = "string", enum = {"chash", "roundrobin"}},
                hash_on = {
                    type = "string",
                    default = "vars",
                    enum = {"vars", "header", "cookie", "consumer", "vars_combinations"},
                },
                key = {type = "string"},
            },
            default = {algorithm = "roundrobin"},
        },
        instances = {type = "array", minItems = 1, items = instance},
        logging = {
            type = "object",
            properties = {
                summaries = {type = "boolean", default = false},
                payloads = {type = "boolean", default = false},
            },
        },
        fallback_strategy = {
            anyOf = {
                {
                    type = "string",
                    enum = {"instance_health_and_rate_limiting", "http_429", "http_5xx"},
                },
                {
                    type = "array",
                    items = {type = "string", enum = {"rate_limiting", "http_429", "http_5xx"}},
                },
            },
        },
        max_retries = {type = "integer", minimum = 0},
        retry_on_failure_within_ms = {type = "integer", minimum = 1},
        timeout = {type = "integer", minimum = 1, maximum = 600000, default = 30000},
        max_req_body_size = {type = "integer", minimum = 1, default = 67108864},
        max_stream_duration_ms = {type = "integer", minimum = 1},
        max_response_bytes = {type = "integer", minimum = 1},
        keepalive = {type = "boolean", default = true},
        keepalive_timeout = {type = "integer", minimum = 1000, default = 60000},
        keepalive_pool = {type = "integer", minimum = 1, default = 30},
        streaming_flush_interval_ms = {type = "integer", minimum = 0, default = 10},
        ssl_verify = {type = "boolean", default = true},
    },
    required = {"instances"},
}

return {
    multi = multi,
}
