"""Faults on the wire, looked at byte by byte."""

import gzip
import hashlib
import socket

import pytest

from e2e.mock_azure_openai import Action, At, Split, SseError


@pytest.mark.parametrize("stream", [False, True])
def test_a_reset_before_headers_sends_nothing(mock, caller, stream):
    mock.script(Action(reset="before_headers"))
    with pytest.raises(ConnectionError, match="reset before a response head, after 0 bytes"):
        caller.ask(stream=stream)
    entry = mock.wait_done(1)[0]
    assert (entry.ended, entry.status, entry.bytes_sent) == ("reset", None, 0)


@pytest.mark.parametrize("how", ["reset", "close"])
def test_the_connection_ends_after_the_headers(mock, caller, how):
    mock.script(Action(**{how: "after_headers"}))
    got = caller.ask(stream=True)
    assert (got.status, got.body, got.complete, got.reset) == (200, b"", False, how == "reset")


@pytest.mark.parametrize("how", ["reset", "close"])
@pytest.mark.parametrize("stream", [False, True])
def test_the_connection_ends_at_a_byte_of_the_body(mock, caller, how, stream):
    mock.script(Action(**{how: At(at_byte=333)}))
    got = caller.ask(stream=stream)
    assert (len(got.body), got.complete, got.reset) == (333, False, how == "reset")
    entry = mock.wait_done(1)[0]
    assert (entry.ended, entry.bytes_sent, entry.usage) == (how, 333, None)


def test_a_point_beyond_the_body_is_its_end(mock, caller):
    mock.script(Action(close=At(at_byte=10**9)))
    got = caller.ask(stream=True)
    assert got.body.endswith(b"data: [DONE]\n\n")
    assert not got.complete


def test_splits_change_writes_but_no_bytes(mock, caller):
    # Ids come from the request's number: the journal has what was sent for each.
    for split in (Split(split_at=(1, 5, 40)), Split(split_every=97, pause_ms=0)):
        mock.script(Action(split=split))
        got = caller.ask(stream=True)
        assert got.complete
        assert got.body == mock.wait_done(1)[-1].sent
        mock.reset()


def test_a_split_puts_its_boundary_between_two_writes(mock, caller):
    mock.script(Action(split=Split(split_at=(7,), pause_ms=0)))
    got = caller.ask(stream=True)
    assert b"\r\n\r\n7\r\n" + got.body[:7] + b"\r\n" in got.raw


def test_a_hold_after_events_gives_the_start_while_the_rest_waits(mock, caller):
    mock.script(Action(hold_after_events=3))
    connection = caller.begin(stream=True)
    start = connection.read_body(lambda body: body.count(b"\n\n") == 3)
    assert mock.wait_held(1)[0].bytes_sent == len(start)
    mock.release()
    got = connection.read_response()
    assert got.complete
    assert got.body.startswith(start)
    assert got.body.endswith(b"[DONE]\n\n")


def test_a_hold_after_bytes_can_be_inside_a_character(mock, caller):
    mock.script(Action(content="🙂" * 20, hold_after_bytes=700))
    connection = caller.begin(stream=True)
    assert len(connection.read_body(lambda body: len(body) >= 700)) == 700
    mock.wait_held(1)
    mock.release()
    assert connection.read_response().complete


def test_a_hold_before_headers_sends_nothing_until_the_release(mock, caller):
    mock.script(Action(hold_before_headers=True))
    connection = caller.begin()
    assert mock.wait_held(1)[0].status is None
    mock.release()
    assert connection.read_response().complete


def test_a_release_lets_go_only_those_that_are_held(mock, caller):
    mock.script(Action(hold_before_headers=True))
    mock.release()
    caller.begin()
    assert mock.wait_held(1)


@pytest.mark.parametrize(
    "action",
    [
        Action(hang=True),
        Action(delay_ms=60_000),
        Action(hold_after_events=2),
        Action(delta_delay_ms=60_000),
        Action(deltas=5_000, delta_delay_ms=1),
    ],
    ids=["hang", "delay", "hold", "pause between deltas", "streaming"],
)
def test_a_peer_that_leaves_is_noticed_at_once(mock, caller, action):
    mock.script(action)
    connection = caller.begin(stream=True)
    mock.wait_for(1)
    connection.close()
    entry = mock.wait_gone(1, timeout=5)[0]
    assert entry.client_gone
    assert entry.finished_at - entry.started_at < 5


def test_a_peer_that_leaves_while_sending_is_journaled(mock, caller):
    connection = caller.begin(headers=[("Content-Length", "100000")])
    connection.abort()
    entry = mock.wait_gone(1)[0]
    assert (entry.status, entry.body_sha256) == (None, "")


@pytest.mark.parametrize(
    ("stream", "style", "start"),
    [
        (True, "auto", b'data: {"error":{"code":"429",'),
        (True, "error", b'event: error\ndata: {"type":"error","code":"429",'),
        (True, "response.failed", b"event: response.failed\ndata: "),
    ],
)
def test_an_error_event_can_be_the_first_and_ends_the_stream(mock, caller, stream, style, start):
    mock.script(Action(sse_error=SseError(style=style)))
    got = caller.ask(stream=stream)
    assert (got.status, got.complete) == (200, True)
    assert got.body.startswith(start)
    assert got.body.count(b"\n\n") == 1


