"""From the model to the two documents that APISIX reads, as plain data.

`apisix_document` and `config_document` return exactly what a YAML parser must find in the files.
Text of users goes into plugin configurations through `literal`: APISIX replaces strings that begin
with `$env://` or `$secret://` there, and our plugins strip the prefix again.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from renderer.model import Backend, Client, GatewayModel, LogMode, Routing, Transport

LITERAL = "literal:"
MAX_PLUGIN_TIMEOUT_MS = 600_000
UNLIMITED_BODY_BYTES = 1 << 40
URIS = ("/openai/deployments/*", "/openai/v1/*", "/v1/*", "/*")
PLUGINS = (
    "request-id",
    "azure-openai-auth",
    "ai-proxy-multi",
    "ai-proxy",
    "prometheus",
    "file-logger",
    "cors",
    "ip-restriction",
    "consumer-restriction",
    "proxy-rewrite",
    "response-rewrite",
    "limit-req",
    "limit-count",
    "limit-conn",
    "ai-rate-limiting",
    "ai-prompt-guard",
    "opentelemetry",
    "openid-connect",
    "proxy-cache",
    "proxy-control",
    "key-auth",
)
# the query string stays out: clients are known to put keys into it
LOG_FORMAT = {
    "time": "$time_iso8601",
    "route_id": "$route_id",
    "service_id": "$service_id",
    "consumer": "$consumer_name",
    "client_ip": "$remote_addr",
    "request_id": "$apisix_request_id",
    "conversation_id": "$http_x_conversation_id",
    "trace_id": "$opentelemetry_trace_id",
    "method": "$request_method",
    "path": "$uri",
    "api_version": "$arg_api-version",
    "status": "$status",
    "upstream_addr": "$upstream_addr",
    "upstream_status": "$upstream_status",
    "upstream_response_time": "$upstream_response_time",
    "latency_s": "$request_time",
    "bytes_in": "$request_length",
    "bytes_out": "$bytes_sent",
    "llm.model": "$llm_model",
    "llm.request_model": "$request_llm_model",
    "llm.prompt_tokens": "$llm_prompt_tokens",
    "llm.completion_tokens": "$llm_completion_tokens",
    "llm.ttft_ms": "$llm_time_to_first_token",
    "request_type": "$request_type",
    "backend_region": "$upstream_http_x_ms_region",
}
ACCESS_LOG_FORMAT = (
    '$remote_addr [$time_iso8601] "$request_method $uri $server_protocol" $status '
    '$body_bytes_sent $request_time "$http_user_agent" "$apisix_request_id"'
)


def literal(text: str) -> str:
    """Keep APISIX from taking a user's text for a reference to a variable or a secret."""
    return f"{LITERAL}{text}" if text.startswith(("$", LITERAL)) else text


def apisix_document(model: GatewayModel) -> dict[str, Any]:
    """Return the content of apisix.yaml."""
    document: dict[str, Any] = {
        "routes": [
            {
                "id": "azure-openai",
                "name": "azure-openai",
                "uris": list(URIS),
                "plugins": _route_plugins(model),
            }
        ],
        "consumers": [_consumer(client) for client in model.clients],
    }
    if model.request_log.mode is not LogMode.PROD:
        metadata = {"id": "file-logger", "log_format": dict(LOG_FORMAT)}
        document["plugin_metadata"] = [metadata]
    return document


def _route_plugins(model: GatewayModel) -> dict[str, Any]:
    plugins: dict[str, Any] = {
        "request-id": {"header_name": "X-Request-Id", "include_in_response": True}
    }
    if model.require_auth:
        plugins["azure-openai-auth"] = {}
    plugins["ai-proxy-multi"] = _ai_proxy_multi(model)
    plugins["prometheus"] = {"prefer_name": True}
    if model.request_log.mode is not LogMode.PROD:
        plugins["file-logger"] = {"path": model.request_log.path}
    return plugins


def _ai_proxy_multi(model: GatewayModel) -> dict[str, Any]:
    transport = model.transport
    driver = _driver(model.routing, transport, debug_headers=model.request_log.debug_headers)
    conf: dict[str, Any] = {
        "balancer": {"algorithm": "roundrobin"},
        "fallback_strategy": _strategy(model.routing.fallback_strategy),
        "max_req_body_size": transport.max_request_body_bytes or UNLIMITED_BODY_BYTES,
        "timeout": min(transport.read_timeout_ms, MAX_PLUGIN_TIMEOUT_MS),
        "keepalive": True,
        "keepalive_timeout": 60_000,
        "keepalive_pool": 256,
        "ssl_verify": True,
        "logging": {"summaries": model.request_log.summaries, "payloads": False},
        "azure_openai": driver,
        "instances": [_instance(backend) for backend in model.backends],
    }
    driver["revision"] = revision(conf)
    return conf


