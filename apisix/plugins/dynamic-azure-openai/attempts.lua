--- The attempts of one request: try a backend, decide, try the next, answer.
--
-- Every failure leaves a note on the request's state; when nobody is left the notes make the
-- answer.

local cjson = require("cjson.safe")
local backends = require("apisix.plugins.dynamic-azure-openai.backends")
local messages = require("apisix.plugins.dynamic-azure-openai.messages")
local notices = require("apisix.plugins.dynamic-azure-openai.notices")
local outcome = require("apisix.plugins.dynamic-azure-openai.outcome")
local picker = require("apisix.plugins.dynamic-azure-openai.picker")
local relay = require("apisix.plugins.dynamic-azure-openai.relay")
local request = require("apisix.plugins.dynamic-azure-openai.request")
local response = require("apisix.plugins.dynamic-azure-openai.response")
local headers = require("apisix.plugins.dynamic-azure-openai.headers")
local telemetry = require("apisix.plugins.dynamic-azure-openai.telemetry")
local transport = require("apisix.plugins.dynamic-azure-openai.transport")

local ngx = ngx
local now = ngx.now
local find = string.find
local tostring = tostring
local type = type

local ERROR_BODY_LIMIT = 1048576
-- an error's body is small and comes at once, or is not worth the client's time
local ERROR_BODY_TIMEOUT_MS = 5000
local MAX_REMEMBERED = 512

local _M = {}

-- (backend, deployment) pairs that answered 400 to stream_options; per worker
local refuses_option = {}
local refusals = 0


local function option_key(backend, r)
    return backend.socket_pool .. "\0" .. (r.deployment or "")
end


local function remember_refusal(backend, r)
    if refusals >= MAX_REMEMBERED then
        refuses_option, refusals = {}, 0
    end
    refuses_option[option_key(backend, r)] = true
    refusals = refusals + 1
end


local function injects(r, backend)
    local scanned = r.scanned
    if not scanned or not scanned.stream or r.asks_usage or r.never_injects then
        return false
    end
    local version = backend.api_version or request.api_version(r.args)
    return request.knows_stream_options(r.route, version)
        and not refuses_option[option_key(backend, r)]
end


local function build(r, backend)
    r.header_lines = r.header_lines or headers.to_backend(r.request_id)
    local target = request.target(r.route, r.args, backend)
    local body = r.body
    if r.scanned then
        local model = not r.route.legacy and backend.map[r.deployment] or nil
        body = request.body(body, r.scanned, model, r.injected)
    end
    local length = body and "content-length: " .. #body .. "\r\n" or ""
    return ngx.req.get_method() .. " " .. target .. " HTTP/1.1\r\n" .. r.header_lines .. length,
        body
end


local function keep(r, status, fields, body)
    local kept = r.kept
    if outcome.replaces(kept and kept.status, status) then
        r.kept = { status = status, fields = fields, body = body, backend = r.backend }
    end
end


local function is_late(r)
    local limit = r.pool.settings.failover_within_ms
    return limit > 0 and (now() - r.attempt_started) * 1000 > limit
end


local function transport_failed(r, err)
    local reason = outcome.transport_reason(err)
    r.transport_errors = r.transport_errors + 1
    if reason == "timeout" or reason == "connect_timeout" then
        r.timeouts = r.timeouts + 1
    end
    r.final = is_late(r) and reason ~= "connect_timeout" and not find(err, "^first byte")
    notices.failed(r.backend.name, err)
    telemetry.attempt_ended(r.ctx, r, reason)
    return false
end


local function status_failed(r, status, fields, body)
    keep(r, status, fields, body)
    r.final = is_late(r)
    local notice = (status == 401 or status == 403) and notices.refused or notices.failed
    notice(r.backend.name, status)
    telemetry.attempt_ended(r.ctx, r, tostring(status), status)
    return false
end


-- Written here, not returned to the engine: nginx drops a request that exits with 408.
local function say(r, status, fields, body)
    response.head(r, status, fields, false)
    ngx.header["Content-Length"] = #body
    r.completed = response.send(r, body)
end


local function answer(r, status, fields, body)
    say(r, status, fields, body)
    telemetry.attempt_ended(r.ctx, r, tostring(status), status)
    return true
end


local function text_or(value, default)
    return type(value) == "string" and value or default
end


