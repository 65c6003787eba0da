"""What the journal and the sums say, in Python and over HTTP."""

import hashlib
import json
import threading

import pytest

from e2e.harness.raw import exchange
from e2e.mock_azure_openai import Action, At, MockAzureOpenAI, Rule, Usage

CHAT = "/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21"


def admin(mock, method, target, data=None):
    body = None if data is None else json.dumps(data).encode()
    got = exchange(mock.url, method, target, [], body)
    return got.status, json.loads(got.body) if got.body else None


def test_a_request_is_kept_with_every_detail(mock, caller):
    target = CHAT + "&a=1&a=2&b="
    caller.ask(target, headers=[("X-Odd-Case", "1"), ("x-odd-case", "2")], stream=True)
    entry = mock.wait_done(1)[0]
    assert (entry.seq, entry.method, entry.target) == (1, "POST", target)
    assert entry.path == CHAT.split("?", maxsplit=1)[0]
    assert entry.query == [("api-version", "2024-10-21"), ("a", "1"), ("a", "2"), ("b", "")]
    assert ("X-Odd-Case", "1") in entry.headers
    assert entry.header("x-odd-case") == ["1", "2"]
    assert (entry.deployment, entry.stream, entry.rule) == ("gpt-4o", True, None)
    assert entry.body_bytes == len(entry.body)
    assert entry.body_sha256 == hashlib.sha256(entry.body).hexdigest()
    assert entry.json()["stream"] is True
    assert entry.completed
    assert entry.bytes_sent == len(entry.sent)


def test_the_raw_target_is_kept(mock, caller):
    caller.ask("/openai/deployments/a%2fb/../chat/completions?api%2Dversion=1")
    entry = mock.wait_done(1)[0]
    assert entry.target == "/openai/deployments/a%2fb/../chat/completions?api%2Dversion=1"


def test_requests_with_a_wrong_key_are_kept_too(mock):
    exchange(mock.url, "POST", CHAT, [("authorization", "Bearer canary")], b"{}")
    entry = mock.wait_done(1)[0]
    assert (entry.status, entry.header("authorization")) == (401, ["Bearer canary"])


def test_requests_on_one_connection_share_its_number(mock, caller):
    connection = caller.begin()
    connection.read_response()
    connection.request("GET", "/openai/v1/models", [("api-key", mock.key)])
    connection.read_response()
    caller.ask()
    first, second, third = (entry.connection for entry in mock.wait_done(3))
    assert first == second != third


def test_waiting_in_vain_says_what_was_there(mock, caller):
    caller.ask()
    with pytest.raises(TimeoutError, match=r"#1 POST /openai/deployments/gpt-4o/.* done 200"):
        mock.wait_for(2, timeout=0.01)


def test_the_sums_count_the_usage_that_was_sent(mock, caller):
    usage = Usage(prompt=10, completion=5, cached=4, reasoning=3, audio_prompt=2)
    mock.script(Action(usage=usage))
    caller.ask()
    caller.ask(stream=True, stream_options={"include_usage": True})
    caller.ask(stream=True)
    mock.script([Action(usage=usage, reset=At(at_byte=50)), Action(error="429")])
    caller.ask()
    mock.script(Action(error="429"))
    caller.ask()
    mock.wait_done(5)
    totals = mock.totals()
    assert totals["requests"] == 5
    assert totals["by_status"] == {"200": 4, "429": 1}
    assert totals["by_end"] == {"completed": 4, "reset": 1}
    assert totals["without_usage"] == 2
    expected = {kind: 2 * count for kind, count in usage.as_dict().items()}
    assert totals["tokens"] == totals["deployments"]["gpt-4o"]["tokens"] == expected
    assert expected["total"] == 30


def test_embeddings_count_prompt_tokens_only(mock):
    body = b'{"model":"e","input":["one two","three"]}'
    exchange(mock.url, "POST", "/openai/v1/embeddings", [("api-key", mock.key)], body)
    mock.wait_done(1)
    assert mock.totals()["tokens"]["total"] == mock.totals()["tokens"]["prompt"] == 3


def test_a_reset_forgets_and_cuts_what_is_under_way(mock, caller):
    mock.script(Action(hang=True))
    connection = caller.begin()
    mock.wait_for(1)
    mock.reset()
    connection.wait_closed()
    assert mock.journal == []
    assert mock.totals()["requests"] == 0
    assert caller.ask().status == 200
    assert mock.wait_done(1)[0].seq == 1


