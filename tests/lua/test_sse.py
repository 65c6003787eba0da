import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from .host import FIXTURES, raw
from .provider import events


@pytest.fixture(scope="module")
def sse(shared_host):
    return shared_host.require("sse")


def split(sse, stream: bytes):
    """Read all events the way the gateway does."""
    buf, start, found = raw(stream), 1, []
    while stop := sse.event_end(buf, start):
        found.append((start - 1, stop, sse.data(buf, start, stop)))
        start = stop + 1
    return found


@pytest.mark.parametrize("path", sorted(FIXTURES.glob("*.sse")), ids=lambda path: path.name)
def test_events_of_every_fixture_are_those_of_an_independent_reader(sse, path):
    stream = path.read_bytes()
    expected = [
        (event.start, event.stop, None if event.data is None else raw(event.data))
        for event in events(stream)
    ]
    assert split(sse, stream) == expected


LINES = st.lists(
    st.sampled_from([b"data: a", b"data:b", b"data:  c", b"data:", b"data", b": x", b"event: e"]),
    min_size=1,
    max_size=4,
)


@settings(max_examples=150, deadline=None)
@given(st.lists(LINES, max_size=5), st.sampled_from([b"\n", b"\r\n", b"\r"]))
def test_events_are_found_whatever_the_line_end(sse, blocks, line_end):
    stream = b"".join(line_end.join(lines) + line_end * 2 for lines in blocks)
    found = split(sse, stream)
    # a line `data` without a colon is empty data: the gateway has no use for it
    assert [(start, stop) for start, stop, _ in found] == [
        (event.start, event.stop) for event in events(stream)
    ]
    assert [data for _, _, data in found] == [
        None if event.data is None else raw(event.data) for event in events(stream)
    ]


@settings(max_examples=150, deadline=None)
@given(st.lists(LINES, max_size=5), st.sampled_from([b"\n", b"\r\n", b"\r"]), st.data())
def test_the_last_complete_event_of_any_beginning_is_found(sse, blocks, line_end, data):
    stream = b"".join(line_end.join(lines) + line_end * 2 for lines in blocks)
    stream = stream[: data.draw(st.integers(0, len(stream)))]
    ends = [event.stop for event in events(stream)]
    if line_end == b"\r\n" and stream.endswith(b"\r\n\r"):
        ends = ends[:-1]  # its LF is still to come
    assert sse.last_event_end(raw(stream)) == (ends[-1] if ends else 0)


def test_white_space_after_the_first_space_belongs_to_the_data(sse):
    assert split(sse, b"data:  a \n\n") == [(0, 11, " a ")]


def test_extra_empty_lines_are_events_without_data(sse):
    assert [data for _, _, data in split(sse, b"data: a\n\n\n\ndata: b\n\n")] == ["a", None, "b"]


@pytest.mark.parametrize("filler", ["x", "\n", "\r", "\r\n:", ":\n"])
def test_a_long_buffer_is_searched_in_linear_time(sse, filler):
    buf = filler.join(":" * (262144 // (len(filler) + 1))) + "x"
    began = time.process_time()
    sse.last_event_end(buf)
    sse.event_end(buf, 1)
    assert time.process_time() - began < 0.2


def test_the_first_of_two_ends_counts_when_line_ends_are_mixed(sse):
    assert sse.event_end("data: a\r\rdata: b\n\n", 1) == 9
    assert sse.event_end("data: a\n\ndata: b\r\r", 1) == 9
    assert sse.last_event_end("data: a\n\ndata: b\r\rx") == 18
    assert sse.last_event_end("data: a\r\rdata: b\r\n\r\nx") == 20
