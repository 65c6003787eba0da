import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from .host import raw

ROLE = b'data: {"choices":[{"delta":{"role":"assistant","content":""}}]}\n\n'
FILTER = b'data: {"choices":[],"prompt_filter_results":[{"prompt_index":0}]}\n\n'
COMMENT = b": keep-alive\n\n"
CREATED = b'event: response.created\ndata: {"type":"response.created","response":{}}\n\n'
QUIET = [ROLE, FILTER, COMMENT, CREATED, b"event: ping\n\n", b"id: 1\nretry: 5\n\n"]
OUTPUT = b'data: {"choices":[{"delta":{"content":"hi"}}]}\n\n'
ERROR = b'data: {"error":{"code":"429","message":"slow down"}}\n\n'


@pytest.fixture(scope="module")
def look(shared_host):
    head = shared_host.require("head")

    def call(buf: bytes, start: int = 1) -> tuple[Any, ...]:
        verdict, at, *rest = head.look(raw(buf), start)
        return verdict, at, *rest

    return call


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(QUIET), max_size=6), st.integers(0, 400))
def test_quiet_events_decide_nothing_and_the_next_look_begins_behind_them(look, quiet, cut):
    whole = b"".join(quiet)
    verdict, at = look(whole)
    assert (verdict, at) == (None, len(whole) + 1)
    verdict, at = look(whole[:cut])
    assert verdict is None
    assert at - 1 <= cut
    assert look(whole, at) == (None, len(whole) + 1), "an event that was cut is looked at again"


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(QUIET), max_size=6), st.sampled_from([OUTPUT, ERROR]), st.data())
def test_the_first_event_that_is_not_quiet_decides_once_it_is_complete(look, quiet, event, data):
    before = b"".join(quiet)
    cut = data.draw(st.integers(0, len(before + event) - 1))
    verdict, at = look((before + event)[:cut])
    assert verdict is None
    verdict, stop, *_ = look(before + event + b"data: more", at)
    assert verdict == ("output" if event is OUTPUT else "error")
    assert stop == len(before + event) + 1


def test_an_error_comes_with_the_data_that_carried_it(look):
    verdict, _, err, data = look(ROLE + ERROR)
    assert verdict == "error"
    assert (err.code, err.message) == ("429", "slow down")
    assert data == raw(ERROR[len("data: ") :].strip())


@pytest.mark.parametrize(
    ("event", "code"),
    [
        ({"error": {"code": "server_error"}}, "server_error"),
        ({"error": {"code": "x"}, "choices": [{"delta": {"content": "hi"}}]}, "x"),
        ({"type": "error", "code": "rate_limit_exceeded"}, "rate_limit_exceeded"),
        ({"type": "response.failed", "response": {"error": {"code": "y"}}}, "y"),
    ],
)
def test_the_shapes_of_an_error(look, event, code):
    verdict, _, err, _ = look(b"data: " + json.dumps(event).encode() + b"\n\n")
    assert (verdict, err.code) == ("error", code)


@pytest.mark.parametrize(
    "event",
    [
        {"error": None, "choices": [{"delta": {"content": "hi"}}]},
        {"type": "response.failed", "response": {"error": None}},
        {"type": "response.failed"},
        {"type": "response.incomplete"},
        {"type": 7},
        {"choices": "none"},
        {"choices": {}},
        {"object": "unknown"},
    ],
)
def test_what_is_not_known_is_output(look, event):
    # `{}` and `[]` are one to the decoder
    quiet = event.get("choices") == {}
    verdict, *_ = look(b"data: " + json.dumps(event).encode() + b"\n\n")
    assert verdict == (None if quiet else "output")


@pytest.mark.parametrize("data", [b"[DONE]", b"", b"{", b"null", b"7", b'"text"', b"\xff\xfe"])
def test_data_that_is_no_object_is_output(look, data):
    assert look(b"data: " + data + b"\n\n")[0] == "output"


def test_an_event_of_several_data_lines_is_one(look):
    split = OUTPUT.replace(b'"choices":', b'\ndata: "choices":')
    assert look(split)[0] == "output"
    assert look(ERROR.replace(b":{", b":\r\ndata:{"))[0] == "error"
