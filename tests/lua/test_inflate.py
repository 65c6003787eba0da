import gzip
import random
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from .host import back, raw

LIMIT = 1 << 20


@pytest.fixture(scope="module")
def gunzip(shared_host):
    inflate = shared_host.require("inflate")

    def call(data: bytes, limit: int = LIMIT):
        text, err = inflate.gunzip(raw(data), limit)
        return (None, err) if err else back(text)

    return call


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300), st.integers(0, 3000), st.integers(0, 9))
def test_what_was_packed_comes_out(gunzip, text, times, level):
    whole = text * times
    assert gunzip(gzip.compress(whole, level)) == whole
    assert gunzip(zlib.compress(whole, level)) == whole


@pytest.mark.parametrize("size", [65535, 65536, 65537, 131072, 131073, LIMIT])
def test_sizes_around_the_pieces_in_which_it_is_unpacked(gunzip, size):
    noise = random.Random(size).randbytes(size)
    assert gunzip(gzip.compress(noise)) == noise
    assert gunzip(gzip.compress(b"a" * size)) == b"a" * size


@pytest.mark.parametrize("packed", [b"", b"hello", b"\0" * 100, b"{}", b"\x1f\x8c" * 9])
def test_what_is_not_packed_is_an_error(gunzip, packed):
    assert gunzip(packed) == (None, "could not inflate")


def test_every_cut_of_a_packed_text_is_an_error_and_no_text(gunzip):
    packed = gzip.compress(random.Random(1).randbytes(200))
    for cut in range(len(packed)):
        text, err = gunzip(packed[:cut])
        assert (text, bool(err)) == (None, True)


def test_a_damaged_text_is_an_error(gunzip):
    packed = bytearray(gzip.compress(b"hello " * 1000))
    packed[-5] ^= 1  # in the checksum
    assert gunzip(bytes(packed)) == (None, "could not inflate")


def test_the_limit_is_the_size_of_the_result(gunzip):
    packed = gzip.compress(b"a" * 100_000)
    assert gunzip(packed, 100_000) == b"a" * 100_000
    assert gunzip(packed, 99_999) == (None, "larger than the limit")


def test_a_bomb_is_given_up_at_the_limit(gunzip):
    bomb = gzip.compress(b"\0" * (64 << 20))
    assert len(bomb) < 100_000
    assert gunzip(bomb) == (None, "larger than the limit")


def test_what_follows_the_packed_text_is_not_looked_at(gunzip):
    assert gunzip(gzip.compress(b"hello") + b"garbage") == b"hello"