def test_the_journal_over_http_is_a_long_poll(mock, caller):
    found = []
    poll = threading.Thread(
        target=lambda: found.append(admin(mock, "GET", "/_mock/journal?since=1&wait=10"))
    )
    caller.ask()
    poll.start()
    caller.ask()
    poll.join()
    status, data = found[0]
    assert status == 200
    assert [entry["seq"] for entry in data["entries"]] == [2]
    assert data["entries"][0]["headers"][-1][0] == "Content-Length"


def test_a_poll_can_wait_for_the_end_and_gives_up_in_time(mock, caller):
    mock.script(Action(hang=True))
    caller.begin()
    mock.wait_for(1)
    assert len(admin(mock, "GET", "/_mock/journal")[1]["entries"]) == 1
    assert admin(mock, "GET", "/_mock/journal?wait=0.05&finished=1")[1]["entries"] == []


def test_a_poll_with_nonsense_is_refused(mock):
    assert admin(mock, "GET", "/_mock/journal?since=x")[0] == 400


def test_binary_bodies_are_shown_as_base64(mock):
    exchange(mock.url, "POST", CHAT, [("api-key", mock.key)], b"\xff\x00")
    mock.wait_done(1)
    assert admin(mock, "GET", "/_mock/journal")[1]["entries"][0]["body_base64"] == "/wA="


def test_the_script_is_replaced_over_http(mock, caller):
    rules = {"rules": [{"match": {"stream": True}, "times": 1, "action": {"error": "503"}}]}
    assert admin(mock, "PUT", "/_mock/script", rules) == (200, {"rules": 1})
    assert admin(mock, "GET", "/_mock/script") == (200, rules)
    assert [caller.ask(stream=True).status for _ in range(2)] == [503, 200]
    assert admin(mock, "DELETE", "/_mock/script") == (204, None)
    assert admin(mock, "GET", "/_mock/script") == (200, {"rules": []})


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"rules": [{"action": {"stauts": 1}}]}, "rules[0].action: unknown field 'stauts'; did"),
        ([{"action": {"body_file": "/etc/passwd"}}], "not over HTTP"),
    ],
)
def test_a_wrong_script_is_refused_and_the_old_one_stays(mock, caller, data, message):
    mock.script(Action(error="503"))
    status, answer = admin(mock, "PUT", "/_mock/script", data)
    assert status == 400
    assert message in answer["error"]
    assert caller.ask().status == 503


def test_release_totals_and_reset_over_http(mock, caller):
    mock.script(Action(hold_before_headers=True))
    connection = caller.begin()
    mock.wait_held(1)
    assert admin(mock, "POST", "/_mock/release")[0] == 204
    assert connection.read_response().status == 200
    mock.wait_done(1)
    assert admin(mock, "GET", "/_mock/totals")[1]["by_status"] == {"200": 1}
    assert admin(mock, "DELETE", "/_mock/journal")[0] == 204
    assert mock.journal == []


def test_rules_are_tried_in_order_with_their_own_counters(mock, caller):
    mock.script(
        {
            "rules": [
                {"match": {"nth": 2}, "action": {"error": "500"}},
                {"match": {"headers": {"X-Test": "a"}}, "times": 1, "action": {"error": "429"}},
                {"match": {"deployment": "gpt-4o", "path": "*/chat/*"}, "action": {"error": "503"}},
            ]
        }
    )
    tagged = [("x-test", "a")]
    statuses = [caller.ask(headers=tagged).status for _ in range(3)]
    assert statuses == [429, 500, 503]
    assert [entry.rule for entry in mock.journal] == [1, 0, 2]
    assert caller.ask("/openai/v1/chat/completions", model="other").status == 200


def test_the_clock_gives_the_times_in_answers_and_journal():
    with MockAzureOpenAI(clock=lambda: 1_234.5, script=Rule(action=Action())) as mock:
        body = b'{"model":"m","messages":[]}'
        target = "/openai/v1/chat/completions"
        got = exchange(mock.url, "POST", target, [("api-key", mock.key)], body)
        assert json.loads(got.body)["created"] == 1234
        assert mock.wait_done(1)[0].finished_at == 1234.5
