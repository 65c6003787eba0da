"""The scalar settings: one field for each environment variable, `gateway_port` for `GATEWAY_PORT`.

Only the mapping that is handed in is read, never the process environment. An empty value counts as
not set. The reference in docs/configuration.md is generated from these fields.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, BeforeValidator, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from renderer.errors import InvalidValueError
from renderer.fields import (
    AbsolutePath,
    Count,
    Flag,
    ListenHost,
    Millis,
    Port,
    RefreshSeconds,
    Seconds,
    SecretText,
    Strategies,
    Text,
    WholeSeconds,
    flag,
    setting,
)
from renderer.otel_settings import TelemetrySettings
from renderer.values import choice, parse_workers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic.fields import FieldInfo

    from renderer.redact import Secret

LOG_LEVELS = ("debug", "info", "notice", "warn", "error", "crit", "alert", "emerg")
HASH_ON = ("consumer", "vars", "vars_combinations", "header", "cookie")
INJECTED_SCHEMES = ("tcp://", "udp://", "sctp://")

LogLevel = Annotated[str, BeforeValidator(choice(*LOG_LEVELS))]
LogMode = Annotated[str, BeforeValidator(choice("prod", "test", "dev"))]
# latency is a known word of a later version, so that its error can say so
Algorithm = Annotated[str, BeforeValidator(choice("roundrobin", "chash", "latency"))]
HashOn = Annotated[str, BeforeValidator(choice(*HASH_ON))]
Workers = Annotated[str | int, BeforeValidator(parse_workers)]


def _long_enough(key: Secret) -> Secret:
    if len(key.value) < MIN_CLIENT_KEY:
        raise ValueError(
            f"{len(key.value)} characters are too few for a client key; "
            f"use {MIN_CLIENT_KEY} or more random ones"
        )
    return key


MIN_CLIENT_KEY = 8
ClientKey = Annotated[SecretText, AfterValidator(_long_enough)]


class Settings(TelemetrySettings, BaseSettings):
    """Every scalar variable that this version understands, with its default."""

    model_config = SettingsConfigDict(
        frozen=True, arbitrary_types_allowed=True, validate_default=False
    )

    gateway_require_auth: Flag = flag(True, "Clients must present a key of a GATEWAY_CLIENT.")
    gateway_client_key: ClientKey | None = setting(
        None,
        f"{MIN_CLIENT_KEY} or more printable characters",
        "Key of one client named `gateway-client`, without an index.",
        secret=True,
    )
    allow_http: Flag = flag(False, "Accept http:// endpoints on other hosts than loopback.")

    lb_alg: Algorithm = setting(
        "roundrobin", "roundrobin, chash", "Order of the backends inside one priority."
    )
    lb_hash_on: HashOn = setting("consumer", ", ".join(HASH_ON), "What chash hashes.")
    lb_hash_key: Text | None = setting(
        None,
        "text",
        "Name of the header, cookie or variable; needed by chash unless it hashes the consumer.",
    )

    ai_proxy_connect_timeout: Seconds = setting(
        5.0, "seconds, decimals allowed; 0 = off", "Time to connect, TLS included."
    )
    ai_proxy_send_timeout: Seconds = setting(
        60.0, "seconds, decimals allowed; 0 = off", "Time between two writes of the request."
    )
    ai_proxy_read_timeout: Seconds = setting(
        300.0,
        "seconds, decimals allowed; 0 = off",
        "Silence of a backend that is accepted between two reads.",
    )
    ai_proxy_first_byte_timeout: Seconds = setting(
        0.0,
        "seconds, decimals allowed; 0 = off",
        "Time to the response headers; when it is over, the next backend is tried.",
    )
    ai_proxy_fallback_strategy: Strategies = setting(
        ("http_429", "http_5xx"),
        "comma list of http_429, http_5xx, rate_limiting; "
        "or instance_health_and_rate_limiting alone",
        "`fallback_strategy` of ai-proxy-multi.",
    )
    ai_proxy_log_summaries: Flag = flag(True, "Token and model summary in the request log.")
    failover_max_attempts: Count = setting(
        0, "0 to 1000000; 0 = every eligible backend once", "Attempts that one request may make."
    )
    failover_within_ms: Millis = setting(
        60_000,
        "milliseconds; 0 = no limit",
        "A failure later than this after the start of an attempt is returned, not retried "
        "(connect and first-byte timeouts excepted).",
    )

    drain_seconds: WholeSeconds = setting(
        30, "whole seconds; 0 = no limit", "Time that open requests get to finish after SIGTERM."
    )
    max_request_body_mb: Count = setting(
        64, "mebibytes; 0 = no limit", "Largest request body; a larger one is answered with 413."
    )
    json_hold_kb: Count = setting(
        1024,
        "kibibytes; 0 = off",
        "Part of a JSON answer that is held back, so that a failure in it can still fail over.",
    )
    stream_hold_kb: Count = setting(
        16, "kibibytes; 0 = off", "Part of a stream's head that is held back for the same reason."
    )
    stream_hold_ms: Millis = setting(
        250, "milliseconds; 0 = off", "Longest time that a stream's head is held back."
    )
    metrics_refresh_seconds: RefreshSeconds = setting(
        5, "1 to 3600 seconds", "Age that the Prometheus text may have."
    )
    gateway_workers: Workers = setting(
        "auto",
        "auto, or 1 to 1024",
        "nginx worker processes; `auto` is the CPU limit of the container.",
    )

    gateway_port: Port = setting(9080, "1 to 65535", "Port that clients use, on every address.")
    status_host: ListenHost = setting("127.0.0.1", "IP address", "Address of the probes.")
    status_port: Port = setting(7085, "1 to 65535", "Port of `/status` and `/status/ready`.")
    control_port: Port = setting(9090, "1 to 65535", "Port of `/backends`; always on loopback.")
    metrics_host: ListenHost = setting("127.0.0.1", "IP address", "Address of the metrics.")
    metrics_port: Port = setting(9091, "1 to 65535", "Port of the Prometheus text.")

    gateway_debug_headers: Flag = flag(
        True, "Answer with `x-gateway-backend` and `x-gateway-attempts`."
    )
    gateway_log_mode: LogMode = setting(
        "prod",
        "prod, test, dev",
        "test and dev write one JSON line for each request to APISIX_LOGS_PATH; "
        "dev also switches the collector's debug exporter on.",
    )
    apisix_logs_path: AbsolutePath = setting(
        "/usr/local/apisix/logs/genai_access.json",
        "absolute path",
        "File of the JSON request log.",
    )
    apisix_log_level: LogLevel = setting(
        "warn", ", ".join(LOG_LEVELS), "Level of nginx's error log."
    )
    gateway_lua_path: AbsolutePath = setting(
        "/usr/local/apisix/gateway",
        "absolute path",
        "Folder that holds `apisix/plugins` of this gateway, as the engine sees it.",
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        *_others: PydanticBaseSettingsSource,
        **_named: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Drop pydantic-settings' own readers of the process environment and of .env files."""
        del settings_cls
        return (init_settings,)


