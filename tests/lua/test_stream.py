import json

import pytest

from .host import LuaHost, fixture_bytes, raw
from .provider import boundaries, events, without_usage

HOLD = 16384
CHAT = [
    "chat-filter-first-utf8.sse",
    "chat-small.sse",
    "chat-crlf.sse",
    "chat-cr.sse",
    "chat-comments.sse",
    "chat-multiline-data.sse",
    "chat-async-filter.sse",
    "chat-tool-call.sse",
    "chat-done-without-blank-line.sse",
    "completions-stream.sse",
]
WITHOUT_USAGE = [
    "chat-usage-null-everywhere.sse",
    "chat-usage-in-content.sse",
]
SMALL = [
    "chat-small.sse",
    "chat-crlf.sse",
    "chat-cr.sse",
    "chat-comments.sse",
    "chat-multiline-data.sse",
    "chat-done-without-blank-line.sse",
]
# the event that carries the first output; all others are from the second on
FIRST_OUTPUT = {
    "chat-filter-first-utf8.sse": 2,
    "chat-small.sse": 2,
    "chat-crlf.sse": 2,
    "chat-cr.sse": 1,
    "chat-comments.sse": 2,
    "chat-multiline-data.sse": 0,
    "chat-async-filter.sse": 3,
    "chat-tool-call.sse": 1,
    "chat-done-without-blank-line.sse": 0,
    "completions-stream.sse": 2,
    "chat-usage-null-everywhere.sse": 2,
    "chat-usage-in-content.sse": 1,
    "responses-stream.sse": 2,
}


class Sweeper:
    """Runs one stream through every cut."""

    def __init__(self, host: LuaHost) -> None:
        self.host = host
        self.stream = host.require("stream")
        self.sweep = host.lua.eval("function(name) return (require(name)) end")("sweep")

    def case(self, stream: bytes, **changes: object) -> object:
        expected = changes.pop("expected", stream)
        assert isinstance(expected, bytes)
        settings = {
            "input": raw(stream),
            "expected": raw(expected),
            "boundary": dict.fromkeys(boundaries(expected), True),
            "quiet": 0,
            "injected": False,
            "hold": HOLD,
            "firsts": 1,
            **changes,
        }
        return self.host.table(settings)

    def fixture(self, name: str, *, injected: bool, prompt: int | None) -> object:
        stream = fixture_bytes(name)
        removed = injected and prompt
        return self.case(
            stream,
            expected=without_usage(stream) if removed else stream,
            quiet=events(stream)[FIRST_OUTPUT[name]].stop,
            injected=injected,
            prompt=prompt,
        )


@pytest.fixture(scope="module")
def sweeper(shared_host: LuaHost) -> Sweeper:
    return Sweeper(shared_host)


@pytest.mark.parametrize("injected", [False, True])
@pytest.mark.parametrize("name", CHAT)
def test_bytes_do_not_depend_on_where_they_are_cut(sweeper, name, injected):
    case = sweeper.fixture(name, injected=injected, prompt=11)
    assert sweeper.sweep.all(sweeper.stream, case, False) is None


@pytest.mark.parametrize("injected", [False, True])
@pytest.mark.parametrize("name", SMALL)
def test_bytes_do_not_depend_on_any_two_cuts(sweeper, name, injected):
    case = sweeper.fixture(name, injected=injected, prompt=11)
    assert sweeper.sweep.all(sweeper.stream, case, True) is None


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64])
@pytest.mark.parametrize("injected", [False, True])
@pytest.mark.parametrize("name", CHAT)
def test_bytes_may_come_one_by_one_or_in_pieces_of_any_size(sweeper, name, injected, size):
    case = sweeper.fixture(name, injected=injected, prompt=11)
    assert sweeper.sweep.pieces(sweeper.stream, case, size) is None


