import pytest

from .host import LuaHost

# `ngx.header` as the engine has it: names in any case, one table per answer
NGX = """
local sent = setmetatable({}, {
    __index = function(t, name) return rawget(t, name:lower()) end,
    __newindex = function(t, name, value) rawset(t, name:lower(), value) end,
})
ngx = {header = sent, req = {get_headers = function() return ngx.received end}}
return ngx
"""


class Headers:
    """The module between a fake client and a fake backend."""

    def __init__(self, host: LuaHost) -> None:
        self.host = host
        self.ngx = host.lua.execute(NGX)
        self.module = host.require("headers")

    def to_backend(self, headers: dict[str, object], request_id: str = "id-1") -> list[str]:
        self.ngx.received = self.host.table(headers)
        lines: str = self.module.to_backend(request_id)
        assert lines.endswith("\r\n")
        return sorted(lines.removesuffix("\r\n").split("\r\n"))

    def to_client(
        self, *fields: tuple[str, str], connection: str | None = None, keeps_length: bool = False
    ):
        flat = [part for field in fields for part in field]
        self.module.to_client(self.host.table(flat), connection, keeps_length)
        return self.host.python(self.ngx.header)


@pytest.fixture
def headers(host) -> Headers:
    return Headers(host)


OWN_ID = "x-ms-client-request-id: id-1"


def test_what_the_client_says_to_the_backend_is_passed_on(headers):
    sent = headers.to_backend(
        {
            "content-type": "multipart/form-data; boundary=x",
            "user-agent": "openai-python",
            "x-ms-useragent": "a",
            "openai-beta": "b",
            "aoai-evals": "preview",
            "x-stainless-lang": "python",
            "x-custom": "",
        }
    )
    assert sent == sorted(
        [
            OWN_ID,
            "content-type: multipart/form-data; boundary=x",
            "user-agent: openai-python",
            "x-ms-useragent: a",
            "openai-beta: b",
            "aoai-evals: preview",
            "x-stainless-lang: python",
            "x-custom: ",
        ]
    )


@pytest.mark.parametrize(
    "name",
    [
        "authorization",
        "api-key",
        "ocp-apim-subscription-key",
        "cookie",
        "x-ms-spillover-deployment",
        "x-consumer-username",
        "x-consumer-custom-id",
        "x-credential-identifier",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-anything",
        "forwarded",
        "x-real-ip",
        "x-gateway-backend",
        "x-request-id",
        "host",
        "content-length",
        "accept-encoding",
        "expect",
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ],
)
def test_no_credential_identity_or_hop_by_hop_header_reaches_a_backend(headers, name):
    assert headers.to_backend({name: "canary", "accept": "*/*"}) == ["accept: */*", OWN_ID]


def test_names_that_only_resemble_are_passed_on(headers):
    sent = headers.to_backend({"x-forward": "1", "x-consumers": "2", "x-fancy-header": "3"})
    assert sent == sorted([OWN_ID, "x-forward: 1", "x-consumers: 2", "x-fancy-header: 3"])


@pytest.mark.parametrize("connection", ["close, X-Hop , x-other", ["close", "x-hop,X-OTHER"]])
def test_headers_that_connection_names_go_no_further(headers, connection):
    sent = headers.to_backend({"connection": connection, "x-hop": "1", "x-other": "2", "a": "3"})
    assert sent == sorted([OWN_ID, "a: 3"])


def test_a_header_that_came_twice_goes_out_twice(headers):
    sent = headers.to_backend({"x-a": ["1", "2"]})
    assert sent == sorted([OWN_ID, "x-a: 1", "x-a: 2"])


def test_the_clients_own_azure_request_id_is_kept(headers):
    assert headers.to_backend({"x-ms-client-request-id": "mine"}) == [
        "x-ms-client-request-id: mine"
    ]


def test_a_request_without_headers_has_the_id(headers):
    assert headers.to_backend({}) == [OWN_ID]


def test_every_header_of_the_backend_reaches_the_client(headers):
    fields = {
        "content-type": "text/event-stream",
        "x-ratelimit-remaining-tokens": "9",
        "retry-after": "7",
        "retry-after-ms": "6500",
        "apim-request-id": "a",
        "x-ms-region": "East US",
        "openai-processing-ms": "5",
    }
    assert headers.to_client(*fields.items()) == fields


@pytest.mark.parametrize(
    "name",
    ["Connection", "Keep-Alive", "Transfer-Encoding", "TRAILER", "Upgrade", "Content-Length"],
)
def test_what_belongs_to_the_backends_connection_does_not(headers, name):
    assert headers.to_client((name, "x"), ("A", "b")) == {"a": "b"}


def test_what_the_backends_connection_header_names_stays_behind(headers):
    fields = [("X-Internal", "1"), ("A", "b")]
    assert headers.to_client(*fields, connection="close, x-internal") == {"a": "b"}


def test_the_length_is_passed_on_where_it_still_holds(headers):
    assert headers.to_client(("Content-Length", "5"), keeps_length=True) == {"content-length": "5"}


def test_the_backends_request_id_has_another_name(headers):
    assert headers.to_client(("X-Request-ID", "theirs")) == {"x-upstream-request-id": "theirs"}


def test_a_field_that_came_several_times_keeps_all_values_in_order(headers):
    fields = [("Set-Cookie", "a=1"), ("set-cookie", "b=2"), ("SET-COOKIE", "c=3")]
    assert headers.to_client(*fields) == {"set-cookie": ["a=1", "b=2", "c=3"]}


def test_the_backends_value_replaces_what_the_engine_had_set(headers):
    headers.ngx.header["Content-Type"] = "text/plain"
    assert headers.to_client(("Content-Type", "application/json")) == {
        "content-type": "application/json"
    }


def test_fields_for_a_body_of_our_own_say_json_and_nothing_of_the_former_body(headers):
    fields = ["Retry-After", "7", "content-type", "text/event-stream", "Content-Encoding", "gzip"]
    own = headers.module.as_json(headers.host.table(fields))
    assert list(own.values()) == ["Content-Type", "application/json", "Retry-After", "7"]
