import pytest
from renderer_support import compiled

from renderer.planned import PLANNED, PLANNED_BACKEND_FIELDS, PLANNED_CLIENT_FIELDS, is_off


@pytest.mark.parametrize("name", PLANNED)
def test_a_planned_variable_is_accepted_at_its_default(name: str):
    assert compiled(**{name: PLANNED[name].default}).warnings == ()


def test_the_planned_fields_of_groups_are_accepted_at_their_defaults():
    fields = {
        **{f"AZURE_OPENAI_{row.name}_0": row.default for row in PLANNED_BACKEND_FIELDS.values()},
        **{f"GATEWAY_CLIENT_{row.name}_0": row.default for row in PLANNED_CLIENT_FIELDS.values()},
    }

    assert compiled(**fields).warnings == ()


@pytest.mark.parametrize(
    ("text", "default"),
    [
        ("", "true"),
        ("FALSE", "false"),
        ("no", "false"),
        ("0.0", "0"),
        ("0", "300"),
        ("yes", "true"),
        ("0", ""),
        ("off", ""),
        ("https://cognitiveservices.azure.com", "https://cognitiveservices.azure.com/"),
    ],
)
def test_off_and_default_have_many_spellings(text: str, default: str):
    assert is_off(text, default)


@pytest.mark.parametrize(
    ("text", "default"), [("true", "false"), ("false", "true"), ("1", ""), ("5", "4"), ("x", "")]
)
def test_anything_else_asks_for_the_feature(text: str, default: str):
    assert not is_off(text, default)
