"""The counters say what the backends say: over a thousand mixed requests, to the token."""

import itertools
from collections import Counter, defaultdict

import pytest

from e2e.scenarios import calls, traffic

COUNT = 1000
SEED = 20240613
RETRYABLE = {"500": "500", "503": "503", "429": "429", "exhausted": "429", "event": "429"}


class Books:
    """What was planned, what the mocks wrote down, and what the gateway counted."""

    def __init__(self, planned, mocks, seen):
        self.planned = {one.ident: one for one in planned}
        self.mocks = mocks
        self.metrics = {}
        self.seen = seen
        self.entries = [(mock.name, entry) for mock in mocks for entry in mock.journal]
        self.attempts = defaultdict(list)
        for name, entry in sorted(self.entries, key=lambda pair: pair[1].started_at):
            self.attempts[entry.header("x-id")[0]].append((name, entry))

    def tokens(self, label):
        """Return the mocks' sums by (label's value, kind), without those that are 0."""
        found = Counter()
        for name, entry in self.entries:
            if entry.usage is None:
                continue
            planned = self.planned[entry.header("x-id")[0]]
            labels = {
                "backend": name,
                "deployment": planned.deployment,
                "consumer": planned.client.name,
            }
            used = entry.usage
            found[labels[label], "prompt"] += used.prompt
            found[labels[label], "completion"] += used.completion
            found[labels[label], "cached"] += used.cached
            found[labels[label], "reasoning"] += used.reasoning
            found[labels[label], "audio"] += used.audio_prompt + used.audio_completion
        return {key: value for key, value in found.items() if value}

    def read(self, gateway):
        """Wait until all is counted; the engine's own series are a moment behind."""
        prompt = sum(n for (_, kind), n in self.tokens("backend").items() if kind == "prompt")

        def counted(now):
            return (
                now.value("gateway_requests_total") >= COUNT
                and now.value("apisix_llm_prompt_tokens") >= prompt
                and calls.idle(now)
            )

        self.metrics = gateway.wait_for_metric(counted, 20)

    def counted(self, name, *labels):
        """Return the gateway's sums of a counter by the values of these labels."""
        found = Counter()
        for sample, value in self.metrics.select(name):
            found[tuple(sample[label] for label in labels)] += value
        return {key: value for key, value in found.items() if value}


@pytest.fixture(scope="module")
def books(mock_pool, gateway_pool):
    """Send everything once; the tests below look at different pages."""
    mocks = mock_pool.take(3)
    mock_pool.recycle()
    traffic.scripts(mocks)
    planned = traffic.plan(COUNT, SEED)
    gateway = gateway_pool.start(traffic.backends(mocks), traffic.CLIENTS, calls.LONG_HOLD)
    try:
        seen = traffic.Sender(gateway, mocks[0]).send_all(planned)
        for mock in mocks:
            mock.wait_until(lambda all_: all(entry.state == "done" for entry in all_))
        books = Books(planned, mocks, seen)
        books.read(gateway)
        yield books
    finally:
        gateway.close()
        mock_pool.recycle()


@pytest.fixture(autouse=True)
def _traffic_first(books):
    """Name the fixture of the module for every test, so that none cleans the mocks before it."""
    assert books


def test_every_request_got_the_answer_that_was_planned(books):
    expected = Counter()
    for one in books.planned.values():
        expected[{"left": "left", "refused": 400, "exhausted": 429}.get(one.fate, 200)] += 1
    assert books.seen == expected
    assert set(expected) == {"left", 400, 429, 200}


@pytest.mark.parametrize("label", ["backend", "deployment", "consumer"])
def test_tokens_equal_the_sums_of_the_backends(books, label):
    expected = books.tokens(label)
    assert {kind for _, kind in expected} == {
        "prompt",
        "completion",
        "cached",
        "reasoning",
        "audio",
    }
    assert books.counted("gateway_tokens_total", label, "kind") == expected


def test_the_mocks_sums_are_those_of_their_journals(books):
    for mock in books.mocks:
        totals = mock.totals()["tokens"]
        mine = {kind: n for (name, kind), n in books.tokens("backend").items() if name == mock.name}
        assert totals["prompt"] == mine["prompt"]
        assert totals["completion"] == mine["completion"]
        assert totals["cached"] == mine["cached"]
        assert totals["reasoning"] == mine["reasoning"]
        assert totals["audio_prompt"] + totals["audio_completion"] == mine["audio"]


@pytest.mark.parametrize("kind", ["prompt", "completion"])
def test_the_engines_own_token_counters_equal_them_too(books, kind):
    expected = sum(n for (_, k), n in books.tokens("backend").items() if k == kind)
    assert books.metrics.value(f"apisix_llm_{kind}_tokens") == expected


def test_every_gauge_is_back_at_zero(books):
    assert calls.idle(books.metrics)
    assert books.metrics.select("apisix_llm_active_connections")


def test_requests_are_counted_once_by_consumer_and_code(books):
    expected = Counter()
    for one in books.planned.values():
        code = {"refused": "400", "exhausted": "429"}.get(one.fate, "200")
        if one.fate == "left" and not one.streams:
            code = "499"
        expected[one.client.name, code] += 1
    assert books.counted("gateway_requests_total", "consumer", "code") == expected


def test_attempts_are_those_in_the_journals(books):
    expected = Counter((name,) for name, _ in books.entries)
    assert books.counted("gateway_attempts_total", "backend") == expected


def test_every_move_to_another_backend_is_counted_with_its_reason(books):
    expected = Counter()
    for ident, attempts in books.attempts.items():
        fate = books.planned[ident].fate
        for (one, _), (other, _) in itertools.pairwise(attempts):
            expected[one, other, RETRYABLE.get(fate, "reset")] += 1
    assert books.counted("gateway_failovers_total", "from", "to", "reason") == expected
    assert {reason for _, _, reason in expected} == {"429", "500", "503", "reset"}


def test_a_success_after_a_failover_counts_its_tokens_on_the_backend_that_answered(books):
    moved = [all_ for all_ in books.attempts.values() if len(all_) > 1 and all_[-1][1].usage]
    assert len(moved) > 50
    for attempts in moved:
        assert [bool(entry.usage) for _, entry in attempts] == [False] * (len(attempts) - 1) + [
            True
        ]


def test_requests_for_which_nobody_was_left_are_counted(books):
    exhausted = sum(one.fate == "exhausted" for one in books.planned.values())
    assert books.metrics.value("gateway_exhausted_total") == exhausted > 0


def test_answers_that_told_no_usage_are_counted_as_such(books):
    """Streams that no option can ask for usage, and those whose client left before the end."""
    expected = Counter()
    for ident, attempts in books.attempts.items():
        one = books.planned[ident]
        answered = one.fate not in ("refused", "exhausted", "left")
        if (one.operation == "old-stream" and answered) or (one.fate == "left" and one.streams):
            expected[attempts[-1][0], one.deployment] += 1
    assert books.counted("gateway_usage_unknown_total", "backend", "deployment") == expected
    assert len(expected) > 4


def test_streams_that_their_client_left_are_counted(books):
    left = sum(one.fate == "left" and one.streams for one in books.planned.values())
    assert books.metrics.value("gateway_stream_aborts_total", by="client") == left > 0
    assert books.metrics.value("gateway_stream_aborts_total", by="backend") == 0
