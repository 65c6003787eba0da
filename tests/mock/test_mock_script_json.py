"""Scripts as JSON: what is read is what was meant, and mistakes are named."""

import json

import pytest

from e2e.mock_azure_openai import (
    Action,
    At,
    Match,
    Rule,
    Script,
    ScriptError,
    Split,
    SseError,
    Usage,
)
from e2e.mock_azure_openai.script_json import dump, load, parse

WHOLE = Script(
    (
        Rule(
            match=Match(
                path="*/chat/*",
                method="POST",
                deployment="d",
                stream=True,
                headers={"a": "b"},
                nth=2,
            ),
            times=3,
            action=Action(
                status=200,
                headers={"a": "b", "c": None, "d": ["1", "2"]},
                body={"x": [1, {}]},
                usage=Usage(prompt=1, completion=2, cached=1),
                sse_error=SseError(code=503, after_events=2, style="data"),
                delay_ms=1.5,
                hold_after_bytes=0,
                reset=At(at_byte=0),
                close="after_headers",
                split=Split(split_at=(1, 2), split_every=3),
                framing="close",
            ),
        ),
        Rule(action=Action(hang=True)),
    )
)


def test_a_script_survives_json():
    assert parse(json.loads(json.dumps(dump(WHOLE))), base=None) == WHOLE


def test_one_rule_or_a_list_of_rules_is_a_script_too():
    rule = {"action": {"error": "429", "split": {"split_at": 5}}}
    expected = Rule(action=Action(error="429", split=Split(split_at=(5,))))
    assert parse(rule, base=None) == parse([rule], base=None) == Script((expected,))


@pytest.mark.parametrize(
    ("action", "message"),
    [
        ({"delay": 1}, "rules[0].action: unknown field 'delay'; did you mean 'delay_ms'?"),
        ({"delay_ms": "1"}, "rules[0].action.delay_ms: expected float, got str"),
        ({"hang": 1}, "rules[0].action.hang: expected bool, got int"),
        ({"status": True}, "rules[0].action.status: expected int | None, got bool"),
        ({"status": 99}, "rules[0].action.status: 99 is not between 200 and 599"),
        ({"deltas": -1}, "rules[0].action.deltas: must not be negative"),
        ({"error": "430"}, "rules[0].action.error: '430' is not one of 400, content_filter"),
        ({"reset": "later"}, "rules[0].action.reset: 'later' is not one of before_headers"),
        ({"reset": {"at": 1}}, "rules[0].action.reset: unknown field 'at'"),
        ({"split": {"split_at": ["1"]}}, "rules[0].action.split.split_at: expected a number"),
        ({"usage": {"prompts": 1}}, "did you mean 'prompt'?"),
        ({"sse_error": {"style": "x"}}, "rules[0].action.sse_error.style: 'x' is not one of"),
        ({"body_base64": "%"}, "rules[0].action.body_base64: "),
        ({"body_file": "missing.sse"}, "is not a file"),
        ([], "rules[0].action: expected an object, got list"),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path, action, message):
    with pytest.raises(ScriptError) as raised:
        parse([{"action": action}], base=tmp_path)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_rule_needs_an_action():
    with pytest.raises(ScriptError, match=r"rules\[0\]: action is missing"):
        parse([{"match": {}}], base=None)


def test_a_file_is_read_with_its_fixtures_beside_it(tmp_path):
    (tmp_path / "x.sse").write_bytes(b"data: 1\n\n")
    (tmp_path / "script.json").write_text('{"rules": [{"action": {"body_file": "x.sse"}}]}')
    script = load(tmp_path / "script.json")
    assert script.rules[0].action.body_file == str(tmp_path / "x.sse")


def test_a_file_that_is_no_json_is_one_error(tmp_path):
    (tmp_path / "script.json").write_text("{")
    with pytest.raises(ScriptError, match="could not read"):
        load(tmp_path / "script.json")
