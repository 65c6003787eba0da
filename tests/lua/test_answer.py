import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from .host import back
from .wire import Wire, cut

OK = b"HTTP/1.1 200 OK\r\n"


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


@pytest.mark.parametrize("reason", [b"", b" ", b" Too Many Requests", b" \xc3\xa9t\xc3\xa9"])
def test_the_reason_of_a_status_is_free(wire, reason):
    assert wire.read(b"HTTP/1.1 429" + reason + b"\r\ncontent-length: 0\r\n\r\n").status == 429


def test_a_length_may_have_white_space_around_it(wire):
    seen = wire.read(OK + b"content-length: \t 5 \t\r\n\r\nhello")
    assert (seen.body, seen.keeps) == ("hello", True)


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


def test_the_headers_of_an_informational_answer_are_not_those_of_the_answer(wire):
    seen = wire.read(b"HTTP/1.1 103 Early\r\nx: 1\r\n\r\n" + OK + b"content-length: 0\r\n\r\n")
    assert seen.headers["x"] is None


def test_chunked_counts_when_a_length_is_there_too_and_the_connection_ends(wire):
    stream = OK + b"content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    assert wire.sweep(stream, body="hello", keeps=False) is None


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
