"""Answers that no honest backend sends: they end as errors, soon, and not in memory."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from .wire import Wire, cut

OK = b"HTTP/1.1 200 OK\r\n"


@pytest.fixture(scope="module")
def wire(shared_host) -> Wire:
    return Wire(shared_host)


@pytest.mark.parametrize(
    "line",
    [
        b"HTTP/2 200",
        b"HTTP/1.1 20 OK",
        b"HTTP/1.1 2000 OK",
        b"HTTP/1.1 abc",
        b"HTTP/1.1",
        b"http/1.1 200 OK",
        b"ICY 200 OK",
        b"x\r\nHTTP/1.1 200 OK",
        b"{}",
    ],
)
def test_a_malformed_status_line_is_refused(wire, line):
    assert wire.read(line + b"\r\n\r\n").err == "head: malformed status line"


@pytest.mark.parametrize(
    "lengths", [["-1"], ["+1"], ["0x5"], ["5.0"], ["1e3"], ["five"], [""], ["5", "6"], ["5 5"]]
)
def test_a_malformed_length_is_refused(wire, lengths):
    lines = b"".join(b"Content-Length: %b\r\n" % length.encode() for length in lengths)
    assert wire.read(OK + lines + b"\r\nhello").err == "head: malformed content-length"


@pytest.mark.parametrize(
    "chunks",
    [
        b"x\r\n",
        b"-1\r\n",
        b"0x5\r\nhello\r\n0\r\n\r\n",
        b"5 5\r\nhello\r\n0\r\n\r\n",
        b"\r\n5\r\nhello\r\n",
        b";5\r\nhello\r\n",
        b"5\r\nhelloX\r\n0\r\n\r\n",
        b"5\r\nhello0\r\n\r\n",
        b"5" * 4097,
    ],
)
def test_a_malformed_chunk_is_an_error_at_every_cut(wire, chunks):
    stream = OK + b"transfer-encoding: chunked\r\n\r\n" + chunks
    for at in (len(stream), *range(0, len(stream), 1 + len(stream) // 60)):
        seen = wire.read(stream[:at], stream[at:])
        assert (seen.err, seen.keeps) == ("body: malformed chunk", False)
        assert seen.body == ("hello" if chunks.startswith(b"5\r\n") else "")


@pytest.mark.parametrize("digits", [b"7fffffff", b"80000000", b"ffffffffff", b"f" * 40])
def test_a_chunk_may_be_announced_larger_than_it_will_ever_be(wire, digits):
    seen = wire.read(OK + b"transfer-encoding: chunked\r\n\r\n" + digits + b"\r\nhel", b"lo")
    assert (seen.body, seen.err, seen.reads) == ("hello", "body: closed", 2)


def test_a_chunk_line_without_an_end_is_not_read_for_ever(wire):
    endless = [b"5" * 1000] * 100
    seen = wire.read(OK + b"transfer-encoding: chunked\r\n\r\n", *endless)
    assert seen.err == "body: malformed chunk"


def test_a_trailer_without_an_end_is_not_read_for_ever(wire):
    endless = [b"x: y\r\n" * 100] * 1000
    seen = wire.read(OK + b"transfer-encoding: chunked\r\n\r\n0\r\n", *endless)
    assert (seen.err, seen.keeps) == ("body: malformed trailer", False)


def test_a_head_without_an_end_is_not_read_for_ever(wire):
    assert wire.read(OK, *[b"x: y\r\n" * 100] * 1000).err == "head: too large"


def test_informational_answers_are_not_read_for_ever(wire):
    endless = [b"HTTP/1.1 102 Processing\r\n\r\n"] * 1000
    assert wire.read(*endless).err == "head: too many informational answers"


def test_a_head_of_many_fields_is_read(wire):
    fields = b"".join(b"x-%d: %d\r\n" % (i, i) for i in range(1000))
    seen = wire.read(OK + fields + b"content-length: 0\r\n\r\n")
    assert seen.headers["x-999"] == "999"


def test_a_carriage_return_cannot_smuggle_a_field(wire):
    seen = wire.read(OK + b"a: b\rc: d\r\ncontent-length: 0\r\n\r\n")
    assert seen.headers["a"] == "b"
    assert seen.headers["c"] is None


@pytest.mark.parametrize(
    "stream",
    [
        OK + b"content-length: 5\r\n\r\nhello",
        OK + b"transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    ],
)
def test_bytes_after_the_end_are_not_body_and_end_the_connection(wire, stream):
    extra = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil"
    for at in range(len(stream)):
        seen = wire.read(stream[:at], stream[at:] + extra)
        assert (seen.body, seen.err, seen.keeps) == ("hello", None, False)


def test_bytes_after_a_status_without_a_body_end_the_connection(wire):
    assert wire.read(b"HTTP/1.1 204 No Content\r\n\r\nevil").keeps is False


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400), st.lists(st.integers(0, 500), max_size=6))
def test_no_bytes_raise_or_keep_a_connection_that_is_not_at_its_end(wire, garbage, places):
    head = OK + b"transfer-encoding: chunked\r\n\r\n"
    seen = wire.read(*cut(head + garbage, places))
    assert seen.err is None or not seen.keeps
    wire.read(*cut(garbage, places))


@pytest.mark.parametrize("size", [1, 60])
def test_a_burst_of_small_chunks_takes_linear_time(wire, size):
    chunk = b"%x\r\n%b\r\n" % (size, b"x" * size)
    count = 1_500_000 // len(chunk)
    stream = OK + b"transfer-encoding: chunked\r\n\r\n" + chunk * count + b"0\r\n\r\n"
    began = time.process_time()
    seen = wire.read(stream)
    assert time.process_time() - began < 0.5
    assert len(seen.body) == count * size


def test_an_answer_that_comes_byte_by_byte_is_read(wire):
    fields = b"".join(b"x-%d: %d\r\n" % (i, i) for i in range(400))
    stream = OK + fields + b"transfer-encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 500
    seen = wire.by_bytes(stream + b"0\r\n\r\n")
    assert (seen.body, seen.keeps) == ("x" * 500, True)


def test_the_rest_of_a_body_is_read_only_while_there_is_time(wire):
    res = wire.opened(OK + b"content-length: 9\r\n\r\n", *[b"x"] * 9)
    answers = iter([True, True, True, False])
    assert wire.answer.read_all(res, 9, lambda: next(answers)) == (None, "body: timeout")
    assert res.left == 6
