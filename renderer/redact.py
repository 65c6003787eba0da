"""What may be said about a value: its shape, never itself."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field


def shape(value: str) -> str:
    """Describe a value by length and kind, so that an error can name it without showing it."""
    if not value:
        return "empty"
    size = f"{len(value)} character{'s' if len(value) > 1 else ''}"
    if not value.isprintable():
        return f"text of {size} with a control character"
    if not value.isascii():
        return f"text of {size}, not all of them ASCII"
    digits = value.removeprefix("-")
    if digits.isdigit():
        kind = "a negative number" if value != digits else "a number"
        return f"{kind} of {len(digits)} digit{'s' if len(digits) > 1 else ''}"
    return f"text of {size}"


@dataclass(frozen=True, slots=True)
class Secret:
    """A value that shows only its length when it is printed, logged or compared in a test."""

    value: str = field(repr=False)

    def __repr__(self) -> str:
        return f"Secret({len(self.value)} characters)"

    @property
    def sha256(self) -> str:
        """Lower-case hex digest of the UTF-8 bytes."""
        return hashlib.sha256(self.value.encode()).hexdigest()

    def masked(self) -> Secret:
        """Return a stand-in that is safe to print."""
        return Secret(f"[REDACTED {len(self.value)} characters]")