@pytest.mark.parametrize("injected", [False, True])
@pytest.mark.parametrize("name", WITHOUT_USAGE)
def test_a_usage_that_is_null_or_only_text_is_no_usage(sweeper, name, injected):
    case = sweeper.fixture(name, injected=injected, prompt=None)
    assert sweeper.sweep.all(sweeper.stream, case, False) is None
    assert sweeper.sweep.pieces(sweeper.stream, case, 1) is None


def test_a_responses_stream_is_passed_on_and_its_last_event_tells_the_usage(sweeper):
    case = sweeper.fixture("responses-stream.sse", injected=False, prompt=11)
    assert sweeper.sweep.all(sweeper.stream, case, False) is None
    assert sweeper.sweep.pieces(sweeper.stream, case, 1) is None
    _, state = sweeper.sweep.run(sweeper.stream, case, sweeper.host.table([]))
    assert dict(state.usage.items()) == {
        "prompt": 11,
        "completion": 5,
        "total": 16,
        "cached": 4,
        "reasoning": 2,
        "audio": 0,
    }
    assert state.model == "gpt-4.1-2025-04-14"


def test_two_streams_do_not_share_state(sweeper):
    stream = sweeper.stream
    one, other = stream.new(True, HOLD), stream.new(True, HOLD)
    whole = raw(fixture_bytes("chat-small.sse"))
    for at in range(0, len(whole), 9):
        stream.push(one, whole[at : at + 9])
    assert other.usage is None
    assert stream.push(other, whole)[0] == raw(without_usage(fixture_bytes("chat-small.sse")))


@pytest.mark.parametrize("injected", [False, True])
@pytest.mark.parametrize(
    "name", ["chat-error-small.sse", "chat-error-content-filter.sse", "responses-failed.sse"]
)
def test_an_error_event_in_the_head_is_found_at_any_two_cuts(sweeper, name, injected):
    stream = raw(fixture_bytes(name))
    assert sweeper.sweep.errors(sweeper.stream, stream, HOLD, injected) is None


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("chat-error-first.sse", "429"),
        ("chat-error-content-filter.sse", "content_filter"),
        ("responses-error-event.sse", "rate_limit_exceeded"),
        ("responses-failed.sse", "server_error"),
    ],
)
def test_an_error_event_in_the_head_is_handed_to_the_caller(sweeper, name, code):
    stream = sweeper.stream
    whole = fixture_bytes(name)
    state = stream.new(False, HOLD)
    out, first = stream.push(state, raw(whole))
    assert (out, first) == (None, False)
    assert state.err.code == code
    assert state.err_data == raw(events(whole)[-1].data)
    assert state.held == raw(whole), "the caller may still pass the head on"


def test_an_error_event_after_the_first_output_is_the_clients_to_read(sweeper):
    error = b'data: {"error":{"code":"429"}}\n\n'
    small = fixture_bytes("chat-small.sse")
    case = sweeper.case(small + error, prompt=11)
    assert sweeper.sweep.all(sweeper.stream, case, False) is None


@pytest.mark.parametrize("injected", [False, True])
def test_a_stream_without_output_is_delivered_whole_at_its_end(sweeper, injected):
    whole = fixture_bytes("chat-no-output.sse")
    case = sweeper.case(whole, injected=injected, quiet=len(whole) + 1, firsts=0)
    assert sweeper.sweep.all(sweeper.stream, case, False) is None


@pytest.mark.parametrize("injected", [False, True])
def test_an_empty_stream_stays_empty(sweeper, injected):
    state = sweeper.stream.new(injected, HOLD)
    assert sweeper.stream.finish(state) == ""
    assert state.at_boundary


@pytest.mark.parametrize("injected", [False, True])
def test_a_stream_that_ends_inside_an_event_is_delivered_with_what_came(sweeper, injected):
    whole = fixture_bytes("chat-small.sse")
    first = events(whole)[2].stop
    for end in range(1, len(whole)):
        part = whole[:end]
        case = sweeper.case(part, injected=injected, firsts=int(end >= first))
        state = sweeper.stream.new(injected, HOLD)
        out = sweeper.stream.push(state, raw(part))[0] + sweeper.stream.finish(state)
        usage_ended = injected and end >= events(whole)[3].stop
        assert out == raw(without_usage(part) if usage_ended else part), case


