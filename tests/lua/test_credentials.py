import pytest

from .host import AUTH, LuaHost

# header names in any case, as the engine's table looks them up
CORE = """
local ctx = {headers = {}}
local lookup = {__index = function(t, name) return rawget(t, name:lower()) end}
local core = {request = {}}
function core.request.headers(c) return setmetatable(c.headers, lookup) end
function core.request.set_header(c, name, value) c.headers[name:lower()] = value end
package.preload["apisix.core"] = function() return core end
return ctx
"""


class Credentials:
    """The module over a fake request."""

    def __init__(self, host: LuaHost) -> None:
        self.host = host
        self.ctx = host.lua.execute(CORE)
        self.module = host.require(AUTH + "credentials")

    def read(self, headers: dict[str, object]) -> list[str]:
        self.ctx.headers = self.host.table(headers)
        return list(self.module.read(self.ctx).values())

    def left(self) -> list[str]:
        return sorted(self.ctx.headers)


@pytest.fixture
def credentials(host) -> Credentials:
    return Credentials(host)


@pytest.mark.parametrize(
    ("value", "keys"),
    [
        ("Bearer key", ["key"]),
        ("bearer key", ["key"]),
        ("BEARER key", ["key"]),
        ("bEaReR \t key  ", ["key"]),
        ("Bearer\tkey", ["key"]),
        ("Bearer a b", ["a b"]),
        ("Bearer", []),
        ("Bearer ", []),
        ("Bearerkey", []),
        ("Bearer: key", []),
        ("Basic a2V5", []),
        ("key", []),
        ("", []),
        (" Bearer key", []),
    ],
)
def test_a_bearer_key_is_read_in_any_case(credentials, value, keys):
    assert credentials.read({"authorization": value}) == keys


@pytest.mark.parametrize("name", ["api-key", "ocp-apim-subscription-key"])
def test_a_plain_key_is_the_whole_value(credentials, name):
    assert credentials.read({name: "Bearer x"}) == ["Bearer x"]
    assert credentials.read({name: ""}) == []


def test_all_headers_are_read_authorization_first(credentials):
    headers = {
        "ocp-apim-subscription-key": "c",
        "api-key": "b",
        "authorization": "Bearer a",
        "x-api-key": "no",
        "cookie": "api-key=no",
    }
    assert credentials.read(headers) == ["a", "b", "c"]


def test_a_header_that_came_twice_presents_each_value(credentials):
    headers = {"authorization": ["Bearer a", "Basic no", "bearer b"], "api-key": ["c", "", "d"]}
    assert credentials.read(headers) == ["a", "b", "c", "d"]


def test_no_more_than_eight_keys_are_looked_at(credentials):
    many = [f"k{n}" for n in range(20)]
    assert credentials.read({"api-key": many}) == many[:8]


def test_a_request_without_a_key_presents_none(credentials):
    assert credentials.read({"content-type": "application/json"}) == []


def test_credentials_are_removed_and_nothing_else(credentials):
    credentials.read(
        {
            "authorization": ["Bearer a", "Bearer b"],
            "api-key": "b",
            "ocp-apim-subscription-key": "c",
            "accept": "*/*",
            "x-consumer-username": "a",
        }
    )
    credentials.module.hide(credentials.ctx)
    assert credentials.left() == ["accept", "x-consumer-username"]


def test_the_consumers_identity_is_removed(credentials):
    credentials.read(
        {
            "x-consumer-username": "a",
            "x-credential-identifier": "b",
            "x-consumer-custom-id": "c",
            "accept": "*/*",
        }
    )
    credentials.module.hide_identity(credentials.ctx)
    assert credentials.left() == ["accept"]
