import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from .host import LuaHost, back, raw

NAMES = ["model", "stream", "stream_options", "usage"]
SPACES = st.text(" \t\r\n", max_size=3)


class Scan:
    """The module with Python on both sides."""

    def __init__(self, host: LuaHost) -> None:
        self.host = host
        self.module = host.require("json_scan")
        self.wanted = host.table(dict.fromkeys(NAMES, True))
        self.decode = host.require("cjson.safe").decode

    def members(self, text: bytes, start: int = 1):
        """Give {name: span as in slices}, the set of doubled names and the end; None if refused."""
        result = self.module.members(raw(text), self.wanted, start, self.decode)
        if result[0] is None:
            assert isinstance(result[1], str)
            return None
        first, last, object_at, doubled, after = result
        spans = {name: (first[name] - 1, last[name]) for name in first}
        assert text[object_at - 1 : object_at] == b"{"
        return spans, set(doubled or ()), after - 1

    def elements(self, text: bytes, start: int = 1):
        spans = self.module.elements(raw(text), start)
        if spans is None:
            return None
        flat = list(spans.values())
        return [text[a - 1 : b] for a, b in zip(flat[::2], flat[1::2], strict=True)]


@pytest.fixture(scope="module")
def scan(shared_host) -> Scan:
    return Scan(shared_host)


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(["\\", '"', '\\"', '{"model":1}', "]}", "\u2028", "👋", "\\\\"])
)
KEYS = st.sampled_from(NAMES) | st.text(max_size=5)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)


def written(value, draw, *, ascii_only: bool) -> str:
    """Write JSON with white space wherever it may be."""
    if isinstance(value, dict):
        return written_object(list(value.items()), draw, ascii_only=ascii_only)[0]
    gap = draw(SPACES)
    if isinstance(value, list):
        items = [written(item, draw, ascii_only=ascii_only) for item in value]
        return "[" + gap + f"{gap},".join(items) + gap + "]"
    return json.dumps(value, ensure_ascii=ascii_only)


def spelled(name: str, draw, *, ascii_only: bool) -> str:
    """Write a key plainly or with every character escaped."""
    if name in NAMES and draw(st.booleans()):
        return '"' + "".join(f"\\u{ord(c):04x}" for c in name) + '"'
    return json.dumps(name, ensure_ascii=ascii_only)


def written_object(members, draw, *, ascii_only: bool):
    """Write an object; return it and each member's span in bytes."""
    text, spans = "{" + draw(SPACES), []
    for number, (name, value) in enumerate(members):
        text += "," + draw(SPACES) if number else ""
        text += spelled(name, draw, ascii_only=ascii_only) + draw(SPACES) + ":" + draw(SPACES)
        start = len(text.encode())
        text += written(value, draw, ascii_only=ascii_only)
        spans.append((name, (start, len(text.encode()))))
        text += draw(SPACES)
    return text + "}", spans


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(KEYS, VALUES), max_size=6), st.booleans(), st.data())
def test_members_are_exactly_where_the_writer_put_them(scan, members, ascii_only, data):
    before, trailing = data.draw(SPACES), data.draw(SPACES)
    text, spans = written_object(members, data.draw, ascii_only=ascii_only)
    whole = (before + text + trailing).encode()
    found, doubled, end = scan.members(whole)
    wanted = [(name, span) for name, span in spans if name in NAMES]
    shift = len(before)
    assert found == {name: (a + shift, b + shift) for name, (a, b) in dict(wanted).items()}
    names = [name for name, _ in wanted]
    assert doubled == {name for name in names if names.count(name) > 1}
    assert whole[:end] == (before + text).encode()
    last = dict(members)
    for name, (start, stop) in found.items():
        assert json.loads(whole[start:stop]) == last[name]


@settings(max_examples=100, deadline=None)
@given(st.lists(VALUES, max_size=6), st.booleans(), st.data())
def test_elements_are_the_items_of_the_array(scan, items, ascii_only, data):
    text = written(items, data.draw, ascii_only=ascii_only).encode()
    assert [json.loads(item) for item in scan.elements(text)] == items


@settings(max_examples=300, deadline=None)
@given(st.text('{}[]":,\\ \n\ttrue019nu"model"', max_size=40))
def test_rubbish_is_refused_or_read_without_raising(scan, text):
    scan.members(text.encode())
    scan.elements(text.encode())


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(KEYS, VALUES), min_size=1, max_size=4), st.data())
def test_an_object_that_is_cut_anywhere_is_refused(scan, members, data):
    text = written_object(members, data.draw, ascii_only=False)[0].encode()
    assert scan.members(text[: data.draw(st.integers(0, len(text) - 1))]) is None


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_refused_or_read_without_raising(scan, data):
    scan.members(b"{" + data)
    scan.elements(b"[" + data)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b" ",
        b"[]",
        b"null",
        b'"{}"',
        b"{",
        b'{"a"',
        b'{"a":',
        b'{"a":1',
        b'{"a":1,',
        b'{"a":1,}',
        b'{"a":1 "b":2}',
        b'{"a" 1}',
        b'{"a":}',
        b'{"a":,"b":1}',
        b"{a:1}",
        b"{'a':1}",
        b"{,}",
        b'{"a":"b}',
        b'{"a":"b\\"}',
        b'{"a":[1,2}',
        b'{"a":{"b":1}',
        b'\xef\xbb\xbf{"a":1}',
    ],
)
def test_what_is_not_a_whole_object_is_refused(scan, text):
    assert scan.members(text) is None


