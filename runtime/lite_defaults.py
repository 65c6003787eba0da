"""APISIX's defaults for the settings of config.yaml that `lite` uses, and the merge with a file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

DEFAULTS: dict[str, Any] = {
    "apisix": {
        "node_listen": [9080],
        "enable_ipv6": True,
        "enable_server_tokens": True,
        "extra_lua_path": "",
        "resolver_timeout": 5,
        "ssl": {"ssl_trusted_certificate": "system"},
    },
    "nginx_config": {
        "error_log_level": "warn",
        "worker_processes": "auto",
        "worker_rlimit_nofile": 20480,
        "worker_shutdown_timeout": "240s",
        "max_pending_timers": 16384,
        "max_running_timers": 4096,
        "event": {"worker_connections": 10620},
        "envs": [],
        "meta": {
            "lua_shared_dict": {
                "prometheus-metrics": "128m",
                "prometheus-cache": "10m",
                "status-report": "1m",
            },
        },
        "main_configuration_snippet": "",
        "http_configuration_snippet": "",
        "http_server_configuration_snippet": "",
        "http_server_location_configuration_snippet": "",
        "http_end_configuration_snippet": "",
        "http": {
            "enable_access_log": True,
            "access_log": "logs/access.log",
            "access_log_buffer": 16384,
            "access_log_format": (
                '$remote_addr - $remote_user [$time_local] $http_host "$request" $status '
                '$body_bytes_sent $request_time "$http_referer" "$http_user_agent" '
                "$upstream_addr $upstream_status $upstream_response_time "
                '"$upstream_scheme://$upstream_host$upstream_uri" "$apisix_request_id"'
            ),
            "access_log_format_escape": "default",
            "keepalive_timeout": "60s",
            "client_header_timeout": "60s",
            "client_body_timeout": "60s",
            "client_max_body_size": 0,
            "send_timeout": "10s",
            "underscores_in_headers": "on",
            "real_ip_header": "X-Real-IP",
            "real_ip_recursive": "off",
            "real_ip_from": ["127.0.0.1", "unix:"],
            "charset": "utf-8",
            "variables_hash_max_size": 2048,
            "custom_lua_shared_dict": {},
        },
    },
    "plugin_attr": {
        "prometheus": {
            "export_uri": "/apisix/prometheus/metrics",
            "enable_export_server": True,
            "export_addr": {"ip": "127.0.0.1", "port": 9091},
            "refresh_interval": 15,
        },
    },
    "plugins": [],
}


def merged(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return config.yaml laid over the defaults; lists are replaced, not merged."""
    return _merge(DEFAULTS, config)


def _merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(base)
    for key, value in over.items():
        old = base.get(key)
        if isinstance(value, Mapping) and isinstance(old, Mapping):
            result[key] = _merge(old, value)
        elif value is not None:
            result[key] = value
    return result