def revision(conf: dict[str, Any]) -> str:
    """Return a digest of a plugin configuration without its revision.

    The driver tells by it whether state that it built from the configuration is still good.
    """
    driver = {key: value for key, value in conf["azure_openai"].items() if key != "revision"}
    text = json.dumps({**conf, "azure_openai": driver}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _strategy(names: tuple[str, ...]) -> str | list[str]:
    alone = "instance_health_and_rate_limiting"
    return alone if names == (alone,) else list(names)


def _driver(routing: Routing, transport: Transport, *, debug_headers: bool) -> dict[str, Any]:
    hashing: dict[str, Any] = {}
    if routing.algorithm == "chash":
        hashing["hash_on"] = routing.hash_on
        if routing.hash_key and routing.hash_on != "consumer":
            hashing["hash_key"] = literal(routing.hash_key)
    return {
        "algorithm": routing.algorithm,
        **hashing,
        "connect_timeout_ms": transport.connect_timeout_ms,
        "send_timeout_ms": transport.send_timeout_ms,
        "read_timeout_ms": transport.read_timeout_ms,
        "first_byte_timeout_ms": transport.first_byte_timeout_ms,
        "max_attempts": routing.max_attempts,
        "failover_within_ms": routing.failover_within_ms,
        "json_hold_bytes": transport.json_hold_bytes,
        "stream_hold_bytes": transport.stream_hold_bytes,
        "stream_hold_ms": transport.stream_hold_ms,
        "debug_headers": debug_headers,
    }


def _instance(backend: Backend) -> dict[str, Any]:
    auth = {"header": {"api-key": literal(backend.key.value)}} if backend.key else {}
    optional = {
        "deployments": list(backend.deployments),
        "deployment_map": dict(backend.deployment_map),
        "api_version": backend.api_version,
        "capacity": backend.capacity,
        "region": backend.region,
    }
    return {
        "name": backend.name,
        "provider": "dynamic-azure-openai",
        "priority": backend.priority,
        "weight": backend.weight,
        "auth": auth,
        "override": {"endpoint": backend.endpoint},
        "provider_conf": {
            "mode": backend.mode.value,
            **{key: value for key, value in optional.items() if value},
        },
    }


def _consumer(client: Client) -> dict[str, Any]:
    digests = [key.sha256 for key in client.keys]
    return {"username": client.name, "plugins": {"azure-openai-auth": {"key_sha256": digests}}}


def config_document(model: GatewayModel) -> dict[str, Any]:
    """Return the content of config.yaml."""
    listeners = model.listeners
    return {
        "deployment": {"role": "data_plane", "role_data_plane": {"config_provider": "yaml"}},
        "apisix": {
            "node_listen": listeners.gateway_port,
            "enable_admin": False,
            "enable_control": False,
            # an empty list, or the port of the default one is reserved although ssl is off
            "ssl": {"enable": False, "listen": []},
            "status": {"ip": listeners.status_host, "port": listeners.status_port},
            "extra_lua_path": f"{model.engine.lua_path}/?.lua",
            "lua_module_hook": "apisix.plugins.dynamic-azure-openai.hook",
        },
        "nginx_config": _nginx(model),
        "plugin_attr": {
            # for stock routes beside ours: APISIX's default client is in its own image only
            "ai-proxy": {"http_client": "lua-resty-http"},
            "prometheus": {
                "export_uri": "/apisix/prometheus/metrics",
                "export_addr": {"ip": listeners.metrics_host, "port": listeners.metrics_port},
                "refresh_interval": model.engine.metrics_refresh_seconds,
            },
        },
        "plugins": list(PLUGINS),
    }


# nginx refuses a body far over the limit before any plugin runs; its own page is HTML.
_SERVER_SNIPPET = (
    "lua_check_client_abort on;\n"
    "error_page 413 @body_too_large;\n"
    "location @body_too_large {\n"
    "    content_by_lua_block {\n"
    '        require("apisix.plugins.dynamic-azure-openai.body_limit").handle()\n'
    "    }\n"
    "}\n"
)


def _nginx(model: GatewayModel) -> dict[str, Any]:
    body_mb = model.transport.max_request_body_bytes >> 20
    return {
        "worker_processes": model.engine.workers,
        "error_log_level": model.engine.log_level,
        "worker_shutdown_timeout": f"{model.engine.drain_seconds}s",
        "http": {
            "access_log_format": ACCESS_LOG_FORMAT,
            # one more than the plugin's limit, so that the plugin's answer is the one that is seen
            "client_max_body_size": f"{body_mb + 1}m" if body_mb else "0",
            "custom_lua_shared_dict": {"gateway-metrics": "16m", "gateway-state": "8m"},
        },
        "http_configuration_snippet": _control_listener(model.listeners.control_port),
        "http_server_configuration_snippet": _SERVER_SNIPPET,
    }


def _control_listener(port: int) -> str:
    return (
        "client_body_buffer_size 1m;\n"
        "server {\n"
        f"    listen 127.0.0.1:{port};\n"
        "    access_log off;\n"
        "    location / {\n"
        "        content_by_lua_block {\n"
        '            require("apisix.plugins.dynamic-azure-openai.control").handle()\n'
        "        }\n"
        "    }\n"
        "}\n"
    )
