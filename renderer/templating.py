"""From a document to YAML text, through the templates.

The templates lay the text out; the filter `q` writes every value. A string is always a
double-quoted scalar in pure ASCII with `$` written as an escape, so that nothing in it can be taken
for YAML, for `${{NAME}}` (which APISIX replaces in the raw text) or for the end mark.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2

from renderer.errors import TemplateError

# a wheel carries the templates inside the package, a checkout beside it
_HERE = Path(__file__).resolve().parent
TEMPLATES = (_HERE / "templates", _HERE.parent / "templates")
_SHORT = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r", "$": "\\x24"}
_BYTE, _PLANE = 0xFF, 0xFFFF


def quote(value: Any) -> str:
    """Write a value as YAML on one line; strings as `quote_text` does."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return quote_text(value)
    if isinstance(value, Mapping):
        pairs = (f"{quote_text(key)}: {quote(item)}" for key, item in value.items())
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(quote(item) for item in value) + "]"
    raise TemplateError(f"a template quotes a {type(value).__name__}, which has no YAML form here")


def quote_text(text: str) -> str:
    """Write a string as a double-quoted YAML scalar in printable ASCII without `$`."""
    return '"' + "".join(_escape(char) for char in text) + '"'


def _escape(char: str) -> str:
    if char in _SHORT:
        return _SHORT[char]
    if " " <= char <= "~":
        return char
    code = ord(char)
    if code <= _BYTE:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= _PLANE else f"\\U{code:08x}"


def block(text: str, indent: int) -> str:
    """Write constant text of several lines as a literal block."""
    lines = "".join(f"{' ' * indent}{line}\n" for line in text.splitlines())
    return "|\n" + lines.removesuffix("\n")


def render_template(name: str, document: Mapping[str, Any]) -> str:
    """Render one template with the keys of a document as its names.

    Raises:
        TemplateError: when the template and the document do not fit.

    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701 - YAML, not HTML; the filter q quotes
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(q=quote, block=block)
    try:
        return environment.get_template(name).render(document)
    except jinja2.TemplateError as error:
        raise TemplateError(f"template {name}: {error}") from error
