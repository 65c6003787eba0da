"""Azure OpenAI's own error answers, by name. Texts and headers as the service sends them."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_QUOTA = "Please go here: https://aka.ms/oai/quotaincrease if you would like to further increase the default rate limit."  # noqa: E501
_OPERATIONS = {
    "chat": "ChatCompletions_Create",
    "completions": "Completions_Create",
    "embeddings": "Embeddings_Create",
    "responses": "Responses_Create",
}
_SEVERITIES = ("hate", "self_harm", "sexual", "violence")


@dataclasses.dataclass(frozen=True, kw_only=True)
class CannedError:
    """Status, headers and body (JSON data) of an error answer."""

    status: int
    body: Any
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)


def _error(code: str | None, message: str, **more: Any) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, **more}}


def _model_error(status: int, code: str | None, message: str, param: str | None) -> CannedError:
    body = {
        "error": {"message": message, "type": "invalid_request_error", "param": param, "code": code}
    }
    headers = {"ms-azureml-model-error-reason": "model_error"}
    return CannedError(
        status=status, body=body, headers={**headers, "ms-azureml-model-error-statuscode": "400"}
    )


def _content_filter() -> CannedError:
    results: dict[str, Any] = {n: {"filtered": False, "severity": "safe"} for n in _SEVERITIES}
    results["violence"] = {"filtered": True, "severity": "medium"}
    results["jailbreak"] = {"filtered": False, "detected": False}
    message = (
        "The response was filtered due to the prompt triggering Azure OpenAI's content management "
        "policy. Please modify your prompt and retry. To learn more about our content filtering "
        "policies please read our documentation: https://go.microsoft.com/fwlink/?linkid=2198766"
    )
    inner = {"code": "ResponsibleAIPolicyViolation", "content_filter_result": results}
    body = {
        "error": {
            "message": message,
            "type": None,
            "param": "prompt",
            "code": "content_filter",
            "status": 400,
            "innererror": inner,
        }
    }
    return CannedError(status=400, body=body, headers={"x-ms-rai-invoked": "true"})


_FIXED: dict[str, CannedError] = {
    "400": _model_error(400, None, "Invalid value for 'temperature'.", "temperature"),
    "content_filter": _content_filter(),
    "context_length_exceeded": _model_error(
        400,
        "context_length_exceeded",
        "This model's maximum context length is 128000 tokens. However, your messages resulted in "
        "130012 tokens. Please reduce the length of the messages.",
        "messages",
    ),
    "stream_options": _model_error(
        400, None, "Unrecognized request argument supplied: stream_options", None
    ),
    "invalid_encrypted_content": _model_error(
        400,
        "invalid_encrypted_content",
        "The encrypted content could not be verified. Reason: Encrypted content could not be "
        "decrypted or parsed.",
        None,
    ),
    "401": CannedError(
        status=401,
        body=_error(
            "401",
            "Access denied due to invalid subscription key or wrong API endpoint. Make sure to "
            "provide a valid key for an active subscription and use a correct regional API "
            "endpoint for your resource.",
        ),
    ),
    "401_token": CannedError(
        status=401,
        body={
            "statusCode": 401,
            "message": "Unauthorized. Access token is missing, invalid, audience is incorrect "
            "(https://cognitiveservices.azure.com), or have expired.",
        },
        headers={"www-authenticate": "Bearer"},
    ),
    "403": CannedError(
        status=403,
        body=_error("403", "Access denied due to Virtual Network/Firewall rules."),
    ),
    "403_blocked": CannedError(
        status=403,
        body=_error(
            "403",
            "Your resource has been temporarily blocked because we detected behavior that may "
            "violate our content policy.",
        ),
    ),
    "404": CannedError(status=404, body=_error("404", "Resource not found")),
    "DeploymentNotFound": CannedError(
        status=404,
        body=_error(
            "DeploymentNotFound",
            "The API deployment for this resource does not exist. If you created the deployment "
            "within the last 5 minutes, please wait a moment and try again.",
        ),
    ),
    "408": CannedError(status=408, body=_error("Timeout", "The operation was timeout.")),
    "413": CannedError(
        status=413, body=_error("RequestEntityTooLarge", "The request entity is too large.")
    ),
    "422": CannedError(
        status=422, body=_error("UnprocessableEntity", "The request could not be processed.")
    ),
    "500": CannedError(
        status=500,
        body=_error(
            "InternalServerError",
            "The server had an error while processing your request. Sorry about that!",
        ),
    ),
    "502": CannedError(status=502, body=_error("BadGateway", "Bad gateway.")),
    "503": CannedError(
        status=503,
        body=_error("ServiceUnavailable", "The service is temporarily unable to process it."),
    ),
    "504": CannedError(
        status=504, body=_error("GatewayTimeout", "The gateway did not receive a response.")
    ),
}
NAMES = (*_FIXED, "429", "429_requests", "429_capacity")


def named(
    name: str, *, operation: str = "chat", api_version: str | None = None, retry_after_ms: int = 0
) -> CannedError:
    """Return the canned error `name`; a 429 says in text and headers when to come back."""
    if not name.startswith("429"):
        return _FIXED[name]
    seconds = max(1, math.ceil(retry_after_ms / 1000))
    headers = {"retry-after": str(seconds), "retry-after-ms": str(retry_after_ms)}
    if name == "429_capacity":
        text = "The service is temporarily at capacity. Please try again later."
        return CannedError(status=429, body=_error("429", text), headers=headers)
    kind = "call" if name == "429_requests" else "token"
    limit = "requests" if name == "429_requests" else "tokens"
    headers |= {f"x-ratelimit-reset-{limit}": str(seconds), f"x-ratelimit-remaining-{limit}": "0"}
    text = (
        f"Requests to the {_OPERATIONS.get(operation, operation)} Operation under Azure OpenAI API "
        f"version {api_version or 'v1'} have exceeded {kind} rate limit of your current OpenAI S0 "
        f"pricing tier. Please retry after {seconds} second{'s' if seconds > 1 else ''}. {_QUOTA}"
    )
    return CannedError(status=429, body=_error("429", text), headers=headers)


def bad_request(message: str, *, code: str | None = None, param: str | None = None) -> CannedError:
    """Return a 400 in the shape of the model's own errors."""
    return _model_error(400, code, message, param)


def bad_api_version(message: str) -> CannedError:
    """Return a 400 in the shape of the service front end's errors."""
    return CannedError(status=400, body=_error("BadRequest", message))
