import json

import pytest

from .host import LuaHost
from .provider import events


@pytest.fixture(scope="module")
def messages(shared_host):
    return shared_host.require("messages")


CODES = sorted(LuaHost().require("messages").CATALOGUE)


@pytest.mark.parametrize("code", CODES)
def test_every_message_has_the_shape_that_sdks_know(messages, code):
    status, body = messages.error(code)
    error = json.loads(body)["error"]
    assert set(error) == {"code", "message", "type"}
    assert error["code"] == code
    assert error["message"].endswith(".")
    assert 400 <= status <= 504


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("invalid_api_key", 401, "authentication_error"),
        ("invalid_path", 400, "invalid_request_error"),
        ("duplicate_member", 400, "invalid_request_error"),
        ("DeploymentNotFound", 404, "not_found_error"),
        ("method_not_allowed", 405, "invalid_request_error"),
        ("request_too_large", 413, "invalid_request_error"),
        ("unsupported_media_type", 415, "invalid_request_error"),
        ("backend_auth_failed", 502, "server_error"),
        ("backend_unreachable", 502, "server_error"),
        ("backends_draining", 503, "server_error"),
        ("backend_timeout", 504, "server_error"),
        ("internal_error", 500, "server_error"),
    ],
)
def test_status_and_type_belong_to_the_code(messages, code, status, kind):
    assert messages.error(code)[0] == status
    assert json.loads(messages.error(code)[1])["error"]["type"] == kind


@pytest.mark.parametrize(
    ("status", "kind"),
    [(429, "rate_limit_error"), (403, "permission_error"), (418, "server_error")],
)
def test_any_status_has_a_type(messages, status, kind):
    body = json.loads(messages.body(status, "code", 'a "quoted" message'))
    assert body["error"] == {"code": "code", "message": 'a "quoted" message', "type": kind}


def test_the_last_event_of_a_cut_stream_ends_what_was_open(messages):
    whole, after_cut = messages.stream_error(True), messages.stream_error(False)
    (event,) = events(whole.encode())
    assert json.loads(event.data)["error"]["code"] == "stream_interrupted"
    first, second = events(b'data: {"choices":[{"delta' + after_cut.encode())
    assert first.data == b'{"choices":[{"delta'
    assert second.data == event.data