@pytest.mark.parametrize("text", [b"", b"{}", b"[", b"[1", b"[1,", b"[1,]", b"[,]", b'["a]'])
def test_what_is_not_a_whole_array_has_no_elements(scan, text):
    assert scan.elements(text) is None


def test_a_model_inside_other_members_is_never_taken(scan):
    text = (
        b'{"messages":[{"role":"user","content":"\\"model\\":\\"no\\",\\\\","model":"no"}],'
        b'"metadata":{"model":"no","x":[{"model":"no"}]},"model":"yes","tools":[{"model":"no"}]}'
    )
    found, doubled, _ = scan.members(text)
    start, stop = found["model"]
    assert text[start:stop] == b'"yes"'
    assert doubled == set()


@pytest.mark.parametrize(
    ("text", "doubled"),
    [
        (b'{"model":1,"model":2}', {"model"}),
        (b'{"model":1,"mod\\u0065l":2}', {"model"}),
        (b'{"model":1,"model":2,"stream":1,"stream":2}', {"model", "stream"}),
        (b'{"stream":1,"stream":2,"model":1,"model":2}', {"model", "stream"}),
        (b'{"model":1,"stream":1,"model":2}', {"model"}),
        (b'{"model":{"model":1}}', set()),
        (b'{"other":1,"other":2}', set()),
    ],
)
def test_every_wanted_member_that_came_twice_is_named(scan, text, doubled):
    assert scan.members(text)[1] == doubled


def test_of_a_doubled_member_the_last_value_is_found(scan):
    text = b'{"model":1,"model":2}'
    assert scan.members(text)[0] == {"model": (19, 20)}


@pytest.mark.parametrize("backslashes", range(7))
def test_a_quote_ends_a_string_after_an_even_number_of_backslashes(scan, backslashes):
    text = b'{"a":"' + b"\\" * backslashes + b'","model":1}'
    found = scan.members(text)
    if backslashes % 2 == 0:
        assert set(found[0]) == {"model"}
    else:
        assert found is None


def test_an_escaped_key_without_a_decoder_is_nobodys(scan):
    first = scan.module.members('{"mod\\u0065l":1}', scan.wanted)[0]
    assert list(first) == []


def test_a_key_longer_than_any_name_is_passed_over(scan):
    text = b'{"' + b"\\u006d" * 1000 + b'":1,"model":2}'
    assert list(scan.members(text)[0]) == ["model"]


def test_the_scan_may_start_anywhere(scan):
    text = b'{"outer":{"model":1},"model":2}'
    found, _, end = scan.members(text, 10)
    assert found == {"model": (18, 19)}
    assert text[:end].endswith(b'{"model":1}')


@pytest.mark.parametrize(
    ("text", "start", "only"),
    [("", 1, True), ("a \n\t\r", 2, True), ("a b", 2, False), ("a", 2, True), ("a", 9, True)],
)
def test_only_space_looks_at_the_rest(scan, text, start, only):
    assert scan.module.only_space(text, start) is only


def test_deep_nesting_takes_no_stack(scan):
    deep = b'{"a":' + b"[" * 200_000 + b"]" * 200_000 + b',"model":"m"}'
    assert list(scan.members(deep)[0]) == ["model"]


@pytest.mark.parametrize(
    "piece",
    [
        b"plain prompt text without anything ",
        b'say \\"hello\\" and go on ',
        b"\\\\\\\\",
        "übermäßig 👋 ".encode(),
    ],
)
def test_twenty_megabytes_of_prompt_are_scanned_well_within_a_second(scan, piece):
    prompt = piece * (20_000_000 // len(piece))
    text = raw(b'{"messages":[{"role":"user","content":"' + prompt + b'"}],"model":"m"}')
    began = time.process_time()
    first, last, *_ = scan.module.members(text, scan.wanted, 1, scan.decode)
    elapsed = time.process_time() - began
    assert back(text[first.model - 1 : last.model]) == b'"m"'
    assert elapsed < 0.7


def test_a_megabyte_of_brackets_and_quotes_is_scanned_in_linear_time(scan):
    text = raw(b'{"a":[' + b'"",' * 200_000 + b'{"b":[]},' * 50_000 + b'1],"model":"m"}')
    began = time.process_time()
    assert list(scan.module.members(text, scan.wanted)[0]) == ["model"]
    assert time.process_time() - began < 0.5
