import json

import pytest

from .host import LuaHost, back, fixture_bytes, raw
from .pools import instance, plugin_conf


class Models:
    """Merges lists of several backends."""

    def __init__(self, host: LuaHost) -> None:
        self.host = host
        host.lua.execute("ngx = {now = function() return 0 end}")
        for name in ("transport", "headers"):
            host.preload("apisix.plugins.dynamic-azure-openai." + name, {})
        self.module = host.require("models")
        self.union = host.table({})

    def merge(self, body: bytes, **fields) -> bool:
        conf = plugin_conf(self.host, instance("a", **fields))
        backend = self.host.require("backends").pool(conf).backends[1]
        merged: bool = self.module.merge(self.union, backend, raw(body))
        return merged

    def render(self) -> bytes:
        return back(self.module.render(self.union))

    def ids(self) -> list[str]:
        return [entry["id"] for entry in json.loads(self.render())["data"]]


@pytest.fixture
def models(host) -> Models:
    return Models(host)


LISTED = fixture_bytes("models.json")


def test_entries_keep_their_bytes(models):
    assert models.merge(LISTED)
    rendered = models.render()
    for entry in (b'"created":17000000000000001', b'"x":[],"y":{}'):
        assert entry in rendered
    assert json.loads(rendered) == {
        "object": "list",
        "data": sorted(json.loads(LISTED)["data"], key=lambda entry: entry["id"]),
    }


def test_the_union_has_every_id_once_and_sorted(models):
    models.merge(b'{"data":[{"id":"b","from":1},{"id":"a"}]}')
    models.merge(b'{"data":[{"id":"c"},{"id":"b","from":2}]}')
    assert models.ids() == ["a", "b", "c"]
    assert b'"from":1' in models.render()


def test_a_list_of_deployments_filters(models):
    models.merge(LISTED, deployments=["gpt-4o", "absent"])
    assert models.ids() == ["gpt-4o"]


def test_a_mapped_deployment_appears_under_the_clients_name(models):
    models.merge(
        LISTED,
        deployments=["chat", 'qu"ote'],
        deployment_map={"chat": "my-gpt4o", 'qu"ote': "my-gpt4o"},
    )
    assert models.ids() == ["chat", 'qu"ote']


def test_an_empty_union_is_an_empty_list(models):
    assert models.merge(b'{"data":[]}')
    assert models.render() == b'{"object":"list","data":[]}'


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b'{"data":null}', b'{"data":{}}', b'{"data":[{"id":"a"}', b'{"error":{}}'],
)
def test_what_is_no_list_is_told(models, body):
    assert models.merge(body) is False
    assert models.ids() == []


def test_entries_without_a_usable_id_are_left_out(models):
    assert models.merge(
        b'{"data":[5,null,"x",[],{},{"id":null},{"id":7},{"id":{}},{"id":true},{"id":"ok"}]}'
    )
    assert models.ids() == ["ok"]
