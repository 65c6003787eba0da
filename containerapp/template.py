"""`python -m containerapp.template VALUES.yaml`: the Container App template, filled in.

placeholders.yaml lists what can be given; a missing or unknown name is one line and exit code 1.
"""

from __future__ import annotations

import string
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import yaml

if TYPE_CHECKING:
    from collections.abc import Mapping

FOLDER = Path(__file__).resolve().parent
TEMPLATE = FOLDER / "containerapp.yaml"
PLACEHOLDERS = FOLDER / "placeholders.yaml"


class TemplateValueError(ValueError):
    """A value is missing, or nothing in the template has its name."""


def placeholders() -> dict[str, dict[str, Any]]:
    """Return every placeholder with `what`, and `default` or `example`."""
    listed: dict[str, dict[str, Any]] = yaml.safe_load(PLACEHOLDERS.read_text())
    return listed


def fill(values: Mapping[str, Any]) -> str:
    """Return the text of the template with values, and defaults where none is given.

    Raises:
        TemplateValueError: a name is unknown, or one without a default is missing.
    """
    listed = placeholders()
    unknown = sorted(set(values) - set(listed))
    if unknown:
        raise TemplateValueError(f"the template has no {', '.join(unknown)}")
    defaults = {name: item["default"] for name, item in listed.items() if "default" in item}
    chosen = {**defaults, **values}
    missing = sorted(set(listed) - set(chosen))
    if missing:
        raise TemplateValueError(f"the template needs {', '.join(missing)}")
    texts = {name: _text(value) for name, value in chosen.items()}
    return string.Template(TEMPLATE.read_text()).substitute(texts)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


@click.command()
@click.argument("values", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def main(values: Path) -> None:
    """Print the Container App with the values of a YAML file."""
    try:
        click.echo(fill(yaml.safe_load(values.read_text()) or {}), nl=False)
    except TemplateValueError as error:
        raise click.ClickException(str(error)) from None


if __name__ == "__main__":
    main()
