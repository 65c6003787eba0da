--- The state of one request: every field that the driver keeps, in one place.
--
-- It hangs on the engine's request context as `ctx.azure_openai`; the driver keeps no other fields
-- there but those that APISIX's own code reads (`picked_ai_instance`, `balancer_ip`, ...).

local _M = {}


--- A new state.
-- @tparam table ctx the engine's request context
-- @tparam table pool compiled configuration
-- @tparam table route what the path asks for
-- @treturn table state
function _M.new(ctx, pool, route)
    return {
        ctx = ctx,
        pool = pool,
        route = route,
        plan = nil,            -- tiers of backends for the deployment
        deployment = nil,      -- the client's name for it
        configured = false,    -- whether the configuration mentions that name
        request_id = nil,
        args = nil,            -- the query, as it goes to backends
        key_hash = nil,        -- of the consistent hash, when that decides
        body = nil,            -- the client's bytes
        scanned = nil,         -- where things are in them
        asks_usage = false,    -- the client itself asked for the usage event
        header_lines = nil,    -- the client's headers as they go to any backend
        first = nil,           -- backend picked in the access phase, for the plugins after it
        tried = nil,           -- set of backend indexes
        backend = nil,         -- of the current attempt
        attempts = 0,
        attempt_started = nil,
        never_injects = false, -- the backend refused what the gateway had added
        failed = false,        -- by an error of the gateway's own
        injected = false,      -- this attempt asked for the usage event on its own
        ttft_ms = nil,         -- of the attempt that answered
        sent = false,          -- something was flushed to the client
        status = nil,          -- what the client got
        kept = nil,            -- the failed answer to show when nobody is left
        timeouts = 0,
        transport_errors = 0,
        last_reason = nil,
        final = false,         -- the last failure came too late to try another
        usage = nil,           -- tokens
        model = nil,           -- that answered
        cut = false,           -- the backend failed after something was flushed
        completed = false,     -- the answer reached its end
        in_flight = nil,       -- backend whose gauge is up
        finished = false,      -- accounted
    }
end

return _M
