"""Wrong inputs: one clear line for each, naming the variable and what to do, nothing written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from renderer_support import BACKEND_KEY, CLIENT_KEY, environment

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from click.testing import Result

UNKNOWN, INVALID, MISSING, CONFLICT, UNAVAILABLE = 11, 12, 13, 14, 15
CANARY = "s3cr3t-canary-value"

# columns: what changes in the good environment; the variable that the line names; a part of its
# advice; the exit code
CASES: list[tuple[dict[str, str | None], str, str, int]] = [
    ({"AZURE_OPENAI_ENDPOINT_0": None}, "AZURE_OPENAI_ENDPOINT_0", "set https://", MISSING),
    (
        {"AZURE_OPENAI_ENDPOINT_0": None, "AZURE_OPENAI_KEY_0": None},
        "AZURE_OPENAI_ENDPOINT_0",
        "there is no backend",
        MISSING,
    ),
    (
        {
            "AZURE_OPENAI_ENDPOINT_0": None,
            "AZURE_OPENAI_KEY_0": None,
            "AZURE_OPENAI_ENDPOINT": "https://sdk.openai.azure.com",
        },
        "AZURE_OPENAI_ENDPOINT_0",
        "the SDK's own",
        MISSING,
    ),
    ({"AZURE_OPENAI_ENPOINT_1": CANARY}, "AZURE_OPENAI_ENPOINT_1", "ENDPOINT_1?", UNKNOWN),
    ({"AZURE_OPENAI_API_KEY_0": CANARY}, "AZURE_OPENAI_API_KEY_0", "OPENAI_KEY_0?", UNKNOWN),
    ({"AZURE_OPENAI_KEY1": CANARY}, "AZURE_OPENAI_KEY1", "AZURE_OPENAI_KEY_1?", UNKNOWN),
    ({"AZURE_OPENAI_ZZZ_0": CANARY}, "AZURE_OPENAI_ZZZ_0", "fields are ENDPOINT", UNKNOWN),
    (
        {"AZURE_OPENAI_KEY_00": CANARY},
        "AZURE_OPENAI_KEY_00",
        "the same as AZURE_OPENAI_KEY_0",
        CONFLICT,
    ),
    ({"AZURE_OPENAI_ENDPOINT_0": "one.openai"}, "AZURE_OPENAI_ENDPOINT_0", "https://", INVALID),
    ({"AZURE_OPENAI_ENDPOINT_0": "ftp://one"}, "AZURE_OPENAI_ENDPOINT_0", "https://", INVALID),
    ({"AZURE_OPENAI_ENDPOINT_0": "https://"}, "AZURE_OPENAI_ENDPOINT_0", "https://", INVALID),
    (
        {"AZURE_OPENAI_ENDPOINT_0": "http://one.openai.azure.com"},
        "AZURE_OPENAI_ENDPOINT_0",
        "ALLOW_HTTP=true",
        INVALID,
    ),
    (
        {"AZURE_OPENAI_ENDPOINT_0": f"https://user:{CANARY}@one"},
        "AZURE_OPENAI_ENDPOINT_0",
        "carries credentials",
        INVALID,
    ),
    ({"AZURE_OPENAI_ENDPOINT_0": "https://o:99999"}, "AZURE_OPENAI_ENDPOINT_0", "port", INVALID),
    ({"AZURE_OPENAI_ENDPOINT_0": "https://a b"}, "AZURE_OPENAI_ENDPOINT_0", "address", INVALID),
    ({"AZURE_OPENAI_ENDPOINT_0": "https://[::1"}, "AZURE_OPENAI_ENDPOINT_0", "host", INVALID),
    ({"AZURE_OPENAI_ENDPOINT_0": "https://a..b"}, "AZURE_OPENAI_ENDPOINT_0", "host name", INVALID),
    (
        {"AZURE_OPENAI_ENDPOINT_0": "tcp://10.0.0.1:80"},
        "AZURE_OPENAI_ENDPOINT_0",
        "https://",
        INVALID,
    ),
    (
        {"AZURE_OPENAI_KEY_0": None},
        "AZURE_OPENAI_KEY_0",
        "AZURE_OPENAI_AUTH_MODE_0=none",
        UNAVAILABLE,
    ),
    (
        {"AZURE_OPENAI_AUTH_MODE_0": "aad"},
        "AZURE_OPENAI_AUTH_MODE_0",
        "not available in this version",
        UNAVAILABLE,
    ),
    (
        {"AZURE_OPENAI_AUTH_MODE_0": "api-key", "AZURE_OPENAI_KEY_0": None},
        "AZURE_OPENAI_KEY_0",
        "set the key",
        MISSING,
    ),
    ({"AZURE_OPENAI_AUTH_MODE_0": "nonne"}, "AZURE_OPENAI_AUTH_MODE_0", "mean none?", INVALID),
    ({"AZURE_OPENAI_KEY_0": f"{CANARY}\n"}, "AZURE_OPENAI_KEY_0", "line end", INVALID),
    ({"AZURE_OPENAI_KEY_0": f" {CANARY}"}, "AZURE_OPENAI_KEY_0", "remove it", INVALID),
    ({"AZURE_OPENAI_KEY_0": f"{CANARY}\x07x"}, "AZURE_OPENAI_KEY_0", "control", INVALID),
    ({"AZURE_OPENAI_KEY_0": f"{CANARY}ключ"}, "AZURE_OPENAI_KEY_0", "ASCII", INVALID),
    ({"AZURE_OPENAI_KEY_0": "pending-foundry"}, "AZURE_OPENAI_KEY_0", "placeholder", INVALID),
    ({"AZURE_OPENAI_WEIGHT_0": "-1"}, "AZURE_OPENAI_WEIGHT_0", "use 0 to", INVALID),
    ({"AZURE_OPENAI_WEIGHT_0": "1.5"}, "AZURE_OPENAI_WEIGHT_0", "whole number", INVALID),
    ({"AZURE_OPENAI_PRIORITY_0": "high"}, "AZURE_OPENAI_PRIORITY_0", "whole number", INVALID),
    ({"AZURE_OPENAI_NAME_0": "$env://HOME"}, "AZURE_OPENAI_NAME_0", "not $ in front", INVALID),
    ({"AZURE_OPENAI_MODE_0": "standbye"}, "AZURE_OPENAI_MODE_0", "mean standby?", INVALID),
    ({"AZURE_OPENAI_CAPACITY_0": "ptus"}, "AZURE_OPENAI_CAPACITY_0", "mean ptu?", INVALID),
    ({"AZURE_OPENAI_DEPLOYMENTS_0": "a,b/c"}, "AZURE_OPENAI_DEPLOYMENTS_0", "letters", INVALID),
    ({"AZURE_OPENAI_DEPLOYMENT_MAP_0": "a"}, "AZURE_OPENAI_DEPLOYMENT_MAP_0", "=", INVALID),
    (
        {"AZURE_OPENAI_DEPLOYMENT_MAP_0": "a=b,a=c"},
        "AZURE_OPENAI_DEPLOYMENT_MAP_0",
        "keep one",
        INVALID,
    ),
    ({"AZURE_OPENAI_API_VERSION_0": "a&b"}, "AZURE_OPENAI_API_VERSION_0", "2024-10-21", INVALID),
    (
        {
            "AZURE_OPENAI_NAME_0": "same",
            "AZURE_OPENAI_ENDPOINT_1": "https://two.openai.azure.com",
            "AZURE_OPENAI_KEY_1": "k",
            "AZURE_OPENAI_NAME_1": "same",
        },
        "AZURE_OPENAI_NAME_1",
        "AZURE_OPENAI_NAME_0",
        CONFLICT,
    ),
    (
        {"AZURE_OPENAI_MAX_CONCURRENCY_0": "40"},
        "AZURE_OPENAI_MAX_CONCURRENCY_0",
        "leave it at 0",
        UNAVAILABLE,
    ),
    (
        {"GATEWAY_CLIENT_NAME_0": None, "GATEWAY_CLIENT_KEY_0": None},
        "GATEWAY_CLIENT_KEY_0",
        "GATEWAY_REQUIRE_AUTH=false",
        MISSING,
    ),
    ({"GATEWAY_CLIENT_KEY_0": None}, "GATEWAY_CLIENT_KEY_0", "set the client's key", MISSING),
    ({"GATEWAY_CLIENT_NAME_0": None}, "GATEWAY_CLIENT_NAME_0", "set the client's name", MISSING),
    ({"GATEWAY_CLIENT_NAME_0": "team a"}, "GATEWAY_CLIENT_NAME_0", "letters, digits", INVALID),
    ({"GATEWAY_CLIENT_KEY_0": "short"}, "GATEWAY_CLIENT_KEY_0", "8 or more", INVALID),
    ({"GATEWAY_CLIENT_KEY": "short"}, "GATEWAY_CLIENT_KEY", "8 or more", INVALID),
    (
        {"GATEWAY_CLIENT_NAME_2": "team-c", "GATEWAY_CLIENT_KEY_2": f"{CANARY}-2"},
        "GATEWAY_CLIENT_KEY_1",
        "without gaps",
        MISSING,
    ),
    (
        {"GATEWAY_CLIENT_NAME_1": "team-b", "GATEWAY_CLIENT_KEY_1": CLIENT_KEY},
        "GATEWAY_CLIENT_KEY_1",
        "each client needs its own",
        CONFLICT,
    ),
    (
        {"GATEWAY_CLIENT_NAME_1": "team-a", "GATEWAY_CLIENT_KEY_1": f"{CANARY}-2"},
        "GATEWAY_CLIENT_NAME_1",
        "GATEWAY_CLIENT_NAME_0",
        CONFLICT,
    ),
    ({"GATEWAY_CLIENT_SECRET_0": CANARY}, "GATEWAY_CLIENT_SECRET_0", "fields are", UNKNOWN),
    ({"GATEWAY_CLIENT_PIN_0": "true"}, "GATEWAY_CLIENT_PIN_0", "pinning", UNAVAILABLE),
    ({"GATEWAY_REQUIRE_AUT": "1"}, "GATEWAY_REQUIRE_AUT", "GATEWAY_REQUIRE_AUTH?", UNKNOWN),
    ({"GATEWAY_REQUIRE_AUTH": "nope"}, "GATEWAY_REQUIRE_AUTH", "true, false", INVALID),
    ({"AI_PROXY_READ_TIMOUT": "5"}, "AI_PROXY_READ_TIMOUT", "AI_PROXY_READ_TIMEOUT?", UNKNOWN),
    ({"AI_PROXY_READ_TIMEOUT": "5m"}, "AI_PROXY_READ_TIMEOUT", "0 to 86400", INVALID),
    ({"AI_PROXY_FALLBACK_STRATEGY": "http_500"}, "AI_PROXY_FALLBACK_STRATEGY", "http_5", INVALID),
    ({"FAILOVER_WITHIN": "5"}, "FAILOVER_WITHIN", "FAILOVER_WITHIN_MS?", UNKNOWN),
    ({"FAILOVER_MAX_ATTEMPTS": "-2"}, "FAILOVER_MAX_ATTEMPTS", "use 0 to", INVALID),
    ({"LB_ALG": "roundrobbin"}, "LB_ALG", "mean roundrobin?", INVALID),
    ({"LB_ALG": "latency"}, "LB_ALG", "use roundrobin or chash", UNAVAILABLE),
    ({"LB_ALG": "chash", "LB_HASH_ON": "header"}, "LB_HASH_KEY", "needs a name", MISSING),
    ({"LB_ALGO": "chash"}, "LB_ALGO", "LB_ALG?", UNKNOWN),
    ({"GATEWAY_PORT": "99999"}, "GATEWAY_PORT", "1 to 65535", INVALID),
    ({"STATUS_PORT": "9080"}, "STATUS_PORT", "GATEWAY_PORT", CONFLICT),
    ({"STATUS_HOST": "everywhere"}, "STATUS_HOST", "127.0.0.1", INVALID),
    ({"GATEWAY_WORKERS": "0"}, "GATEWAY_WORKERS", "auto or 1", INVALID),
    ({"GATEWAY_LOG_MODE": "verbose"}, "GATEWAY_LOG_MODE", "prod, test, dev", INVALID),
    ({"GATEWAY_LUA_PATH": "lua;${{X}}"}, "GATEWAY_LUA_PATH", "absolute path", INVALID),
    ({"APISIX_LOG_LEVEL": "warning"}, "APISIX_LOG_LEVEL", "mean warn?", INVALID),
    ({"METRICS_REFRESH_SECONDS": "0"}, "METRICS_REFRESH_SECONDS", "1 to 3600", INVALID),
    ({"OTEL_MEMORY_SPIKE_MIB": "400"}, "OTEL_MEMORY_SPIKE_MIB", "LIMIT_MIB", INVALID),
    ({"OTEL_COLLECTOR_ENDPOINT": "localhost:4317"}, "OTEL_COLLECTOR_ENDPOINT", "4318", INVALID),
    ({"OTEL_BATCH_TIMEOUT": "soon"}, "OTEL_BATCH_TIMEOUT", "10s", INVALID),
    ({"OTEL_SAMPLE_RATE": "7"}, "OTEL_SAMPLE_RATE", "0 to 1", INVALID),
    ({"PROMETHEUS_SCRAPE_TIMEOUT": "31s"}, "PROMETHEUS_SCRAPE_TIMEOUT", "INTERVAL", INVALID),
    (
        {"AZURE_MONITOR_WORKSPACE_ENDPOINT": "x.ingest"},
        "AZURE_MONITOR_WORKSPACE_ENDPOINT",
        "base URL",
        INVALID,
    ),
    ({"ENABLE_CACHE": "on"}, "ENABLE_CACHE", "not available in this version", UNAVAILABLE),
    ({"ENABLE_AI_RATE_LIMIT": "true"}, "ENABLE_AI_RATE_LIMIT", "leave it", UNAVAILABLE),
    ({"AI_RATE_LIMIT_STRATEGY": "req"}, "AI_RATE_LIMIT_STRATEGY", "total_tokens", UNAVAILABLE),
    ({"IP_WHITELIST": "10.0.0.0/8"}, "IP_WHITELIST", "remove it", UNAVAILABLE),
    ({"APISIX_ACTIVE_HEALTH_CHECKS": "1"}, "APISIX_ACTIVE_HEALTH_CHECKS", "false", UNAVAILABLE),
    ({"GATEWAY_E2E_TEST_MODE": "yes"}, "GATEWAY_E2E_TEST_MODE", "leave it", UNAVAILABLE),
    ({"ENTRA_TENANT_ID": CANARY}, "ENTRA_TENANT_ID", "remove it", UNAVAILABLE),
    ({"ENTRA_TENNANT_ID": CANARY}, "ENTRA_TENNANT_ID", "ENTRA_TENANT_ID?", UNKNOWN),
    ({"KEY_VAULT_NAME": "kv"}, "KEY_VAULT_NAME", "Key Vault", UNAVAILABLE),
    ({"SECRETS_IN_FILES": "false"}, "SECRETS_IN_FILES", "leave it at true", UNAVAILABLE),
    ({"REDIS_URL": f"rediss://:{CANARY}@r"}, "REDIS_URL", "remove it", UNAVAILABLE),
    ({"COOLDOWN_DEFAULT_SECONDS": "11"}, "COOLDOWN_DEFAULT_SECONDS", "at 10", UNAVAILABLE),
    ({"CIRCUIT_OPENED_SECONDS": "30"}, "CIRCUIT_OPENED_SECONDS", "CIRCUIT_OPEN_S", UNKNOWN),
    ({"LATENCY_EMA_ALPHA": "0.5"}, "LATENCY_EMA_ALPHA", "at 0.3", UNAVAILABLE),
]


@pytest.mark.parametrize(
    ("changes", "variable", "advice", "code"),
    CASES,
    ids=[f"{c[1]}-{n}" for n, c in enumerate(CASES)],
)
def test_a_wrong_input_is_one_clear_line_and_nothing_is_written(
    changes: dict[str, str | None],
    variable: str,
    advice: str,
    code: int,
    cli: Callable[..., Result],
    tmp_path: Path,
):
    out = tmp_path / "out"

    result = cli(environment(**changes), "--out", str(out))

    errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert result.exit_code == code, result.output
    assert len(errors) == 1
    assert errors[0].startswith(f"error: {variable}: ")
    assert advice in errors[0]
    assert not out.exists()
    for secret in (CANARY, BACKEND_KEY, CLIENT_KEY):
        assert secret not in result.output


def test_all_wrong_inputs_of_a_run_are_reported_at_once(cli: Callable[..., Result]):
    env = environment(
        GATEWAY_PORT="x", LB_ALGO="y", AZURE_OPENAI_WEIGHT_0="-1", GATEWAY_CLIENT_KEY_0="short"
    )

    result = cli(env, "--check")

    named = {line.split(": ")[1] for line in result.stderr.splitlines()}
    assert named == {"GATEWAY_PORT", "LB_ALGO", "AZURE_OPENAI_WEIGHT_0", "GATEWAY_CLIENT_KEY_0"}
    assert result.exit_code == 10
