"""Write docs/configuration.md from the settings; with --check, fail when it is not up to date."""

from __future__ import annotations

import sys
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from renderer.names import BACKEND_FIELDS, CLIENT_FIELDS, IndexedField
from renderer.otel_settings import TelemetrySettings
from renderer.planned import PLANNED, PLANNED_BACKEND_FIELDS, PLANNED_CLIENT_FIELDS, Planned
from renderer.redact import Secret
from renderer.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

TARGET = Path(__file__).resolve().parent.parent / "docs" / "configuration.md"
COMMAND = "uv run python tools/gen_configuration_docs.py"
HEADER = ("Variable", "Values", "Default", "Effect")
INTRO = f"""# Configuration

<!-- Generated from the settings by `{COMMAND}`; do not edit. -->

Everything is an environment variable, or a `KEY=VALUE` line of the file given with `--env-file`,
which lies on top of the environment.
An empty value counts as not set.
Switches take true, false, 1, 0, yes, no, on, off in any case; 0 switches a limit or a delay off.
A wrong value, an unknown name under one of the gateway's prefixes or an unknown field stops the
start with one line for each problem, and nothing is written.
The exit code tells the kind of the problem; the list is in `renderer/errors.py`.

Variables marked *secret* are never printed, not even in part.
"""
GROUPS = """Indexes start at 0 or 1. A gap is a warning for backends and an error for clients.
`_00` is the same index as `_0`.
"""
PLANNED_TEXT = """## Not available in this version

These names are known. Their default (or a value that switches the feature off) is accepted; any
other value stops the start, because a gateway that silently lacks a limit or a login is worse than
none.
"""


def reference() -> str:
    """Return the whole page."""
    telemetry = list(TelemetrySettings.model_fields)
    gateway = [name for name in Settings.model_fields if name not in telemetry]
    parts = [
        INTRO,
        "## Backends\n",
        GROUPS,
        _table(_indexed("AZURE_OPENAI_", BACKEND_FIELDS)),
        "## Clients\n",
        _table(_indexed("GATEWAY_CLIENT_", CLIENT_FIELDS)),
        "## Gateway\n",
        _table(_scalars(gateway)),
        "## Telemetry\n",
        _table(_scalars(telemetry)),
        PLANNED_TEXT,
        _planned(),
    ]
    return "\n".join(parts)


def _table(rows: Iterator[Sequence[str]]) -> str:
    lines = [HEADER, tuple("---" for _ in HEADER), *rows]
    return "\n".join(f"| {' | '.join(cell for cell in line)} |" for line in lines) + "\n"


def _indexed(prefix: str, fields: Sequence[IndexedField]) -> Iterator[Sequence[str]]:
    for field in fields:
        mark = " *secret*" if field.secret else ""
        yield f"`{prefix}{field.name}_<N>`{mark}", field.values, field.default, field.effect


def _scalars(names: Sequence[str]) -> Iterator[Sequence[str]]:
    for name in names:
        field = Settings.model_fields[name]
        extra = field.json_schema_extra
        if not isinstance(extra, dict):
            raise TypeError(f"{name} is not declared with setting()")
        mark = " *secret*" if extra["secret"] else ""
        effect = field.description or ""
        yield f"`{name.upper()}`{mark}", str(extra["values"]), _default(field.default), effect


def _default(value: Any) -> str:
    if value is None or isinstance(value, Secret):
        return "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return f"`{','.join(value)}`"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def _planned() -> str:
    rows: list[Planned] = [
        *PLANNED.values(),
        *(_named("AZURE_OPENAI_", row) for row in PLANNED_BACKEND_FIELDS.values()),
        *(_named("GATEWAY_CLIENT_", row) for row in PLANNED_CLIENT_FIELDS.values()),
    ]
    rows.sort(key=lambda row: row.feature)
    lines = ["| Feature | Variables, with the accepted default |", "| --- | --- |"]
    for feature, members in groupby(rows, key=lambda row: row.feature):
        names = ", ".join(f"`{row.name}={row.default}`" for row in members)
        lines.append(f"| {feature} | {names} |")
    return "\n".join(lines) + "\n"


def _named(prefix: str, row: Planned) -> Planned:
    return Planned(f"{prefix}{row.name}_<N>", row.default, row.feature)


def main(arguments: Sequence[str]) -> int:
    """Write or check the page; return the exit code."""
    text = reference()
    if "--check" not in arguments:
        TARGET.write_text(text, encoding="utf-8")
        return 0
    if TARGET.exists() and TARGET.read_text(encoding="utf-8") == text:
        return 0
    sys.stderr.write(f"{TARGET.name} is not up to date; run {COMMAND}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
