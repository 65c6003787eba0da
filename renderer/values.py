"""Readers of single values: text in, typed value out, `ValueError` with the rule otherwise.

A message states the shape of what came and what is accepted. It never repeats the value: a secret
that lands in the wrong variable must not be printed.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
from typing import TYPE_CHECKING

from renderer.redact import shape

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

FLAGS = {
    "true": True,
    "1": True,
    "yes": True,
    "on": True,
    "false": False,
    "0": False,
    "no": False,
    "off": False,
}
FLAG_VALUES = "true, false (or 1, 0, yes, no, on, off; any case)"

_WHOLE = re.compile(r"[+-]?[0-9]{1,15}")
_DECIMAL = re.compile(r"[+-]?[0-9]{1,12}(\.[0-9]{1,6})?")
_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+)s)?(?:(\d+)ms)?")
_HOST_PORT = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})")
_PATH = re.compile(r"/[^\"'\\$;?{}]*")
_PRINTABLE = re.compile(r"[ -~]+")


def parse_flag(text: str) -> bool:
    """Read true/false/1/0/yes/no/on/off in any case."""
    try:
        return FLAGS[text.strip().lower()]
    except KeyError:
        raise ValueError(f"{shape(text)} is no switch; use {FLAG_VALUES}") from None


def whole(low: int, high: int) -> Callable[[str], int]:
    """Return a reader of whole numbers from low to high."""

    def parse(text: str) -> int:
        text = text.strip()
        if not _WHOLE.fullmatch(text):
            raise ValueError(f"{shape(text)} is no whole number; use {low} to {high}")
        number = int(text)
        if not low <= number <= high:
            raise ValueError(f"{shape(text)} is out of range; use {low} to {high}")
        return number

    return parse


def decimal(low: float, high: float) -> Callable[[str], float]:
    """Return a reader of numbers, decimals allowed, from low to high."""

    def parse(text: str) -> float:
        text = text.strip()
        if not _DECIMAL.fullmatch(text):
            raise ValueError(f"{shape(text)} is no number; use {low:g} to {high:g}")
        number = float(text)
        if not low <= number <= high:
            raise ValueError(f"{shape(text)} is out of range; use {low:g} to {high:g}")
        return number

    return parse


def choice(*allowed: str) -> Callable[[str], str]:
    """Return a reader of one word out of a list, any case."""

    def parse(text: str) -> str:
        word = text.strip().lower()
        if word in allowed:
            return word
        raise ValueError(f"{shape(text)} is none of {', '.join(allowed)}{hint(word, allowed)}")

    return parse


def hint(word: str, allowed: Sequence[str]) -> str:
    """Return "; did you mean X?" for the nearest allowed word, or nothing."""
    near = difflib.get_close_matches(word, allowed, n=1, cutoff=0.6)
    return f"; did you mean {near[0]}?" if near else ""


def parse_workers(text: str) -> str | int:
    """Read `auto` or a number of worker processes."""
    if text.strip().lower() == "auto":
        return "auto"
    try:
        return whole(1, 1024)(text)
    except ValueError:
        raise ValueError(f"{shape(text)} is no worker count; use auto or 1 to 1024") from None


def parse_listen_host(text: str) -> str:
    """Read an address to listen on; IPv6 comes back in brackets, as nginx wants it."""
    text = text.strip()
    if text.lower() == "localhost":
        return "127.0.0.1"
    try:
        address = ipaddress.ip_address(text.removeprefix("[").removesuffix("]"))
    except ValueError:
        raise ValueError(
            f"{shape(text)} is no address to listen on; use an IP address such as 127.0.0.1, "
            "0.0.0.0 or ::"
        ) from None
    return f"[{address}]" if address.version == 6 else str(address)  # noqa: PLR2004


def parse_host_port(text: str) -> str:
    """Read host:port, IPv6 in brackets."""
    text = text.strip()
    match = _HOST_PORT.fullmatch(text)
    if not match or not 1 <= int(match[2]) <= 65535:  # noqa: PLR2004
        raise ValueError(f"{shape(text)} is no host:port; use for example 127.0.0.1:4318")
    return text


def parse_duration(text: str) -> str:
    """Read a duration as the collector writes it: 500ms, 10s, 1m30s, 2h."""
    text = text.strip()
    if not text or not _DURATION.fullmatch(text):
        raise ValueError(f"{shape(text)} is no duration; use for example 500ms, 10s or 5m")
    return text


def duration_ms(text: str) -> int:
    """Return the milliseconds of a duration that `parse_duration` accepted."""
    match = _DURATION.fullmatch(text)
    if not match:
        raise ValueError(f"{shape(text)} is no duration")
    hours, minutes, seconds, millis = (int(part or 0) for part in match.groups())
    return ((hours * 60 + minutes) * 60 + seconds) * 1000 + millis


def parse_path(text: str) -> str:
    """Read an absolute path that means itself in nginx, in Lua's search path and in YAML."""
    text = text.strip()
    if not _PATH.fullmatch(text) or not text.isprintable():
        raise ValueError(
            f"{shape(text)} is no plain absolute path; begin with / and use no quotes, "
            "backslashes or $ ; ? { }"
        )
    return text.rstrip("/") or "/"


def parse_text(text: str) -> str:
    """Read printable ASCII."""
    text = text.strip()
    if not _PRINTABLE.fullmatch(text):
        raise ValueError(f"{shape(text)} is not printable ASCII; use plain characters")
    return text


def parse_secret_text(text: str) -> str:
    """Read a secret: printable ASCII, no space at the ends (a sign of a bad copy)."""
    if text != text.strip():
        raise ValueError(f"{shape(text)} with a space or line end at its ends; remove it")
    if not _PRINTABLE.fullmatch(text):
        raise ValueError(f"{shape(text)} cannot go into an HTTP header; use printable ASCII only")
    return text
