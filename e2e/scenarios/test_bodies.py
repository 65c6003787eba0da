"""Request bodies reach the backend byte for byte, whatever they hold."""

from __future__ import annotations

import hashlib
import json
import time

import pytest

from e2e.harness import RawConnection
from e2e.harness.calls import chat, legacy
from e2e.harness.fleet import only
from e2e.mock_azure_openai.script import Action

JSON_TYPE = {"content-type": "application/json"}
V1 = "/openai/v1/chat/completions"
BIG_BYTES = 20_000_000
BIG_SECONDS = 15
BODIES = {
    "empty containers": b'{"model":"pair","messages":[],"tools":[],"x":[[],{},[{}]],"y":{}}',
    "large numbers": b'{"model":"pair","messages":[],"a":12345678901234567,"n":-9876543210987654}',
    "odd numbers": b'{"model":"pair","messages":[],"a":1.10,"b":-0.0,"c":1E+2,"d":1e-400}',
    "escapes": b'{"model":"pair","messages":[{"content":"\\u00e9\\ud83d\\/\\n\\u0000\\"\\\\"}]}',
    "utf-8": '{"model":"pair","messages":[{"content":"\u00e9 \U0001f600 \u2028"}]}'.encode(),
    "white space": b' \r\n\t{ "model" : "pair" ,\n"messages" : [ ] }\r\n\t ',
    "names in strings": b'{"messages":["{\\"model\\":\\"x\\",\\"stream\\":true}"],"model":"pair"}',
    "names in objects": b'{"messages":[{"model":"x","stream":1}],"model":"pair","a":{"model":1}}',
    "other members twice": b'{"model":"pair","messages":[],"seed":1,"seed":2}',
    "nulls": b'{"model":"pair","messages":[],"stream":null,"a":null}',
    "escaped names": b'{"mod\\u0065l":"pair","messages":[],"\\u0061":1}',
    "an escaped name's value": b'{"model":"p\\u0061ir","messages":[]}',
    "similar names": b'{"Model":"x","model ":"x","models":"x","model":"pair","messages":[]}',
    "deep nesting": b'{"model":"pair","messages":[],"a":' + b"[" * 500 + b"]" * 500 + b"}",
    "a stream that asks for usage": b'{"stream":true,"stream_options":{"include_usage":true},'
    b'"messages":[],"model":"pair","a":[],"b":{},"seed":12345678901234567}',
}
STREAMED = {
    "first": b'{"model":"pair","messages":[],"a":[],"b":{},"seed":12345678901234567,"stream":true}',
    "spaces": b'{ "stream" : true , "model" : "pair" , "messages" : [ ] , "x" : "\\u00e9" }',
    "options": b'{"model":"pair","stream_options":{"other":[1,{}]},"messages":[],"stream":true}',
    "no options": b'{"model":"pair","stream_options":{ },"messages":[],"stream":true,"z":1.0}',
    "off": b'{"model":"pair","stream_options":{"include_usage":false},"messages":[],"stream":true}',
    "null": b'{"model":"pair","stream_options":null,"messages":[],"stream":true}',
}


def post(fleet, target, body, **headers):
    return fleet.gateway.request("POST", target, body=body, headers={**JSON_TYPE, **headers})


@pytest.mark.parametrize("target", [V1, legacy("pair")], ids=["v1", "deployment"])
@pytest.mark.parametrize("name", BODIES)
def test_a_body_arrives_unchanged_also_at_the_second_backend(fleet, name, target):
    fleet.alpha.script(Action(error="500"))

    response = post(fleet, target, BODIES[name])

    assert response.status == 200
    assert only(fleet.alpha).body == BODIES[name]
    assert only(fleet.bravo).body == BODIES[name]


@pytest.mark.parametrize("name", STREAMED)
def test_a_body_that_gets_the_usage_option_is_otherwise_unchanged(fleet, name):
    body = STREAMED[name]

    response = post(fleet, V1, body)

    assert response.status == 200
    sent = only(fleet.alpha).body
    options = json.loads(body).get("stream_options") or {}
    wanted = json.loads(body) | {"stream_options": {**options, "include_usage": True}}
    assert json.loads(sent) == wanted
    if name in ("off", "null"):
        old, new = (b"false", b"true") if name == "off" else (b"null", b'{"include_usage":true}')
        assert sent == body.replace(old, new, 1)
    else:
        assert is_insertion(body, sent)


