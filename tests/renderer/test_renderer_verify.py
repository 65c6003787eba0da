"""The proof itself: what is wrong on purpose is found."""

import copy

import pytest
from renderer_support import BACKEND_KEY, compiled

from renderer.apisix_view import apisix_document, revision
from renderer.errors import TemplateError, VerificationError
from renderer.otel_view import otel_document
from renderer.templating import quote, render_template
from renderer.verify import read_back, verify_apisix, verify_config, verify_document, verify_otel


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a: ${{HOME}}\n#END\n", "replace"),
        ("a: 1\n", "does not end"),
        ("a: é\n#END\n", "ASCII"),
        (f'a: "{BACKEND_KEY}\n#END\n', "no YAML"),
    ],
)
def test_a_text_that_apisix_would_not_read_as_meant_is_refused(text: str, why: str):
    with pytest.raises(VerificationError, match=why) as raised:
        read_back("apisix.yaml", text)

    assert BACKEND_KEY not in str(raised.value)


def test_a_difference_is_named_by_its_place_and_not_by_its_value():
    document = {"routes": [{"id": BACKEND_KEY}]}

    with pytest.raises(VerificationError, match=r"at /routes/0/id$"):
        verify_document("apisix.yaml", 'routes: [{"id": "other"}]\n#END\n', document)


def _broken(change):
    model = compiled().model
    document = copy.deepcopy(apisix_document(model))
    conf = document["routes"][0]["plugins"]["ai-proxy-multi"]
    change(document, conf)
    conf["azure_openai"]["revision"] = revision(conf)
    return document, model


@pytest.mark.parametrize(
    "change",
    [
        lambda _, conf: conf["instances"][0].update(weight=7),
        lambda _, conf: conf["instances"][0]["auth"]["header"].update({"api-key": "other"}),
        lambda _, conf: conf["instances"][0]["auth"]["header"].update({"api-key": "$env://X"}),
        lambda _, conf: conf["instances"].clear(),
        lambda document, _: document["consumers"].clear(),
        lambda document, _: document["routes"][0]["plugins"].pop("azure-openai-auth"),
    ],
)
def test_a_document_that_is_not_the_model_is_refused(change):
    with pytest.raises(VerificationError):
        verify_apisix(*_broken(change))


def test_a_stale_revision_is_refused():
    model = compiled().model
    document = apisix_document(model)
    document["routes"][0]["plugins"]["ai-proxy-multi"]["azure_openai"]["revision"] = "0"

    with pytest.raises(VerificationError, match="revision"):
        verify_apisix(document, model)


def test_the_second_substitution_of_the_engine_configuration_is_seen():
    with pytest.raises(VerificationError, match="replace"):
        verify_config({"apisix": {"extra_lua_path": "${{HOME}}"}})


def test_a_pipeline_without_an_exporter_is_refused():
    document = otel_document(compiled().model)
    document["service"]["pipelines"]["traces"]["exporters"] = []

    with pytest.raises(VerificationError, match="traces lacks exporters"):
        verify_otel(document)


def test_a_template_never_renders_a_name_that_is_not_there():
    with pytest.raises(TemplateError, match=r"apisix\.yaml\.j2"):
        render_template("apisix.yaml.j2", {"routes": []})


def test_a_value_without_a_yaml_form_is_refused():
    with pytest.raises(TemplateError, match="NoneType"):
        quote(None)
