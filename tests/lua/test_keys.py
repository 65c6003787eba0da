import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from .host import AUTH, LuaHost, publish_libcrypto


@pytest.fixture(scope="module")
def keys(shared_host):
    publish_libcrypto()
    return shared_host.require(AUTH + "keys")


def digest(key: str) -> str:
    return hashlib.sha256(key.encode("latin-1")).hexdigest()


def consumers(host: LuaHost, **keys_by_name):
    nodes = [
        {"username": name, "auth_conf": {"key_sha256": [digest(key) for key in keys]}}
        for name, keys in keys_by_name.items()
    ]
    return host.table({"nodes": nodes})


def owner(keys, host, known, *presented):
    consumer = keys.find(known, host.table(list(presented)))
    return consumer and consumer.username


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_the_digest_is_sha256(keys, data):
    assert keys.sha256(data.decode("latin-1")) == hashlib.sha256(data).hexdigest()


def test_a_key_finds_its_consumer(keys, shared_host):
    known = consumers(shared_host, a=["key-a"], b=["key-b1", "key-b2"])
    assert owner(keys, shared_host, known, "key-a") == "a"
    assert owner(keys, shared_host, known, "key-b1") == "b"
    assert owner(keys, shared_host, known, "key-b2") == "b", "both keys of a rotation are valid"


@pytest.mark.parametrize(
    "key", ["", "key", "key-a ", "KEY-A", "key-a\0", digest("key-a"), "literal:key-a"]
)
def test_nearly_the_key_is_not_the_key(keys, shared_host, key):
    assert owner(keys, shared_host, consumers(shared_host, a=["key-a"]), key) is None


def test_of_several_keys_the_first_valid_one_decides(keys, shared_host):
    known = consumers(shared_host, a=["key-a"], b=["key-b"])
    assert owner(keys, shared_host, known, "wrong", "key-b", "key-a") == "b"
    assert owner(keys, shared_host, known) is None


def test_an_overlong_key_is_not_looked_at(keys, shared_host):
    longest, too_long = "k" * 4096, "k" * 4097
    known = consumers(shared_host, a=[longest], b=[too_long])
    assert owner(keys, shared_host, known, longest) == "a"
    assert owner(keys, shared_host, known, too_long) is None
    assert owner(keys, shared_host, known, too_long, longest) == "a"


def test_a_new_set_of_consumers_takes_effect_at_once(keys, shared_host):
    old, new = consumers(shared_host, a=["old"]), consumers(shared_host, a=["new"])
    assert owner(keys, shared_host, old, "old") == "a"
    assert owner(keys, shared_host, new, "old") is None
    assert owner(keys, shared_host, new, "new") == "a"
    assert owner(keys, shared_host, old, "old") == "a"
