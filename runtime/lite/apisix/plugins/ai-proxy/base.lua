--- What ai-proxy-multi calls. On lite the provider module replaces the first two.

local error = error

local _M = {}


function _M.detect_request_type()
    error("no provider took over ai-proxy: needs APISIX", 0)
end


function _M.before_proxy()
    error("no provider took over ai-proxy: needs APISIX", 0)
end


--- Puts figures of the request where loggers find them.
function _M.set_logging(ctx, summaries, payloads)
    local var = ctx.var
    if summaries then
        ctx.llm_summary = {
            request_model = var.request_llm_model,
            model = var.llm_model,
            duration = var.llm_time_to_first_token,
            prompt_tokens = var.llm_prompt_tokens,
            completion_tokens = var.llm_completion_tokens,
            total_tokens = var.llm_total_tokens,
            upstream_response_time = var.apisix_upstream_response_time,
            stream = var.llm_stream,
            tool_count = var.llm_tool_count,
            has_tool_calls = var.llm_has_tool_calls,
            end_user_id = var.llm_end_user_id,
            cache_read_input_tokens = var.llm_cache_read_input_tokens,
            cache_creation_input_tokens = var.llm_cache_creation_input_tokens,
            reasoning_tokens = var.llm_reasoning_tokens,
            content_risk_level = var.llm_content_risk_level,
        }
    end
    if payloads then
        ctx.llm_request = {stream = var.request_type == "ai_stream"}
        ctx.llm_response_text = {content = var.llm_response_text}
    end
end


return _M
