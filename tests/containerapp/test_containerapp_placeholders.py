from __future__ import annotations

import re

import yaml
from click.testing import CliRunner

from containerapp import template


def test_every_placeholder_is_listed_and_every_listed_one_is_used():
    used = set(re.findall(r"\$\{(\w+)\}", template.TEMPLATE.read_text()))
    assert used == set(template.placeholders())


def test_a_listed_placeholder_says_what_it_is_and_what_it_may_be():
    for name, item in template.placeholders().items():
        assert len({"default", "example"} & set(item)) == 1, name
        assert item["what"].endswith("."), name


def test_a_missing_value_and_an_unknown_one_are_one_line(tmp_path):
    values = tmp_path / "values.yaml"
    for text, line in (("{}", "the template needs"), ("{regoin: x}", "has no regoin")):
        values.write_text(text)
        ended = CliRunner().invoke(template.main, [str(values)])
        assert ended.exit_code == 1
        assert line in ended.output
        assert len(ended.output.splitlines()) == 1


def test_the_command_prints_the_filled_template(tmp_path):
    listed = template.placeholders()
    values = tmp_path / "values.yaml"
    examples = {k: v["example"] for k, v in listed.items() if "example" in v}
    values.write_text(yaml.safe_dump(examples))
    ended = CliRunner().invoke(template.main, [str(values)])
    assert ended.exit_code == 0
    assert yaml.safe_load(ended.output) == yaml.safe_load(template.fill(examples))
