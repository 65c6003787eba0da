"""Reader of backend endpoints: only scheme://host[:port] is kept."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import SplitResult, urlsplit

from renderer.redact import shape

_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_BRACKETED = re.compile(r"\[[0-9A-Fa-f:.]+\](:[0-9]+)?")
_PLAIN = re.compile(r"[!-~]+")
EXAMPLE = "use https://NAME.openai.azure.com"


def parse_endpoint(text: str, *, allow_http: bool) -> tuple[str, bool]:
    """Return the endpoint without path, and whether something was dropped."""
    text = text.strip()
    parts = _split(text)
    host = _host(parts, text)
    if parts.scheme == "http" and not allow_http and not is_loopback(host):
        raise ValueError("http:// to another host than loopback; use https:// or ALLOW_HTTP=true")
    shown = f"[{host}]" if ":" in host else host
    port = f":{parts.port}" if parts.port is not None else ""
    dropped = bool(parts.path.strip("/") or parts.query or parts.fragment)
    return f"{parts.scheme}://{shown}{port}", dropped


def _split(text: str) -> SplitResult:
    if not _PLAIN.fullmatch(text):
        raise ValueError(f"{shape(text)} is no address; {EXAMPLE}")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError(f"{shape(text)} has a wrong host or port; {EXAMPLE}") from None
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        raise ValueError(f"{shape(text)} does not begin with https://; {EXAMPLE}")
    if "@" in parts.netloc:
        raise ValueError(f"{shape(text)} carries credentials; {EXAMPLE} and the KEY variable")
    glued = parts.netloc.startswith("[") and not _BRACKETED.fullmatch(parts.netloc)
    if port == 0 or glued or parts.netloc.endswith(":"):
        raise ValueError(f"{shape(text)} has a wrong port; {EXAMPLE}")
    return parts


def _host(parts: SplitResult, text: str) -> str:
    host = parts.hostname or ""
    if parts.netloc.startswith("["):
        try:
            return str(ipaddress.IPv6Address(host))
        except ValueError:
            raise ValueError(f"{shape(text)} has a wrong IPv6 address; {EXAMPLE}") from None
    labels = host.removesuffix(".").split(".")
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):  # noqa: PLR2004
        raise ValueError(f"{shape(text)} has a wrong host name; {EXAMPLE}")
    return host


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine by its name alone."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
