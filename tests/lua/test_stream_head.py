import json

import pytest

from .host import fixture_bytes, raw
from .provider import events, without_usage
from .sweeper import HOLD, Sweeper


@pytest.fixture(scope="module")
def sweeper(shared_host) -> Sweeper:
    return Sweeper(shared_host)


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
