import pytest

from .host import fixture_bytes, raw
from .provider import events, without_usage
from .sweeper import HOLD, Sweeper

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


@pytest.fixture(scope="module")
def sweeper(shared_host) -> Sweeper:
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
    assert {k: v for k, v in state.usage.items() if k != "raw"} == {
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


@pytest.mark.parametrize("injected", [False, True])
def test_a_stream_that_ends_inside_a_long_event_repeats_nothing(sweeper, injected):
    whole = b'data: {"choices":[{"delta":{"content":"' + b"x" * 70_000
    state = sweeper.stream.new(injected, HOLD)
    out, _ = sweeper.stream.push(state, raw(whole))
    assert out + sweeper.stream.finish(state) == raw(whole)
    assert state.at_boundary is False


def test_a_later_usage_without_a_model_does_not_hide_the_model(sweeper):
    state = sweeper.stream.new(False, HOLD)
    sweeper.stream.push(state, 'data: {"usage":{"prompt_tokens":1},"model":"m"}\n\n')
    sweeper.stream.push(state, 'data: {"usage":{"prompt_tokens":2}}\n\n')
    assert (state.usage.prompt, state.model) == (2, "m")