-- An error event in the head of a stream: as if its status had been sent as such.
local function event_failed(r, res, st)
    local status = outcome.event_status(st.err)
    transport.close(res)
    local body = st.err_data
    local decoded = cjson.decode(body)
    if type(decoded) ~= "table" or type(decoded.error) ~= "table" then
        body = messages.body(status, text_or(st.err.code, tostring(status)),
                             text_or(st.err.message, "The backend reported an error."))
    end
    return status_failed(r, status, headers.as_json(res.fields), body)
end


-- The head is passed on when no other backend could do better.
local function relay_events(r, res)
    local done, err, st = relay.events(r, res)
    if done or err then
        return done, err
    end
    if outcome.retryable(outcome.event_status(st.err), nil, r.pool) then
        return event_failed(r, res, st)
    end
    return relay.rest(r, res, st.held)
end


local function judge(r, res)
    local body = transport.read_all(res, ERROR_BODY_LIMIT, ERROR_BODY_TIMEOUT_MS)
    transport.done(res)
    local status = res.status
    if not body then
        body = messages.body(status, tostring(status), "The backend sent no readable error body.")
        res.fields = headers.as_json(res.fields)
    end
    if status == 400 and r.injected and find(body, "stream_options", 1, true) then
        remember_refusal(r.backend, r)
        r.never_injects = true
        telemetry.attempt_ended(r.ctx, r, tostring(status), status)
        return nil
    end
    if outcome.retryable(status, body, r.pool) then
        return status_failed(r, status, res.fields, body)
    end
    return answer(r, status, res.fields, body)
end


-- A compressed stream cannot be looked into; it is relayed as any other body.
local function is_readable_stream(res)
    return relay.is_event_stream(res) and not res.headers["content-encoding"]
end


-- Returns true when the client was answered, false when another backend may be tried, nil when
-- the same one is to be tried again without what the gateway had added.
local function attempt(r)
    r.attempts = r.attempts + 1
    r.attempt_started = now()
    r.injected = injects(r, r.backend)
    telemetry.attempt_started(r.ctx, r)
    local res, err = transport.request(r.backend, r.pool, build(r, r.backend))
    if not res then
        return transport_failed(r, err)
    end
    if outcome.needs_body(res.status, r.injected) then
        return judge(r, res)
    end
    local done
    if is_readable_stream(res) then
        done, err = relay_events(r, res)

    else
        done, err = relay.body(r, res)
    end
    if err then
        transport.close(res)
        return transport_failed(r, err)
    end
    if done then
        telemetry.attempt_ended(r.ctx, r, tostring(res.status), res.status)
    end
    return done
end


-- Nobody is left: the last upstream's own words, or the gateway's own when there were none.
local function exhausted(r)
    local kept = r.kept
    if not kept then
        telemetry.exhausted(r, r.last_reason)
        local timed_out = r.timeouts == r.transport_errors
        return response.own_error(r, messages.error(timed_out and "backend_timeout"
                                                    or "backend_unreachable"))
    end
    telemetry.exhausted(r, tostring(kept.status))
    r.backend = kept.backend
    if kept.status == 401 or kept.status == 403 then
        return response.own_error(r, messages.error("backend_auth_failed"))
    end
    say(r, kept.status, kept.fields, kept.body)
    return nil
end


local function next_backend(r)
    local limit = r.pool.settings.max_attempts
    if r.final or (limit > 0 and r.attempts >= limit) then
        return nil
    end
    local failed = r.backend
    r.tried = r.tried or {}
    r.tried[failed.index] = true
    local backend = picker.next(r.plan, r.tried, r.key_hash)
    if backend then
        telemetry.failed_over(r, failed, backend)
    end
    return backend
end


--- Serves a request that has a first backend.
-- @tparam table r request state
-- @treturn number|nil status, when the engine has to send the answer
-- @treturn string|nil body
function _M.run(r)
    r.backend = r.first
    while true do
        local answered = attempt(r)
        if answered == nil then
            answered = attempt(r)
        end
        if answered then
            return nil
        end
        local backend = next_backend(r)
        if not backend then
            return exhausted(r)
        end
        r.backend = backend
    end
end


--- Picks the first backend of a request.
-- @tparam table r request state; `plan` and `first` are set
-- @treturn string|nil code of the error when there is none
function _M.prepare(r)
    r.plan, r.configured = backends.plan(r.pool, r.deployment)
    if r.plan.size == 0 then
        return r.plan.draining > 0 and "backends_draining" or "DeploymentNotFound"
    end
    r.first = picker.next(r.plan, nil, r.key_hash)
    return nil
end

return _M
