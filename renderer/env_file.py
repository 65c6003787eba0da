"""Reader of env files: `KEY=VALUE` lines, as shells and container engines write them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from renderer.errors import EnvFileError

if TYPE_CHECKING:
    from pathlib import Path

_LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)", re.DOTALL)
_ESCAPE = re.compile(r'\\(["\\$`n])')
_COMMENT = re.compile(r"\s+#.*$")


def read_env_file(path: Path) -> dict[str, str]:
    """Read an env file; the last line of a name counts.

    Raises:
        EnvFileError: the file cannot be read, or a line is wrong (with its number, not its text).

    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise EnvFileError(f"could not read env file {path}: {error.strerror}") from error
    except UnicodeDecodeError:
        raise EnvFileError(f"could not read env file {path}: it is not UTF-8 text") from None
    found = {}
    for number, line in enumerate(re.split(r"\r?\n", text), start=1):
        stripped = line.strip()
        if stripped and not stripped.startswith("#"):
            try:
                name, value = parse_line(stripped)
            except ValueError as error:
                raise EnvFileError(f"env file {path}, line {number}: {error}") from None
            found[name] = value
    return found


def parse_line(line: str) -> tuple[str, str]:
    r"""Return name and value of a line.

    In single quotes everything is literal. In double quotes a backslash keeps ", \, $ and ` and
    `\n` is a line end. Without quotes a `#` after a space begins a comment.
    """
    match = _LINE.fullmatch(line)
    if not match:
        raise ValueError("is not KEY=VALUE; write the name, = and the value")
    name, rest = match[1], match[2].strip()
    if rest[:1] in {"'", '"'}:
        return name, _quoted(rest)
    return name, _COMMENT.sub("", f" {rest}").strip()


def _quoted(text: str) -> str:
    quote = text[0]
    body = r"((?:[^\"\\]|\\.)*)" if quote == '"' else r"([^']*)"
    match = re.fullmatch(f"{quote}{body}{quote}\\s*(?:#.*)?", text)
    if not match:
        raise ValueError(f"has an open {quote} or text after the closing one; close it at the end")
    if quote == "'":
        return match[1]
    return _ESCAPE.sub(lambda found: "\n" if found[1] == "n" else found[1], match[1])
