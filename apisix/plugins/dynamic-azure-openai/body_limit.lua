--- Speaks for nginx where it refuses a body that is larger than `client_max_body_size`.
--
-- nginx does so before any plugin runs when the length is announced, and while the body is read
-- when it comes in chunks; its own page is HTML, which no SDK reads.

local messages = require("apisix.plugins.dynamic-azure-openai.messages")
local request_id = require("apisix.plugins.dynamic-azure-openai.request_id")

local ngx = ngx

local _M = {}


--- Answers in place of nginx's error page.
function _M.handle()
    local status, body = messages.error("request_too_large")
    local id = ngx.var.http_x_request_id
    ngx.status = status
    ngx.header["Content-Type"] = "application/json"
    ngx.header["X-Request-Id"] = request_id.is_valid(id) and id or ngx.var.request_id
    ngx.print(body)
end

return _M
