"""A thousand mixed requests for the accounting scenario: planned from a seed, then sent."""

import dataclasses
import random
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from e2e.harness import Backend, Client, RawConnection
from e2e.mock_azure_openai import Action, Match, Rule, SseError, Usage
from e2e.scenarios import calls

CLIENTS = (Client("team-a"), Client("team-b"))
DEPLOYMENTS = ("gpt-4o", "gpt-4o-mini", "o3-mini")
EMBEDDING = "text-embedding-3-small"
# Served by the first backend alone, so that a client knows where its call is held.
LEFT = "left-early"
THROTTLED = "throttled"
CONCURRENCY = 16
ASK = {"stream_options": {"include_usage": True}}
USAGES = (
    Usage(prompt=11, completion=7),
    Usage(prompt=2048, completion=130, cached=1920, reasoning=64),
    Usage(prompt=301, completion=90, cached=128, audio_prompt=40, audio_completion=33),
    Usage(prompt=5, completion=0),
)
# The Responses API has no place for audio tokens.
SILENT_USAGES = tuple(dataclasses.replace(u, audio_prompt=0, audio_completion=0) for u in USAGES)
OPERATIONS = {
    "json": 25,
    "stream": 15,
    "stream-asked": 10,
    "legacy-stream": 10,
    "old-stream": 5,
    "embeddings": 10,
    "completions": 5,
    "completions-stream": 5,
    "responses": 8,
    "responses-stream": 7,
}
# What the first of the backends that gets such a request does to it.
FAILURES = {
    "500": Action(error="500"),
    "503": Action(error="503"),
    "429": Action(error="429", retry_after_ms=1),
    "reset": Action(reset="before_headers"),
    "late-reset": Action(reset="after_headers"),
}
FATES = {
    "well": 70,
    **dict.fromkeys(FAILURES, 3),
    "event": 3,
    "refused": 5,
    "exhausted": 3,
    "left": 4,
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Planned:
    """One request. `ident` travels in the header `x-id`, what the mocks do in `x-fate`."""

    ident: str
    client: Client
    operation: str
    deployment: str
    fate: str
    usage: int

    @property
    def streams(self):
        return self.operation.endswith("stream") or self.operation == "stream-asked"


def backends(mocks):
    """Return three backends of equal rank; only the first serves `LEFT`."""
    served = (*DEPLOYMENTS, EMBEDDING, THROTTLED)
    weights = (3, 2, 1)
    return [
        Backend(mock, weight=weight, deployments=served if number else (*served, LEFT))
        for number, (mock, weight) in enumerate(zip(mocks, weights, strict=True))
    ]


def scripts(mocks):
    """Give each mock its script: the first and second fail, the third never does."""
    for number, mock in enumerate(mocks):
        failures = failing_rules() if number < 2 else []
        mock.script([*refusing_rules(), *failures, *answering_rules()])


def for_fate(fate, action, **match):
    return Rule(match=Match(headers={"x-fate": fate}, **match), action=action)


def refusing_rules():
    return [
        for_fate("refused", Action(error="400")),
        for_fate("exhausted", Action(error="429", retry_after_ms=1)),
    ]


def failing_rules():
    event = Action(sse_error=SseError(code="rate_limit_exceeded", after_events=2))
    rules = [for_fate(name, action) for name, action in FAILURES.items()]
    return [*rules, for_fate("event", event, stream=True)]


def answering_rules():
    """Return the rules for each usage: those that hold a call which its client will leave first."""
    rules = []
    for name, usage in numbered_usages():
        left = {"x-fate": "left", "x-usage": name}
        held_stream = Action(usage=usage, hold_after_events=4)
        held = Action(usage=usage, hold_before_headers=True)
        rules += [
            Rule(match=Match(headers=left, stream=True), action=held_stream),
            Rule(match=Match(headers=left), action=held),
            Rule(match=Match(headers={"x-usage": name}), action=Action(usage=usage)),
        ]
    return rules


def numbered_usages():
    return [(f"u{i}", u) for i, u in enumerate(USAGES)] + [
        (f"s{i}", u) for i, u in enumerate(SILENT_USAGES)
    ]


def plan(count, seed):
    """Return `count` requests; the same for the same seed."""
    dice = random.Random(seed)
    found = []
    for number in range(count):
        operation = dice.choices(list(OPERATIONS), OPERATIONS.values())[0]
        fate = dice.choices(list(FATES), FATES.values())[0]
        if fate == "left" and operation not in ("json", "stream", "stream-asked"):
            fate = "well"
        if fate == "event" and operation == "completions-stream":
            fate = "well"  # it has no head that could fail
        deployment = EMBEDDING if operation == "embeddings" else dice.choice(DEPLOYMENTS)
        deployment = {"left": LEFT, "exhausted": THROTTLED}.get(fate, deployment)
        found.append(
            Planned(
                ident=f"{seed}-{number}",
                client=dice.choice(CLIENTS),
                operation=operation,
                deployment=deployment,
                fate=fate,
                usage=dice.randrange(len(USAGES)),
            )
        )
    return found


def target_and_body(planned):
    name = planned.deployment
    prompt = {"model": name, "prompt": "Say hello."}
    text = {"model": name, "input": "Say hello."}
    stream = {"stream": True}
    return {
        "json": (calls.CHAT, calls.chat(name)),
        "stream": (calls.CHAT, calls.chat(name, **stream)),
        "stream-asked": (calls.CHAT, calls.chat(name, **stream, **ASK)),
        "legacy-stream": (calls.legacy(name), calls.chat(name, **stream)),
        "old-stream": (calls.legacy(name, version="2024-06-01"), calls.chat(name, **stream)),
        "embeddings": (calls.EMBEDDINGS, text),
        "completions": (calls.COMPLETIONS, prompt),
        "completions-stream": (calls.COMPLETIONS, prompt | stream),
        "responses": (calls.RESPONSES, text),
        "responses-stream": (calls.RESPONSES, text | stream),
    }[planned.operation]


class Sender:
    """Sends requests over connections that are kept, a few at a time."""

    def __init__(self, gateway, first_mock):
        self._gateway = gateway
        self._first_mock = first_mock
        self._own = threading.local()
        self._opened = []

    def send_all(self, requests):
        """Send all; return how often each status was seen, "left" for clients that left."""
        with ThreadPoolExecutor(CONCURRENCY) as pool:
            seen = Counter(pool.map(self._send, requests))
        for connection in self._opened:
            connection.close()
        return seen

    def _connection(self):
        if getattr(self._own, "connection", None) is None:
            self._own.connection = RawConnection(self._gateway.url, timeout=30)
            self._opened.append(self._own.connection)
        return self._own.connection

    def _send(self, planned):
        connection = self._connection()
        target, body = target_and_body(planned)
        kind = "s" if planned.operation.startswith("responses") else "u"
        headers = {
            "x-id": planned.ident,
            "x-fate": planned.fate,
            "x-usage": f"{kind}{planned.usage}",
        }
        calls.post(connection, self._gateway, target, body, headers=headers, client=planned.client)
        if planned.fate == "left":
            return self._leave(connection, planned)
        answer = connection.read_response()
        assert answer.complete, (planned, answer)
        return answer.status

    def _leave(self, connection, planned):
        self._first_mock.wait_until(
            lambda all_: any(
                e.state == "holding" and e.header("x-id") == [planned.ident] for e in all_
            )
        )
        if planned.streams:
            connection.read_body(lambda got: b"Hello" in got)
        connection.abort()
        self._own.connection = None
        return "left"
