import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from .request_module import Request

UNCHANGED = '"n":12345678901234567890,"f":1.10,"e":[],"o":{},"s":"\\u00e9/\\/é👋"'.encode()
MODELS = ["m", 'quote " and \\ backslash', "grüß 👋", "a/b", "new\nline", ""]


@pytest.fixture(scope="module")
def request_module(shared_host) -> Request:
    return Request(shared_host)


def test_a_body_that_needs_no_change_is_the_clients_own(request_module):
    body = b' {"model" : "a", "e":[] , ' + UNCHANGED + b"}\n"
    assert request_module.body(body) == body


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"{}", b'{"stream_options":{"include_usage":true}}'),
        (b"{ }", b'{"stream_options":{"include_usage":true} }'),
        (b'{"stream":true}', b'{"stream_options":{"include_usage":true},"stream":true}'),
        (b'{"stream_options":null}', b'{"stream_options":{"include_usage":true}}'),
        (b'{"stream_options" : {} }', b'{"stream_options" : {"include_usage":true} }'),
        (b'{"stream_options":{ \n}}', b'{"stream_options":{"include_usage":true \n}}'),
        (
            b'{"stream_options":{"include_usage":false}}',
            b'{"stream_options":{"include_usage":true}}',
        ),
        (
            b'{"stream_options":{"include_usage": null ,"x":[]}}',
            b'{"stream_options":{"include_usage": true ,"x":[]}}',
        ),
        (
            b'{"stream_options":{"include_obfuscation":false}}',
            b'{"stream_options":{"include_usage":true,"include_obfuscation":false}}',
        ),
        (
            b'{"stream_option\\u0073":{"include_\\u0075sage":false,"n":12345678901234567}}',
            b'{"stream_option\\u0073":{"include_\\u0075sage":true,"n":12345678901234567}}',
        ),
        (
            b'{"stream_options":{"x":{"include_usage":false}}}',
            b'{"stream_options":{"include_usage":true,"x":{"include_usage":false}}}',
        ),
    ],
)
def test_include_usage_is_added_and_every_other_byte_kept(request_module, before, after):
    assert request_module.body(before, usage=True) == after


@pytest.mark.parametrize("model", MODELS)
def test_the_model_is_replaced_and_every_other_byte_kept(request_module, model):
    for body in (
        b'{"model":"old",' + UNCHANGED + b"}",
        b"{" + UNCHANGED + b', "mod\\u0065l" : "o\\"ld" }',
    ):
        changed = request_module.body(body, model)
        assert json.loads(changed)["model"] == model
        assert UNCHANGED in changed
        start = body.index(b'"o')
        assert changed.startswith(body[:start])


OPTIONS = [
    None,
    b"null",
    b"{}",
    b'{"include_usage":false}',
    b'{ "x" : [ ] , "include_usage" : false }',
    b'{"include_obfuscation":true}',
]


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("model_first", [True, False])
def test_both_changes_go_together_in_either_order(request_module, options, model_first):
    members = [b'"model":"old"', b'"stream":true', UNCHANGED]
    if options is not None:
        members.insert(3 if model_first else 0, b'"stream_options":' + options)
    body = b"{" + b",".join(members) + b"}"
    changed = request_module.body(body, "new", usage=True)
    expected = json.loads(body)
    expected["model"] = "new"
    expected["stream_options"] = {**(expected.get("stream_options") or {}), "include_usage": True}
    assert json.loads(changed) == expected
    assert UNCHANGED in changed


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**18), 10**18)
    | st.text(max_size=6)
    | st.sampled_from(['"model":"x"', "\\", "{", "👋"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)
MEMBERS = st.dictionaries(
    st.sampled_from(["messages", "tools", "metadata", "stream", "x"]), VALUES, max_size=4
)


@settings(max_examples=200, deadline=None)
@given(
    MEMBERS,
    st.text(max_size=5),
    st.none() | st.dictionaries(st.sampled_from(["include_usage", "a", "b"]), VALUES, max_size=3),
    st.tuples(st.booleans(), st.booleans(), st.booleans(), st.booleans()),
    st.randoms(use_true_random=False),
)
def test_only_the_intended_members_differ(
    request_module, members, model, options, switches, random
):
    renames, usage, spaced, has_options = switches
    whole = {**members, "model": "old"}
    if has_options:
        whole["stream_options"] = options
    names = list(whole)
    random.shuffle(names)
    whole = {name: whole[name] for name in names}
    indent = 1 if spaced else None
    body = json.dumps(whole, ensure_ascii=spaced, indent=indent).encode()
    changed = request_module.body(body, model if renames else None, usage=usage)
    if renames:
        whole["model"] = model
    if usage:
        whole["stream_options"] = {**(whole.get("stream_options") or {}), "include_usage": True}
    assert json.loads(changed) == whole
