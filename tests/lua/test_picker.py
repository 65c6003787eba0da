from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from .host import LuaHost
from .pools import instance, plugin_conf

KEYS = 20_000


class Picks:
    """A plan over given backends, and picks from it by name."""

    def __init__(self, host: LuaHost, *instances) -> None:
        self.host = host
        self.picker = host.require("picker")
        backends = host.require("backends")
        self.pool = backends.pool(plugin_conf(host, *instances))
        self.plan = backends.plan(self.pool, None)[0]
        self.indexes = {one["name"]: number for number, one in enumerate(instances, 1)}

    def next(self, *tried: str, key: str | None = None) -> str | None:
        seen = self.host.table({self.indexes[name]: True for name in tried})
        hashed = None if key is None else self.picker.key_hash(key)
        backend = self.picker.next(self.plan, seen if tried else None, hashed)
        return backend and backend.name

    def order(self, key: str | None = None) -> list[str]:
        tried: list[str] = []
        while name := self.next(*tried, key=key):
            tried.append(name)
        return tried

    def homes(self, count: int = KEYS) -> list[str]:
        run = self.host.lua.eval(
            "function(picker, plan, n) local names = {} for i = 1, n do "
            "names[i] = picker.next(plan, nil, picker.key_hash('tenant-' .. i)).name end "
            "return table.concat(names, ' ') end"
        )
        return run(self.picker, self.plan, count).split()


def weighted(weights):
    return [instance(f"b{n}", weight=weight) for n, weight in enumerate(weights)]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.integers(0, 40))
def test_every_window_as_long_as_the_weights_holds_their_exact_shares(shared_host, weights, skip):
    picks = Picks(shared_host, *weighted(weights))
    window = sum(weights)
    names = [picks.next() for _ in range(skip + 2 * window)]
    for start in range(skip, skip + window + 1):
        shares = Counter(names[start : start + window])
        assert shares == {f"b{n}": weight for n, weight in enumerate(weights)}


def test_heavy_backends_are_not_used_in_a_row(host):
    picks = Picks(host, *weighted([5, 1, 1]))
    names = [picks.next() for _ in range(14)]
    assert "".join(name[1] for name in names) == "0010200" * 2
    assert all(not (a == b != "b0") for a, b in pairwise(names))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=2, max_size=5))
def test_while_one_is_out_the_others_share_by_weight(shared_host, weights):
    picks = Picks(shared_host, *weighted(weights))
    window = sum(weights[1:])
    shares = Counter(picks.next("b0") for _ in range(window))
    assert shares == {f"b{n}": weight for n, weight in enumerate(weights) if n}


def test_tiers_are_used_in_order_of_priority(host):
    picks = Picks(
        host,
        instance("low", priority=1),
        instance("high-a", priority=9),
        instance("negative", priority=-5),
        instance("high-b", priority=9),
    )
    assert {picks.next() for _ in range(10)} == {"high-a", "high-b"}
    assert {picks.next("high-a") for _ in range(3)} == {"high-b"}
    assert picks.next("high-a", "high-b") == "low"
    assert picks.next("high-a", "high-b", "low") == "negative"


def test_standby_comes_after_every_active_backend_whatever_its_priority(host):
    picks = Picks(
        host,
        instance("standby", priority=100, mode="standby"),
        instance("standby-low", priority=1, mode="standby"),
        instance("active", priority=1),
        instance("idle", priority=50, weight=0),
    )
    assert picks.order() == ["active", "idle", "standby", "standby-low"]


def test_weight_zero_is_used_only_when_nothing_else_is_left(host):
    picks = Picks(host, instance("a"), instance("zero", weight=0), instance("b", priority=-1))
    assert "zero" not in {picks.next() for _ in range(20)}
    assert picks.order()[2:] == ["zero"]


def test_backends_of_weight_zero_alone_share_evenly(host):
    picks = Picks(host, *weighted([0, 0]))
    assert Counter(picks.next() for _ in range(10)) == {"b0": 5, "b1": 5}


@pytest.mark.parametrize("key", [None, "team-a"])
def test_every_backend_is_tried_once_and_then_nobody_is_left(host, key):
    picks = Picks(host, *weighted([3, 1, 2]), instance("spare", priority=-1))
    order = picks.order(key)
    assert sorted(order) == ["b0", "b1", "b2", "spare"]
    assert order[-1] == "spare"


def test_nobody_is_left_when_there_is_nobody(host):
    picks = Picks(host, instance("a", mode="drain"))
    assert picks.next() is None
    assert picks.next(key="k") is None


def test_a_drained_backend_is_never_picked(host):
    picks = Picks(host, instance("a", mode="drain"), instance("b"))
    assert picks.order() == ["b"]
    assert set(picks.homes(200)) == {"b"}


@pytest.mark.parametrize("weights", [[1, 1, 1], [5, 3, 2], [1, 9], [1, 1, 1, 1, 1, 1, 1, 1]])
def test_consistent_hashing_shares_keys_by_weight(host, weights):
    shares = Counter(Picks(host, *weighted(weights)).homes())
    for number, weight in enumerate(weights):
        assert abs(shares[f"b{number}"] / KEYS - weight / sum(weights)) < 0.03


def test_a_backend_that_goes_takes_only_its_own_keys_along(host):
    before = Picks(host, *weighted([2, 1, 1, 3])).homes()
    after = Picks(host, *weighted([2, 1, 1, 3])[:2], *weighted([2, 1, 1, 3])[3:]).homes()
    for old, new in zip(before, after, strict=True):
        assert new == old if old != "b2" else new != "b2"


def test_a_backend_that_fails_has_its_keys_spread_over_all_others(host):
    picks = Picks(host, *weighted([1, 1, 1, 1]))
    second = Counter()
    for number in range(2000):
        key = f"tenant-{number}"
        first = picks.next(key=key)
        assert picks.next(key=key) == first
        if first == "b0":
            second[picks.next("b0", key=key)] += 1
    assert set(second) == {"b1", "b2", "b3"}
    assert min(second.values()) > max(second.values()) / 2


def test_the_same_key_has_the_same_backend_in_every_worker(host):
    other = LuaHost()
    instances = weighted([3, 2, 1])
    assert Picks(host, *instances).homes(500) == Picks(other, *instances).homes(500)


def test_the_order_of_the_configuration_does_not_move_keys(host):
    instances = weighted([3, 2, 1])
    assert Picks(host, *instances).homes(500) == Picks(host, *reversed(instances)).homes(500)


def test_a_change_of_weight_moves_keys_in_one_direction_only(host):
    before = Picks(host, *weighted([1, 1, 1])).homes(5000)
    after = Picks(host, *weighted([2, 1, 1])).homes(5000)
    moved = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    assert moved
    assert {new for _, new in moved} == {"b0"}


@given(st.binary(max_size=40))
@settings(max_examples=100, deadline=None)
def test_the_hash_of_a_key_is_fnv_1a(shared_host, key):
    expected = 0x811C9DC5
    for byte in key:
        expected = ((expected ^ byte) * 0x01000193) % 2**32
    assert shared_host.require("picker").key_hash(key.decode("latin-1")) % 2**32 == expected
