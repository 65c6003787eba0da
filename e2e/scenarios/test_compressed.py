"""A backend that compresses although it was asked not to."""

import gzip

import pytest

from e2e.harness import Backend, RawConnection
from e2e.mock_azure_openai import Action, Usage

CHAT = "/openai/v1/chat/completions"
USAGE = Usage(prompt=11, completion=7, cached=3, reasoning=2)


def ask(gw, **fields):
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}], **fields}
    return gw.request("POST", CHAT, body=body)


@pytest.mark.parametrize("stream", [False, True], ids=["json", "stream"])
def test_its_bytes_pass_unchanged_and_its_tokens_are_counted(mocks, gateway, stream):
    (mock,) = mocks()
    mock.script(Action(gzip=True, usage=USAGE))
    gw = gateway([Backend(mock)])
    before = gw.metrics()

    got = ask(gw, **({"stream": True, "stream_options": {"include_usage": True}} if stream else {}))

    assert got.header("content-encoding") == ["gzip"]
    mock.wait_done(1)
    assert got.body == mock.journal[-1].sent
    assert b"usage" in gzip.decompress(got.body)
    counted = gw.wait_for_metric(
        lambda m: m.since(before).value("gateway_tokens_total", kind="prompt") == 11
    ).since(before)
    kinds = {k: counted.value("gateway_tokens_total", kind=k) for k in ("completion", "cached")}
    assert kinds == {"completion": 7, "cached": 3}


def test_a_compressed_stream_is_not_held(mocks, gateway):
    (mock,) = mocks()
    mock.script(Action(gzip=True, hold_after_bytes=20))
    gw = gateway([Backend(mock)])

    body = b'{"model":"gpt-4o","stream":true,"messages":[{"role":"user","content":"hi"}]}'
    with RawConnection(gw.url) as client:
        headers = [("api-key", gw.key), ("content-type", "application/json")]
        client.request("POST", CHAT, headers, body)
        client.read_head()
        client.read_body(lambda got: len(got) == 20)
        mock.wait_held(1)
        mock.release()
        assert client.read_response().complete
