"""How one setting is declared, and the types that settings share."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from renderer.redact import Secret
from renderer.values import (
    FLAG_VALUES,
    choice,
    decimal,
    parse_duration,
    parse_flag,
    parse_host_port,
    parse_listen_host,
    parse_path,
    parse_secret_text,
    parse_text,
    whole,
)

STRATEGIES = ("http_429", "http_5xx", "rate_limiting", "instance_health_and_rate_limiting")


def setting(default: Any, values: str, effect: str, *, secret: bool = False) -> Any:
    """Declare a setting: its default, what it accepts and what it does (for the reference)."""
    return Field(
        default,
        description=effect,
        json_schema_extra={"values": values, "secret": secret},
    )


def flag(default: bool, effect: str) -> Any:
    """Declare a switch."""
    return setting(default, FLAG_VALUES, effect)


def _secret(text: str) -> Secret:
    return Secret(parse_secret_text(text))


def _strategies(text: str) -> tuple[str, ...]:
    names = [name for name in (part.strip() for part in text.split(",")) if name]
    chosen = tuple(dict.fromkeys(choice(*STRATEGIES)(name) for name in names))
    if not chosen:
        raise ValueError(f"names no strategy; use a comma list of {', '.join(STRATEGIES)}")
    if STRATEGIES[3] in chosen and len(chosen) > 1:
        raise ValueError(f"{STRATEGIES[3]} stands alone; remove the other names")
    return chosen


Flag = Annotated[bool, BeforeValidator(parse_flag)]
Port = Annotated[int, BeforeValidator(whole(1, 65535))]
Count = Annotated[int, BeforeValidator(whole(0, 1_000_000))]
Positive = Annotated[int, BeforeValidator(whole(1, 1_000_000))]
Seconds = Annotated[float, BeforeValidator(decimal(0, 86_400))]
WholeSeconds = Annotated[int, BeforeValidator(whole(0, 86_400))]
RefreshSeconds = Annotated[int, BeforeValidator(whole(1, 3600))]
Millis = Annotated[int, BeforeValidator(whole(0, 86_400_000))]
Ratio = Annotated[float, BeforeValidator(decimal(0, 1))]
ListenHost = Annotated[str, BeforeValidator(parse_listen_host)]
HostPort = Annotated[str, BeforeValidator(parse_host_port)]
Duration = Annotated[str, BeforeValidator(parse_duration)]
AbsolutePath = Annotated[str, BeforeValidator(parse_path)]
Text = Annotated[str, BeforeValidator(parse_text)]
SecretText = Annotated[Secret, BeforeValidator(_secret)]
Strategies = Annotated[tuple[str, ...], BeforeValidator(_strategies)]
