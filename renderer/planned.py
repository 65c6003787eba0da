"""Variables of features that this version does not have.

They are part of the configuration's contract: the default (or off) value is accepted, any other one
stops the start, because a gateway that silently lacks a limit or a login is worse than none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from renderer.errors import NotAvailableError
from renderer.values import FLAGS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@dataclass(frozen=True, slots=True)
class Planned:
    """One variable (or field of an indexed group), its off value and the feature it belongs to."""

    name: str
    default: str
    feature: str


def _rows(feature: str, table: str) -> Iterator[Planned]:
    for line in table.strip().splitlines():
        name, _, default = line.strip().partition(" ")
        yield Planned(name, default.strip(), feature)


PLANNED: Mapping[str, Planned] = {
    row.name: row
    for row in (
        *_rows(
            "active health checks",
            """APISIX_ACTIVE_HEALTH_CHECKS false
            APISIX_ACTIVE_HEALTH_CHECK_SCHEME http
            APISIX_ACTIVE_HEALTH_CHECK_TIMEOUT 1
            APISIX_ACTIVE_HEALTH_CHECK_PATH /openai/v1/models
            APISIX_ACTIVE_HEALTH_CHECK_VERIFY_CERT true
            APISIX_ACTIVE_HEALTH_CHECK_HEALTHY_INTERVAL 10
            APISIX_ACTIVE_HEALTH_CHECK_UNHEALTHY_INTERVAL 5""",
        ),
        *_rows(
            "CORS",
            """ENABLE_CORS false
            CORS_ALLOW_ORIGINS
            CORS_ALLOW_METHODS
            CORS_ALLOW_HEADERS
            CORS_EXPOSE_HEADERS
            CORS_MAX_AGE 86400
            CORS_ALLOW_CREDENTIALS false""",
        ),
        *_rows(
            "the request rate limit",
            """ENABLE_RATE_LIMIT false
            RATE_LIMIT_RATE 0
            RATE_LIMIT_BURST 0""",
        ),
        *_rows(
            "the request quota",
            """ENABLE_QUOTA false
            QUOTA_COUNT 0
            QUOTA_TIME_WINDOW 0""",
        ),
        *_rows(
            "the token limit",
            """ENABLE_AI_RATE_LIMIT false
            AI_RATE_LIMIT_STRATEGY total_tokens
            AI_RATE_LIMIT_WINDOW_SECONDS 60
            AI_RATE_LIMIT_HIGH_LIMIT 200
            AI_RATE_LIMIT_LOW_LIMIT 20
            AI_RATE_LIMIT_REJECT_CODE 503
            AI_RATE_LIMIT_REJECT_MESSAGE rate limited""",
        ),
        *_rows(
            "the IP restriction",
            """ENABLE_IP_RESTRICTION false
            IP_WHITELIST
            IP_BLACKLIST""",
        ),
        *_rows("the response rewrite", "ENABLE_RESPONSE_REWRITE false"),
        *_rows(
            "the response cache",
            """ENABLE_CACHE false
            CACHE_TTL 0""",
        ),
        *_rows(
            "OpenID Connect",
            """ENABLE_OIDC false
            OIDC_CLIENT_ID
            OIDC_CLIENT_SECRET
            OIDC_DISCOVERY_URL
            OIDC_REDIRECT_URI""",
        ),
        *_rows(
            "Entra sign-in of clients",
            """ENTRA_TENANT_ID
            ENTRA_AUDIENCES
            ENTRA_REQUIRED_ROLES
            ENTRA_ALLOWED_APPS
            ENTRA_AUTHORITY_HOST https://login.microsoftonline.com
            ENTRA_JWKS_REFETCH_SECONDS 30""",
        ),
        *_rows(
            "managed identity for backends",
            """AZURE_OPENAI_TOKEN_RESOURCE https://cognitiveservices.azure.com/
            AZURE_OPENAI_MSI_CLIENT_ID""",
        ),
        *_rows(
            "Key Vault",
            """KEY_VAULT_URI
            KEY_VAULT_NAME
            KEY_VAULT_REQUIRED false
            SECRETS_IN_FILES true""",
        ),
        *_rows(
            "state shared between replicas",
            """REDIS_URL
            RESPONSES_AFFINITY_REDIS_HOST
            RESPONSES_AFFINITY_REDIS_PASSWORD
            RESPONSES_AFFINITY_REDIS_PORT 6379
            RESPONSES_AFFINITY_REDIS_TIMEOUT_MS 1000
            RESPONSES_AFFINITY_TTL_SECONDS 86400""",
        ),
        *_rows(
            "cooldowns and circuits",
            """COOLDOWN_DEFAULT_SECONDS 10
            COOLDOWN_MAX_SECONDS 300
            CIRCUIT_FAILURE_THRESHOLD 5
            CIRCUIT_OPEN_SECONDS 30
            CIRCUIT_OPEN_MAX_SECONDS 300""",
        ),
        *_rows(
            "latency routing",
            """LATENCY_TRIP_MS 8000
            LATENCY_CONSECUTIVE_BAD 2
            LATENCY_CLEAR_MS 3000
            LATENCY_DEGRADED_SECONDS 900
            LATENCY_PROBE_SECONDS 60
            LATENCY_EMA_ALPHA 0.3
            LATENCY_SAMPLE_SECONDS 600""",
        ),
        *_rows("the end-to-end test routes", "GATEWAY_E2E_TEST_MODE false"),
        *_rows("the accelerator's folder layout", "GATEWAY_SHARED_DIR /shared-configs/gateway"),
        *_rows(
            "the gateway log shipper",
            """APIM_GATEWAY_LOGS_INGEST_URI
            APIM_GATEWAY_LOGS_STREAM Custom-APISIXGatewayLogs
            APIM_GATEWAY_LOGS_INCLUDE_REQ_BODY false
            APIM_GATEWAY_LOGS_BATCH_MAX_SIZE 100
            APIM_GATEWAY_LOGS_FLUSH_INTERVAL 5
            APIM_GATEWAY_LOGS_MAX_RETRY 5
            APIM_GATEWAY_LOGS_TIMEOUT_MS 10000
            APIM_GATEWAY_LOGS_MSI_CLIENT_ID
            APIM_GATEWAY_LOGS_MSI_ENDPOINT
            APIM_GATEWAY_LOGS_MSI_SECRET
            APIM_GATEWAY_ID apisix-gateway
            APIM_GATEWAY_API_ID
            APIM_GATEWAY_OPERATION_NAME
            APIM_GATEWAY_PRODUCT_ID
            GATEWAY_PRODUCT_ID""",
        ),
    )
}

PLANNED_BACKEND_FIELDS: Mapping[str, Planned] = {
    row.name: row
    for row in (
        *_rows(
            "managed identity for backends",
            """TOKEN_RESOURCE https://cognitiveservices.azure.com/
            TOKEN_SCOPE
            MSI_CLIENT_ID""",
        ),
        *_rows("the concurrency limit of a backend", "MAX_CONCURRENCY 0"),
    )
}

PLANNED_CLIENT_FIELDS: Mapping[str, Planned] = {
    row.name: row
    for row in (
        *_rows("priority lanes of clients", "PRIORITY 0"),
        *_rows(
            "limits of clients",
            """TOKENS_PER_MINUTE 0
            REQUESTS_PER_MINUTE 0
            DEPLOYMENTS""",
        ),
        *_rows("pinning by clients", "PIN false"),
    )
}


def check_planned(name: str, text: str, planned: Planned) -> NotAvailableError | None:
    """Return an error when the value asks for a feature that is not there."""
    if is_off(text.strip(), planned.default):
        return None
    keep = f"leave it at {planned.default}" if planned.default else "remove it"
    return NotAvailableError(name, f"{planned.feature}: not available in this version; {keep}")


def is_off(text: str, default: str) -> bool:
    """Tell whether a value is the default in any of its spellings, or switches the feature off.

    A number is off at 0; a list or address that defaults to nothing is off at `0`, `false`, `no`.
    """
    if not text or text == default:
        return True
    if text.lower() in FLAGS and (not default or default.lower() in FLAGS):
        return FLAGS[text.lower()] is FLAGS.get(default.lower(), False)
    try:
        return float(text) in {0.0, float(default)}
    except ValueError:
        return text.rstrip("/").lower() == default.rstrip("/").lower()
