"""Any printable value survives: environment, YAML, substitution by the engine, our plugins."""

from __future__ import annotations

import re
from typing import Any

import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from renderer_support import environment

from renderer.compile import load_model
from renderer.pipeline import render
from renderer.templating import quote

PRINTABLE = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1)
KEYS = PRINTABLE.filter(lambda text: text == text.strip())
NAMES = KEYS.filter(lambda text: len(text) <= 100 and not text.startswith(("$", "literal:")))
HOSTS = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?(\.[a-z]{2,8}){1,3}", fullmatch=True)
TRAPS = (
    "${{HOME}}",
    "a${{X:=y}}b",
    "$env://HOME",
    "$ENV://HOME",
    "$secret://vault/1/x",
    "literal:x",
    "literal:$env://HOME",
    "#END",
    "quote\"s 'and' \\backslashes\\",
    "\\x24{{HOME}}",
    "{{ x }}{% y %}",
    "yes",
    "0123",
    "null",
    "- a: [b]",
    "k: v # c",
    "$$HOME",
    "%{x}",
)


def _engine_sees(text: str) -> Any:
    """Read apisix.yaml as the engine does: substitute, parse, resolve references."""
    substituted = re.sub(r"\$\{\{\s*([A-Za-z0-9_]+[:=]?.*?)\s*\}\}", "REPLACED", text)
    return _resolve(yaml.load(substituted, Loader=yaml.CSafeLoader))


def _resolve(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _resolve(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_resolve(item) for item in value]
    if isinstance(value, str) and re.match(r"\$(env|secret)://", value, re.IGNORECASE):
        return "RESOLVED"
    return value


def _instance(**overrides: str) -> Any:
    files = render(load_model(environment(**overrides)).model)
    document = _engine_sees(files["apisix.yaml"].decode())
    return document["routes"][0]["plugins"]["ai-proxy-multi"]["instances"][0]


def _examples(test: Any) -> Any:
    for trap in TRAPS:
        test = example(trap)(test)
    return test


@_examples
@example("k" * 5000)
@settings(max_examples=80, deadline=None)
@given(KEYS)
def test_the_engine_sends_exactly_the_key_of_the_environment(key: str):
    sent = _instance(AZURE_OPENAI_KEY_0=key)["auth"]["header"]["api-key"]

    assert sent.removeprefix("literal:") == key


@example("a${{HOME}}")
@example("#END")
@example('it\'s "me" \\')
@settings(max_examples=60, deadline=None)
@given(NAMES)
def test_a_backends_name_survives(name: str):
    assert _instance(AZURE_OPENAI_NAME_0=name)["name"] == name


@settings(max_examples=50, deadline=None)
@given(HOSTS, st.integers(1, 65535))
def test_an_endpoint_survives(host: str, port: int):
    endpoint = f"https://{host}:{port}"

    found = _instance(AZURE_OPENAI_ENDPOINT_0=f"{endpoint}/")["override"]["endpoint"]

    assert found == endpoint


@_examples
@settings(max_examples=60, deadline=None)
@given(KEYS)
def test_the_collector_gets_exactly_the_connection_string(text: str):
    env = environment(APPLICATIONINSIGHTS_CONNECTION_STRING=text)
    rendered = render(load_model(env).model)["otel-collector.yaml"]

    found = yaml.safe_load(rendered)["exporters"]["azuremonitor"]["connection_string"]
    assert re.sub(r"\$(\$|\{[^}]*\})", lambda m: "$" if m[1] == "$" else "?", found) == text


@settings(max_examples=300, deadline=None)
@given(
    st.recursive(
        st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=50), inner),
        max_leaves=10,
    )
)
def test_the_filter_writes_what_both_yaml_parsers_read(value: Any):
    text = f"x: {quote(value)}\n"

    assert text.isascii()
    assert "$" not in text
    assert len(text.splitlines()) == 1
    assert yaml.safe_load(text) == {"x": value}
    assert yaml.load(text, Loader=yaml.CSafeLoader) == {"x": value}