class MappingSource(PydanticBaseSettingsSource):
    """The mapping that `read_settings` was given, as a source of pydantic-settings."""

    def __init__(self, settings_cls: type[BaseSettings], env: Mapping[str, str]) -> None:
        super().__init__(settings_cls)
        self._env = env

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Return the text of one variable, or None when it is unset, empty or not ours."""
        del field
        text = self._env.get(field_name.upper(), "")
        mine = bool(text.strip()) and not text.startswith(INJECTED_SCHEMES)
        return (text if mine else None), field_name, False

    def __call__(self) -> dict[str, Any]:
        """Return the texts of all variables that are set."""
        found = {
            name: self.get_field_value(field, name)[0]
            for name, field in self.settings_cls.model_fields.items()
        }
        return {name: text for name, text in found.items() if text is not None}


def read_settings(env: Mapping[str, str]) -> tuple[Settings, list[InvalidValueError]]:
    """Read all settings; a wrong one keeps its default and adds an error.

    Going on with defaults lets the caller find what else is wrong in the same run.
    """
    texts = MappingSource(Settings, env)()
    problems: list[InvalidValueError] = []
    try:
        return Settings(**texts), problems
    except ValidationError as error:
        for detail in error.errors(include_input=False, include_url=False):
            name = str(detail["loc"][0])
            cause = detail.get("ctx", {}).get("error", detail["msg"])
            problems.append(InvalidValueError(name.upper(), str(cause)))
            texts.pop(name, None)
    return Settings(**texts), problems
