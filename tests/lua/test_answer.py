import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from .host import LuaHost, back, raw

OK = b"HTTP/1.1 200 OK\r\n"


class Wire:
    """`answer.lua` behind a socket that plays a backend's bytes."""

    def __init__(self, host: LuaHost) -> None:
        self.host = host
        self.answer = host.require("answer")
        self.wire = host.lua.eval("function(name) return (require(name)) end")("wire")

    def read(self, *pieces: bytes, last: str = "closed") -> Any:
        return self.wire.read(self.answer, self.host.table([raw(p) for p in pieces]), last)

    def by_bytes(self, stream: bytes) -> Any:
        return self.wire.by_bytes(self.answer, raw(stream), "closed")

    def opened(self, *pieces: bytes, last: str = "closed") -> Any:
        """Read the head only."""
        sock = self.wire.socket(self.host.table([raw(p) for p in pieces]), last)
        res = self.host.table({"sock": sock, "buf": "", "ended": False})
        self.answer.read_head(res)
        return res

    def sweep(self, stream: bytes, last: str = "closed", **expected: object) -> str | None:
        wanted = self.host.table({"status": 200, **expected})
        return self.wire.sweep(self.answer, raw(stream), last, wanted)


@pytest.fixture(scope="module")
def wire(shared_host) -> Wire:
    return Wire(shared_host)


@pytest.mark.parametrize(
    ("stream", "keeps"),
    [
        (OK + b"Content-Length: 5\r\n\r\nhello", True),
        (b"HTTP/1.1 200 OK\ncontent-length:5\n\nhello", True),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"content-length: 5\r\n\r\nhello", True),
        (b"HTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\n" * 2 + OK + b"\r\nhello", False),
        (OK + b"transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", True),
        (OK + b"Transfer-Encoding: Chunked\r\n\r\n2\r\nhe\r\n03;a=b\r\nllo\r\n0\r\n\r\n", True),
        (OK + b"transfer-encoding: chunked\n\n5\nhello\n0\n\n", True),
        (OK + b"transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx: y\r\nz: 1\r\n\r\n", True),
        (OK + b"connection: close\r\ncontent-length: 5\r\n\r\nhello", False),
        (OK + b"connection: x, Close\r\ncontent-length: 5\r\n\r\nhello", False),
        (b"HTTP/1.0 200 OK\r\ncontent-length: 5\r\n\r\nhello", False),
        (OK + b"\r\nhello", False),
        (b"HTTP/1.0 200 OK\r\n\r\nhello", False),
    ],
)
def test_every_two_cuts_of_an_answer_give_the_same(wire, stream, keeps):
    assert wire.sweep(stream, body="hello", keeps=keeps) is None


@pytest.mark.parametrize(
    ("stream", "body"),
    [
        (OK + b"content-length: 0\r\n\r\n", ""),
        (OK + b"transfer-encoding: chunked\r\n\r\n0\r\n\r\n", ""),
        (OK + b"transfer-encoding: chunked\r\n\r\nA\r\n0123456789\r\n0\r\n\r\n", "0123456789"),
        (OK + b"transfer-encoding: chunked\r\n\r\n4\r\n\r\n\r\n\r\n0\r\n\r\n", "\r\n\r\n"),
    ],
)
def test_what_looks_like_framing_inside_a_body_is_body(wire, stream, body):
    assert wire.sweep(stream, body=body, keeps=True) is None


@pytest.mark.parametrize("status", [204, 304])
def test_a_status_without_a_body_has_none_whatever_its_headers_say(wire, status):
    stream = b"HTTP/1.1 %d X\r\ncontent-length: 5\r\n\r\n" % status
    assert wire.sweep(stream, status=status, body="", keeps=True) is None


@pytest.mark.parametrize("last", ["closed", "timeout", "connection reset by peer"])
@pytest.mark.parametrize(
    ("stream", "body"),
    [
        (OK + b"content-length: 6\r\n\r\nhello", "hello"),
        (OK + b"transfer-encoding: chunked\r\n\r\n5\r\nhello", "hello"),
        (OK + b"transfer-encoding: chunked\r\n\r\n9\r\nhello", "hello"),
        (OK + b"transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n", "hello"),
        (OK + b"transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n", "hello"),
        (OK + b"transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx: y\r\n", "hello"),
    ],
)
def test_an_answer_that_stops_early_is_an_error_and_no_end(wire, stream, body, last):
    assert wire.sweep(stream, last, body=body, err=f"body: {last}", keeps=False) is None


@pytest.mark.parametrize("last", ["timeout", "connection reset by peer"])
def test_an_answer_up_to_the_close_ends_by_a_close_only(wire, last):
    stream = OK + b"\r\nhello"
    assert wire.sweep(stream, last, body="hello", err=f"body: {last}", keeps=False) is None


@pytest.mark.parametrize("last", ["closed", "timeout"])
@pytest.mark.parametrize(
    "head", [b"", b"HTTP", OK, OK + b"a: b\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"]
)
def test_a_head_that_stops_early_is_an_error(wire, head, last):
    assert wire.sweep(head, last, status=None, err=f"head: {last}") is None


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


@pytest.mark.parametrize("reason", [b"", b" ", b" Too Many Requests", b" \xc3\xa9t\xc3\xa9"])
def test_the_reason_of_a_status_is_free(wire, reason):
    assert wire.read(b"HTTP/1.1 429" + reason + b"\r\ncontent-length: 0\r\n\r\n").status == 429


@pytest.mark.parametrize(
    "lengths", [["-1"], ["+1"], ["0x5"], ["5.0"], ["1e3"], ["five"], [""], ["5", "6"], ["5 5"]]
)
def test_a_malformed_length_is_refused(wire, lengths):
    lines = b"".join(b"Content-Length: %b\r\n" % length.encode() for length in lengths)
    assert wire.read(OK + lines + b"\r\nhello").err == "head: malformed content-length"