def test_the_head_is_held_up_to_its_limit_and_no_further(sweeper):
    head = raw(b": keep-alive\n\n" * 100)
    for limit in (0, 1, 13, 100):
        state = sweeper.stream.new(False, limit)
        emitted = ""
        for at in range(len(head)):
            emitted += sweeper.stream.push(state, head[at])[0]
            expected = at + 1 if at + 1 > limit else 0
            assert len(emitted) == expected
        assert not state.in_head


def test_the_head_that_grew_too_large_is_not_the_first_output(sweeper):
    state = sweeper.stream.new(False, 10)
    assert sweeper.stream.push(state, ": keep-alive\n\n") == (": keep-alive\n\n", False)


@pytest.mark.parametrize("injected", [False, True])
def test_an_opened_head_goes_out_once_and_the_rest_follows(sweeper, injected):
    whole = fixture_bytes("chat-small.sse")
    expected = without_usage(whole) if injected else whole
    for cut in range(len(whole)):
        state = sweeper.stream.new(injected, HOLD)
        out, _ = sweeper.stream.push(state, raw(whole[:cut]))
        out += sweeper.stream.open(state)
        out += sweeper.stream.push(state, raw(whole[cut:]))[0]
        out += sweeper.stream.finish(state)
        assert out == raw(expected)
        assert state.usage.prompt == 11


def test_an_opened_head_is_at_a_boundary_only_when_its_last_event_is_complete(sweeper):
    state = sweeper.stream.new(False, HOLD)
    sweeper.stream.push(state, ': k\n\ndata: {"choi')
    assert sweeper.stream.open(state) == ': k\n\ndata: {"choi'
    assert state.at_boundary is False


@pytest.mark.parametrize(
    ("event", "is_output"),
    [
        ({"choices": []}, False),
        ({"choices": [], "prompt_filter_results": [{"prompt_index": 0}]}, False),
        ({"choices": [{"delta": {"role": "assistant"}}]}, False),
        ({"choices": [{"delta": {"role": "assistant", "content": ""}}]}, False),
        ({"choices": [{"delta": {"content": None, "refusal": None}}]}, False),
        ({"choices": [{"delta": {"tool_calls": []}}]}, False),
        ({"choices": [{"delta": {}, "finish_reason": None}]}, False),
        ({"choices": [{"delta": None}]}, False),
        ({"choices": [None]}, False),
        ({"choices": [{"content_filter_offsets": {"end_offset": 1}}]}, False),
        ({"choices": [{"text": "", "finish_reason": None}]}, False),
        ({"type": "response.created", "response": {}}, False),
        ({"type": "response.in_progress"}, False),
        ({"type": "response.queued"}, False),
        ({"choices": [{"delta": {"content": "a"}}]}, True),
        ({"choices": [{"delta": {"content": " "}}]}, True),
        ({"choices": [{"delta": {"reasoning_content": "hm"}}]}, True),
        ({"choices": [{"delta": {"refusal": "no"}}]}, True),
        ({"choices": [{"delta": {"tool_calls": [{"index": 0}]}}]}, True),
        ({"choices": [{"delta": {"audio": {"id": "a"}}}]}, True),
        ({"choices": [{"delta": {}}, {"delta": {"content": "second"}}]}, True),
        ({"choices": [{"delta": {}, "finish_reason": "content_filter"}]}, True),
        ({"choices": [{"text": "a"}]}, True),
        ({"type": "response.output_item.added"}, True),
        ({"type": "response.output_text.delta", "delta": "a"}, True),
        ({"type": "response.completed", "response": {"usage": None}}, True),
        ({"surprise": 1}, True),
        ([1], True),
        ("[DONE]", True),
    ],
)
def test_what_counts_as_the_first_output(sweeper, event, is_output):
    text = event if isinstance(event, str) else json.dumps(event)
    data = raw(f"data: {text}\n\n")
    state = sweeper.stream.new(False, HOLD)
    assert sweeper.stream.push(state, data) == (data if is_output else "", is_output)


