import pytest

from .host import raw
from .request_module import Request


@pytest.fixture(scope="module")
def request_module(shared_host) -> Request:
    return Request(shared_host)


@pytest.mark.parametrize(
    ("body", "model", "stream"),
    [
        (b'{"model":"gpt-4o"}', "gpt-4o", False),
        (b'{"stream":true,"model":"a"}', "a", True),
        (b'{"stream" : true , "model" : "a"}\n', "a", True),
        (b'{"stream":false}', None, False),
        (b'{"stream":null}', None, False),
        (b'{"stream":"true"}', None, False),
        (b'{"stream":1}', None, False),
        (b'{"model":null}', None, False),
        (b'{"model":7}', None, False),
        (b'{"model":["a"]}', None, False),
        (b'{"model":"gr\\u00fc\\u00df \\"x\\""}', 'grüß "x"', False),
        ('{"model":"grüß"}'.encode(), "grüß", False),
        (b'{"mod\\u0065l":"a","str\\u0065am":true}', "a", True),
        (b'{"messages":[{"model":"no","stream":true}]}', None, False),
        (b'{"stream":false,"stream":true}', None, True),
        (b"{}", None, False),
    ],
)
def test_the_scan_reads_model_and_stream(request_module, body, model, stream):
    scanned, code = request_module.scan(body)
    assert code is None
    assert scanned.model == (None if model is None else raw(model))
    assert scanned.stream is stream


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "invalid_json"),
        (b"[]", "invalid_json"),
        (b"null", "invalid_json"),
        (b'{"model":"a"', "invalid_json"),
        (b'{"model":"a"} {}', "invalid_json"),
        (b'{"model":"a"}x', "invalid_json"),
        (b"model=a", "invalid_json"),
        (b'{"model":"a","model":"b"}', "duplicate_member"),
        (b'{"model":"a","model":"a"}', "duplicate_member"),
        (b'{"model":"a","mo\\u0064el":"b"}', "duplicate_member"),
        (b'{"model":"a","model":"b","stream":true,"stream":true}', "duplicate_member"),
        (b'{"stream":true,"stream":true,"model":"a","model":"b"}', "duplicate_member"),
    ],
)
def test_a_body_that_two_readers_may_read_differently_is_refused(request_module, body, code):
    assert request_module.scan(body) == (None, code)


@pytest.mark.parametrize(
    ("options", "asks"),
    [
        (b'{"include_usage":true}', True),
        (b'{ "include_usage" : true }', True),
        (b'{"include\\u005fusage":true}', True),
        (b'{"x":1,"include_usage":true}', True),
        (b'{"include_usage":false}', False),
        (b'{"include_usage":"true"}', False),
        (b'{"include_usage":null}', False),
        (b'{"x":{"include_usage":true}}', False),
        (b"{}", False),
        (b"null", False),
        (b"true", False),
        (b'"include_usage"', False),
    ],
)
def test_whether_the_client_asked_for_usage_itself(request_module, options, asks):
    body = b'{"stream_options":' + options + b"}"
    scanned, _ = request_module.scan(body)
    assert request_module.module.asks_for_usage(raw(body), scanned) is asks


def test_without_stream_options_the_client_did_not_ask(request_module):
    body = b'{"include_usage":true}'
    assert not request_module.module.asks_for_usage(raw(body), request_module.scan(body)[0])
