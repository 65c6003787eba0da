"""What the log says: why backends failed, and nothing that clients sent."""

from __future__ import annotations

from e2e.harness import Backend, refusing_port
from e2e.mock_azure_openai import Action

CANARY = "canary-in-a-query"


def ask(gw, path="/openai/v1/chat/completions", method="POST"):
    body = {"model": "gpt-4o", "messages": []} if method == "POST" else None
    return gw.request(method, f"{path}?key={CANARY}", body=body)


def wait_for_log(gw, *texts):
    gw.wait_for_metric(lambda _: all(text in gw.log_text() for text in texts))


def test_a_query_is_in_no_log_whatever_happens(mocks, gateway):
    first, second = mocks(2)
    gw = gateway([Backend(first, priority=10), Backend(second)], fresh=True)

    first.script(Action(error="500"))
    assert ask(gw).status == 200
    for action, status in (
        (Action(error="429"), 429),
        # not by a reset: nginx itself logs that one, with the request line
        (Action(close="before_headers"), 502),
        (Action(error="401"), 502),
    ):
        first.script(action)
        second.script(action)
        assert ask(gw).status == status
        assert ask(gw, "/openai/v1/models", "GET").status == 502
    first.script(Action())
    assert ask(gw, "/openai/v1/models", "GET").status == 200
    assert ask(gw, "/openai/v1/unknown").status == 404

    wait_for_log(gw, "mock0 failed: 500", "mock0 refuses the gateway's credential: 401")
    assert CANARY not in gw.log_text()


def test_the_log_says_why_a_backend_cannot_be_reached(mocks, gateway):
    (mock,) = mocks()
    with refusing_port() as port:
        dead = Backend(endpoint=f"http://127.0.0.1:{port}", name="dead", key="k", priority=10)
        gw = gateway([dead, Backend(mock)], fresh=True)
        assert ask(gw).status == 200
        wait_for_log(gw, "backend dead failed: connect: connection refused")
        assert CANARY not in gw.log_text()


def test_what_happens_often_is_said_once_with_its_number(mocks, gateway):
    first, second = mocks(2)
    first.script(Action(error="429"))
    env = {"GATEWAY_WORKERS": "1"}
    gw = gateway([Backend(first, priority=10), Backend(second)], env=env, fresh=True)

    assert {ask(gw).status for _ in range(30)} == {200}

    wait_for_log(gw, "mock0 failed: 429 (")
    assert gw.log_text().count("mock0 failed: 429") < 15