def test_a_length_may_have_white_space_around_it(wire):
    seen = wire.read(OK + b"content-length: \t 5 \t\r\n\r\nhello")
    assert (seen.body, seen.keeps) == ("hello", True)


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
    for cut in (len(stream), *range(0, len(stream), 1 + len(stream) // 60)):
        seen = wire.read(stream[:cut], stream[cut:])
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


def test_fields_keep_names_order_and_every_value(wire):
    seen = wire.read(
        OK + b"X-One: 1\r\nset-cookie: a=1; b\r\nSet-Cookie:c=2\r\nEmpty:\r\nSpaced :  v \r\n"
        b"no colon\r\nUrl: http://x:1/\r\nlatin: \xe9\r\nContent-Length: 0\r\n\r\n"
    )
    assert list(seen.fields.values()) == [
        *("X-One", "1", "set-cookie", "a=1; b", "Set-Cookie", "c=2", "Empty", ""),
        *("Spaced", "v", "Url", "http://x:1/", "latin", "\xe9", "Content-Length", "0"),
    ]
    assert seen.headers["set-cookie"] == "a=1; b, c=2"


def test_a_carriage_return_cannot_smuggle_a_field(wire):
    seen = wire.read(OK + b"a: b\rc: d\r\ncontent-length: 0\r\n\r\n")
    assert seen.headers["a"] == "b"
    assert seen.headers["c"] is None


def test_the_headers_of_an_informational_answer_are_not_those_of_the_answer(wire):
    seen = wire.read(b"HTTP/1.1 103 Early\r\nx: 1\r\n\r\n" + OK + b"content-length: 0\r\n\r\n")
    assert seen.headers["x"] is None


def test_chunked_counts_when_a_length_is_there_too_and_the_connection_ends(wire):
    stream = OK + b"content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    assert wire.sweep(stream, body="hello", keeps=False) is None


@pytest.mark.parametrize(
    "stream",
    [
        OK + b"content-length: 5\r\n\r\nhello",
        OK + b"transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    ],
)
def test_bytes_after_the_end_are_not_body_and_end_the_connection(wire, stream):
    extra = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil"
    for cut in range(len(stream)):
        seen = wire.read(stream[:cut], stream[cut:] + extra)
        assert (seen.body, seen.err, seen.keeps) == ("hello", None, False)


def test_bytes_after_a_status_without_a_body_end_the_connection(wire):
    assert wire.read(b"HTTP/1.1 204 No Content\r\n\r\nevil").keeps is False


def test_a_body_may_be_read_on_after_a_timeout(wire):
    res = wire.opened(OK + b"transfer-encoding: chunked\r\n\r\n5\r\nhe", last="timeout")
    assert wire.answer.read(res) == "he"
    assert wire.answer.read(res) == (None, "body: timeout")
    res.sock = wire.wire.socket(wire.host.table(["llo\r\n0\r\n\r\n"]), "closed")
    assert wire.answer.read(res) == "llo"
    assert wire.answer.read(res) is None
    assert res.ended


def test_what_has_arrived_is_given_as_one_piece_without_waiting_for_more(wire):
    head = OK + b"transfer-encoding: chunked\r\n\r\n"
    res = wire.opened(head + b"1\r\na\r\n1\r\nb\r\n1\r\nc\r\n", last="timeout")
    assert wire.answer.read(res) == "abc"
    assert res.sock.reads == 1


def test_the_rest_of_a_body_is_read_up_to_a_limit(wire):
    stream = OK + b"transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    assert wire.answer.read_all(wire.opened(stream), 5) == "hello"
    assert wire.answer.read_all(wire.opened(stream), 4) == (None, "body: too large")
    assert wire.answer.read_all(wire.opened(stream[:-2]), 5) == (None, "body: closed")


BODIES = st.lists(st.binary(min_size=1, max_size=40), max_size=8)


def cut(stream: bytes, at: list[int]) -> list[bytes]:
    """Cut at the given places, in any order, beyond the end too."""
    places = sorted({min(place, len(stream)) for place in at})
    return [stream[a:b] for a, b in zip([0, *places], [*places, len(stream)], strict=True) if a < b]


@settings(max_examples=200, deadline=None)
@given(BODIES, st.lists(st.integers(0, 500), max_size=12), st.booleans())
def test_any_chunks_in_any_pieces_give_the_body(wire, chunks, places, trailer):
    framed = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    end = b"0\r\nx-trailer: 1\r\n\r\n" if trailer else b"0\r\n\r\n"
    stream = OK + b"transfer-encoding: chunked\r\n\r\n" + framed + end
    seen = wire.read(*cut(stream, places))
    assert (back(seen.body), seen.err, seen.keeps) == (b"".join(chunks), None, True)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300), st.lists(st.integers(0, 500), max_size=12), st.booleans())
def test_any_body_in_any_pieces_is_the_body(wire, body, places, announced):
    length = b"content-length: %d\r\n" % len(body) if announced else b""
    seen = wire.read(*cut(OK + length + b"\r\n" + body, places))
    assert (back(seen.body), seen.err, seen.keeps) == (body, None, announced)


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
    began = time.perf_counter()
    seen = wire.read(stream)
    assert time.perf_counter() - began < 0.5
    assert len(seen.body) == count * size


def test_an_answer_that_comes_byte_by_byte_is_read(wire):
    fields = b"".join(b"x-%d: %d\r\n" % (i, i) for i in range(400))
    stream = OK + fields + b"transfer-encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 500
    seen = wire.by_bytes(stream + b"0\r\n\r\n")
    assert (seen.body, seen.keeps) == ("x" * 500, True)