def test_an_error_event_can_come_after_others(mock, caller):
    mock.script(Action(sse_error=SseError(code=503, after_events=3)))
    events = caller.ask(stream=True).body.split(b"\n\n")
    assert len(events) == 5
    assert events[3].startswith(b'data: {"error":{"code":503,')


def test_crlf_and_comments(mock, caller):
    mock.script(Action(crlf=True, comments=True))
    body = caller.ask(stream=True).body
    assert body.startswith(b": mock comment\r\n\r\ndata: ")
    assert body.count(b"\n") == body.count(b"\r\n")


def test_gzip_is_one_stream_that_can_be_read_event_by_event(mock, caller):
    mock.script(Action(gzip=True, hold_after_events=3))
    connection = caller.begin(stream=True)
    mock.wait_held(1)
    mock.release()
    got = connection.read_response()
    assert got.header("content-encoding") == ["gzip"]
    assert gzip.decompress(got.body).endswith(b"[DONE]\n\n")


@pytest.mark.parametrize(
    ("framing", "field"),
    [("length", "content-length"), ("chunked", "transfer-encoding"), ("close", "connection")],
)
@pytest.mark.parametrize("stream", [False, True])
def test_the_end_of_the_body_can_be_marked_in_every_way(mock, caller, framing, field, stream):
    mock.script(Action(framing=framing))
    got = caller.ask(stream=stream)
    assert got.complete
    assert got.header(field)
    assert got.body == mock.wait_done(1)[0].sent
    assert mock.journal[0].completed


def test_a_fixture_is_sent_as_it_is(mock, caller, tmp_path):
    fixture = tmp_path / "odd.sse"
    fixture.write_bytes(b": hi\r\n\r\ndata: {}\n\ndata: \xff\xfe no UTF-8\n\ndata: [DONE]")
    mock.script(Action(body_file=str(fixture), crlf=False))
    got = caller.ask(stream=True)
    assert got.body == fixture.read_bytes()
    assert got.header("content-type") == ["text/event-stream; charset=utf-8"]


def test_a_fixture_can_be_held_after_its_events(mock, caller, tmp_path):
    fixture = tmp_path / "three.sse"
    fixture.write_bytes(b": hi\r\n\r\ndata: 1\n\ndata: 2\n\n")
    mock.script(Action(body_file=str(fixture), hold_after_events=2))
    connection = caller.begin(stream=True)
    assert connection.read_body(lambda body: b"1\n\n" in body) == b": hi\r\n\r\ndata: 1\n\n"
    mock.wait_held(1)


def test_scripted_headers_replace_repeat_and_remove(mock, caller):
    headers = {"X-Ms-Region": None, "x-custom": "1", "Set-Cookie": ["a=1", "b=2"]}
    mock.script(Action(headers=headers, status=299, body={"odd": []}))
    got = caller.ask()
    assert (got.status, got.body) == (299, b'{"odd":[]}')
    assert got.header("x-ms-region") == []
    assert got.header("x-custom") == ["1"]
    assert got.header("set-cookie") == ["a=1", "b=2"]


def test_twenty_megabytes_in_both_directions(mock, caller):
    size = 20 * 1024 * 1024
    mock.script(Action(content_bytes=size, deltas=1))
    got = caller.ask(padding="x" * size)
    assert got.complete
    assert len(got.body) > size
    entry = mock.wait_done(1)[0]
    assert entry.body_bytes > size
    assert entry.body is None
    assert entry.sent_sha256 == hashlib.sha256(got.body).hexdigest()


def test_a_reset_lets_earlier_bytes_of_a_large_body_through(mock, caller):
    size = 3 * 1024 * 1024
    mock.script(Action(content_bytes=2 * size, deltas=1, reset=At(at_byte=size)))
    got = caller.ask()
    assert (len(got.body), got.reset) == (size, True)


def test_several_hundred_streams_are_open_at_once(mock, caller):
    mock.script(Action(hold_after_events=3))
    open_streams = [caller.begin(stream=True) for _ in range(300)]
    mock.wait_held(300)
    assert mock.totals()["in_flight"] == 300
    mock.release()
    assert all(connection.read_response().complete for connection in open_streams)
    mock.wait_done(300)
    totals = mock.totals()
    assert (totals["in_flight"], totals["max_in_flight"]) == (0, 300)


def test_writes_are_not_gathered_by_the_kernel(mock, caller):
    mock.script(Action(hold_after_events=1))
    caller.begin(stream=True)
    mock.wait_held(1)
    connections = mock._server.server_state.connections  # noqa: SLF001 -- no other way to see it
    sockets = [connection.transport.get_extra_info("socket") for connection in connections]
    assert sockets
    assert all(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) for sock in sockets)