@pytest.mark.parametrize("size", [65536, 65537, 200_000])
@pytest.mark.parametrize("piece", [1000, 16384, 10**9])
def test_an_event_longer_than_the_usage_event_can_be_passes_under_injection(sweeper, size, piece):
    head = b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n'
    long = b'data: {"choices":[{"delta":{"content":"' + b"x" * size + b'"}}]}\n\n'
    whole = head + long + fixture_bytes("chat-small.sse")
    case = sweeper.case(whole, expected=without_usage(whole), injected=True, prompt=11)
    assert sweeper.sweep.pieces(sweeper.stream, case, piece) is None


def test_the_end_of_a_long_event_is_found_at_any_cut(sweeper):
    head = b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n'
    for line_end in (b"\n", b"\r\n", b"\r"):
        long = b"data: " + b"x" * 66000 + line_end * 2
        rest = b'data: {"choices":[],"usage":{"prompt_tokens":11}}' + line_end * 2
        whole = head + long + rest + b"data: [DONE]" + line_end * 2
        at = len(head) + len(long)
        case = sweeper.case(whole, expected=whole.replace(rest, b""), injected=True, prompt=11)
        for cut in range(at - 8, at + 8):
            cuts = sweeper.host.table([len(head), at - 400, cut, cut + 1])
            wrong = sweeper.sweep.run(sweeper.stream, case, cuts)[0]
            assert wrong is None, (line_end, cut)


def test_a_usage_in_a_last_event_of_a_megabyte_is_still_read(sweeper):
    item = b'{"type":"response.output_item.added"}'
    last = b'{"type":"response.completed","response":{"output":"%s","usage":{"input_tokens":11}}}'
    whole = b"data: " + item + b"\n\ndata: " + last % (b"x" * 1_000_000) + b"\n\n"
    assert sweeper.sweep.pieces(sweeper.stream, sweeper.case(whole, prompt=11), 16384) is None


def test_an_event_that_never_ends_is_not_kept_in_memory(sweeper):
    state = sweeper.stream.new(False, HOLD)
    sweeper.stream.push(state, 'data: {"choices":[{"delta":{"content":"a"}}]}\n\n')
    chunk = "x" * 65536
    for _ in range(160):
        assert sweeper.stream.push(state, chunk) == (chunk, False)
        assert len(state.tail) <= 4 * 1048576 + len(chunk)
    assert state.at_boundary is False
    assert sweeper.stream.push(state, raw(b"\n\n" + fixture_bytes("chat-small.sse")))
    assert state.at_boundary
    assert state.usage.prompt == 11


def test_a_usage_event_that_also_has_a_choice_is_read_but_not_removed(sweeper):
    whole = (
        b'data: {"choices":[{"delta":{"content":"a"}}],'
        b'"usage":{"prompt_tokens":11,"completion_tokens":5}}\n\ndata: [DONE]\n\n'
    )
    case = sweeper.case(whole, injected=True, prompt=11)
    assert sweeper.sweep.all(sweeper.stream, case, False) is None


def test_of_several_usages_the_last_one_counts(sweeper):
    usage = '"usage":{"prompt_tokens":11,"completion_tokens":%d}'
    whole = "".join(
        f'data: {{"choices":[{{"delta":{{"content":"a"}}}}],{usage % n}}}\n\n' for n in (1, 2, 3)
    )
    state = sweeper.stream.new(False, HOLD)
    sweeper.stream.push(state, whole)
    assert state.usage.completion == 3
