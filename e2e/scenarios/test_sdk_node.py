"""The official SDK for Node works through the gateway as it does with Azure OpenAI itself."""

import json
import select
import shutil
import subprocess
from pathlib import Path

import pytest

from e2e.harness import Backend
from e2e.mock_azure_openai import Action, At, Rule

FOLDER = Path(__file__).parents[1] / "node"
INSTALL = ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--silent"]
INSTALL_SECONDS = 100
ANSWER_SECONDS = 20
TEXT = "Hello from the mock: naïve café, 漢字 🙂🚀 end…"
WEATHER = {"name": "weather", "arguments": '{"location":"München 🥖"}'}
HELLO = 'data: {"choices":[{"delta":{"content":"Hello"}}]}\n\n'
KINDS = pytest.mark.parametrize("kind", ["openai", "azure"])
ACCOUNT_KINDS = pytest.mark.parametrize("kind", ["openai", "azure", "azure-v1"])


class Driver:
    """A Node process that makes the calls."""

    def __init__(self):
        self._process = subprocess.Popen(
            ["node", str(FOLDER / "driver.mjs")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )

    def ask(self, call, **arguments):
        """Return {"result": ...} or {"error": ...}."""
        self._process.stdin.write(json.dumps({"call": call, **arguments}) + "\n")
        if not select.select([self._process.stdout], [], [], ANSWER_SECONDS)[0]:
            pytest.fail(f"node: no answer to {call} within {ANSWER_SECONDS} s", pytrace=False)
        return json.loads(self._process.stdout.readline())

    def close(self):
        self._process.stdin.close()
        self._process.wait(ANSWER_SECONDS)
        self._process.stdout.close()


@pytest.fixture(scope="module")
def node():
    for name in ("node", "npm"):
        if shutil.which(name) is None:
            pytest.fail(f"the Node SDK scenarios need {name}: run `make install`", pytrace=False)
    if not (FOLDER / "node_modules" / "openai").is_dir():
        subprocess.run(INSTALL, cwd=FOLDER, check=True, timeout=INSTALL_SECONDS)
    driver = Driver()
    yield driver
    driver.close()


@pytest.fixture
def backends(mocks):
    return mocks(2)


@pytest.fixture
def ask(node, backends, gateway):
    """Give `ask(call, kind, **arguments)`: makes a call through a gateway with two backends."""
    first, second = backends
    gw = gateway([Backend(first, priority=10), Backend(second, priority=5)])

    def ask(call, kind="azure", **arguments):
        return node.ask(call, **{"kind": kind, "url": gw.url, "key": gw.key, **arguments})

    return ask


@KINDS
def test_chat(ask, kind):
    result = ask("chat", kind)["result"]
    assert result["text"] == TEXT
    assert result["usage"]["total_tokens"] > 0


@KINDS
def test_chat_stream_without_options_shows_no_usage(ask, kind):
    result = ask("chatStream", kind)["result"]
    assert result == {"text": TEXT, "usages": [], "broken": None}


@KINDS
def test_chat_stream_with_options_shows_usage_once(ask, kind):
    result = ask("chatStream", kind, options={"include_usage": True})["result"]
    assert (result["text"], len(result["usages"])) == (TEXT, 1)


@KINDS
@pytest.mark.parametrize("call", ["chatTools", "chatToolsStream"])
def test_chat_tools(ask, kind, call):
    assert ask(call, kind)["result"] == WEATHER


@KINDS
def test_completions(ask, kind):
    assert ask("completions", kind)["result"]["text"] == TEXT
    assert ask("completionsStream", kind)["result"]["text"] == TEXT


@KINDS
def test_embeddings(ask, kind):
    result = ask("embeddings", kind)["result"]
    assert result["sizes"] == [8, 8]
    assert result["usage"]["prompt_tokens"] > 0


@ACCOUNT_KINDS
@pytest.mark.parametrize("call", ["responses", "responsesStream"])
def test_responses(ask, kind, call):
    result = ask(call, kind)["result"]
    assert result["text"] == TEXT
    assert result["usage"]["total_tokens"] > 0


@ACCOUNT_KINDS
def test_responses_tools(ask, kind):
    assert ask("responsesTools", kind)["result"] == WEATHER


@ACCOUNT_KINDS
def test_models(ask, kind):
    assert "gpt-4o" in ask("models", kind)["result"]["names"]


@KINDS
def test_a_wrong_key_is_an_authentication_error(ask, kind):
    error = ask("chat", kind, key="wrong", maxRetries=0)["error"]
    assert (error["name"], error["status"]) == ("AuthenticationError", 401)


def test_a_missing_deployment_is_a_not_found_error(ask, backends):
    for mock in backends:
        mock.script(Action(error="DeploymentNotFound"))
    error = ask("chat", model="node-not-there", maxRetries=0)["error"]
    assert (error["name"], error["status"]) == ("NotFoundError", 404)
    assert error["code"] == "DeploymentNotFound"


def test_a_filtered_prompt_is_a_bad_request_error(ask, backends):
    backends[0].script(Action(error="content_filter"))
    error = ask("chat", maxRetries=0)["error"]
    assert (error["name"], error["status"]) == ("BadRequestError", 400)
    assert (error["code"], error["inner"]) == ("content_filter", "ResponsibleAIPolicyViolation")


def test_throttled_everywhere_is_a_rate_limit_error_that_says_when(ask, backends):
    for mock in backends:
        mock.script(Action(error="429", retry_after_ms=20_000))
    error = ask("chat", model="node-throttled", maxRetries=0)["error"]
    assert (error["name"], error["status"]) == ("RateLimitError", 429)
    assert (error["retryAfter"], error["retryAfterMs"]) == ("20", "20000")


def test_the_default_retries_of_the_sdk_wait_for_a_throttle_that_heals(ask, backends):
    for mock in backends:
        mock.script(Rule(times=1, action=Action(error="429", retry_after_ms=50)))
    assert ask("chat", model="node-heals")["result"]["text"] == TEXT
    assert sum(len(mock.journal) for mock in backends) == 3


def test_a_stream_that_is_cut_in_the_middle_throws(ask, backends):
    backends[0].script(Action(body=HELLO * 2, close=At(at_byte=len(HELLO))))
    result = ask("chatStream", maxRetries=0)["result"]
    assert result["text"] == "Hello"
    assert result["broken"]["name"] == "APIError"
    assert "interrupted" in result["broken"]["message"]
    assert not backends[1].journal


def test_a_client_that_stops_reading_closes_the_backend(ask, backends):
    backends[0].script(Action(hold_after_events=4))
    assert ask("leaveStream") == {"result": {}}
    backends[0].wait_gone()


def test_fail_over_is_invisible_to_the_sdk(ask, backends):
    backends[0].script(Action(reset="before_headers"))
    assert ask("chat", maxRetries=0)["result"]["text"] == TEXT
    assert len(backends[0].journal) == len(backends[1].journal) == 1