def is_insertion(old, new):
    """Whether `new` is `old` with one piece put in somewhere."""
    same = 0
    while same < len(old) and old[same] == new[same]:
        same += 1
    return new.endswith(old[same:]) and len(new) > len(old)


def test_an_api_version_that_does_not_know_the_option_gets_the_clients_bytes(fleet):
    body = b'{"messages":[],"stream":true}'

    response = post(fleet, legacy("pair", query="api-version=2024-06-01"), body)

    assert response.status == 200
    assert only(fleet.alpha).body == body


def big_text():
    return b'{"messages":[{"role":"user","content":"' + b"x" * BIG_BYTES + b'"}],"model":"pair"}'


def big_escapes():
    piece = b'\\"{[\\\\\\u00e9 '
    return b'{"messages":[{"content":"' + piece * (BIG_BYTES // len(piece)) + b'"}],"model":"pair"}'


def big_nesting():
    piece = b'{"model":["a",{},[]],"n":12345678901234567},'
    items = piece * (BIG_BYTES // len(piece))
    return b'{"messages":[],"a":[' + items + b'{}],"model":"pair"}'


@pytest.mark.parametrize("make", [big_text, big_escapes, big_nesting])
def test_20_megabytes_arrive_unchanged_in_bounded_time(fleet, make):
    body = make()
    started = time.monotonic()

    response = post(fleet, V1, body)

    assert response.status == 200
    assert time.monotonic() - started < BIG_SECONDS
    entry = only(fleet.alpha)
    assert entry.body_bytes == len(body)
    assert entry.body_sha256 == hashlib.sha256(body).hexdigest()


def test_20_megabytes_arrive_unchanged_at_the_second_backend(fleet):
    fleet.alpha.script(Action(error="429"))
    body = big_text()

    response = post(fleet, V1, body)

    assert response.status == 200
    assert only(fleet.bravo).body_sha256 == hashlib.sha256(body).hexdigest()


def chunked(body, size):
    pieces = [body[i : i + size] for i in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in pieces) + b"0\r\n\r\n"


@pytest.mark.parametrize("size", [1, 7, 4096])
def test_a_body_in_chunks_arrives_whole(fleet, size):
    body = json.dumps(chat(filler="y" * 9000)).encode()
    headers = [("api-key", fleet.gateway.key), ("transfer-encoding", "chunked")]

    with RawConnection(fleet.gateway.url) as connection:
        pairs = [*JSON_TYPE.items(), *headers]
        connection.request("POST", legacy("pair"), pairs, chunked(body, size))
        response = connection.read_response()

    assert response.status == 200
    assert only(fleet.alpha).body == body
    assert only(fleet.alpha).header("transfer-encoding") == []
    assert only(fleet.alpha).header("content-length") == [str(len(body))]


def test_a_large_body_in_chunks_arrives_whole(fleet):
    body = json.dumps(chat(model="pair", filler="z" * 3_000_000)).encode()
    headers = [("api-key", fleet.gateway.key), ("transfer-encoding", "chunked")]

    with RawConnection(fleet.gateway.url) as connection:
        connection.request("POST", V1, [*JSON_TYPE.items(), *headers], chunked(body, 65536))
        response = connection.read_response()

    assert response.status == 200
    assert only(fleet.alpha).body_sha256 == hashlib.sha256(body).hexdigest()


def test_a_body_that_comes_after_a_pause_is_waited_for(fleet):
    body = json.dumps(chat()).encode()
    head = [("api-key", fleet.gateway.key), ("content-length", str(len(body)))]

    with RawConnection(fleet.gateway.url) as connection:
        connection.request("POST", legacy("pair"), [*JSON_TYPE.items(), *head])
        for byte in body:
            connection.send(bytes([byte]))
        response = connection.read_response()

    assert response.status == 200
    assert only(fleet.alpha).body == body


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/json; charset=utf-8",
        "Application/JSON",
        "application/vnd.api+json",
        None,
    ],
)
def test_a_json_content_type_arrives_as_it_was_sent(fleet, content_type):
    headers = {"content-type": content_type} if content_type else {}

    response = fleet.gateway.request(
        "POST", legacy("pair"), body=b'{"messages":[]}', headers=headers
    )

    assert response.status == 200
    assert only(fleet.alpha).header("content-type") == ([content_type] if content_type else [])
