"""Which backend gets a request: weights, priorities, modes."""

from __future__ import annotations

from collections import Counter

import pytest

from e2e.harness import Backend
from e2e.harness.calls import assert_own_error, chat, legacy
from e2e.mock_azure_openai.script import Action, Match, Rule

SERVED = {
    # by name: priority, weight, mode and the deployments that it serves
    "five": (5, 5, None, ("weighted",)),
    "one-a": (5, 1, None, ("weighted",)),
    "one-b": (5, 1, None, ("weighted",)),
    "even-a": (5, None, None, ("even",)),
    "even-b": (5, None, None, ("even",)),
    "even-c": (5, None, None, ("even",)),
    "three": (5, 3, None, ("uneven", "recovering")),
    "two": (5, 2, None, ("uneven", "recovering")),
    "high-a": (10, 1, None, ("groups",)),
    "high-b": (10, 1, None, ("groups",)),
    "low": (-1, 100, None, ("groups",)),
    "zero": (10, 0, None, ("zeroed",)),
    "one": (1, 1, None, ("zeroed",)),
    "nil-a": (5, 0, None, ("nil",)),
    "nil-b": (5, 0, None, ("nil",)),
    "active": (1, 1, None, ("reserve",)),
    "standby": (100, 100, "standby", ("reserve",)),
    "leaving": (100, 1, "drain", ("leaving",)),
    "staying": (1, 1, None, ("leaving",)),
}


class Rota:
    """A gateway whose backends are all the same mock; the key that it gets says which one."""

    def __init__(self, gateway, mock):
        self._gateway = gateway
        self._mock = mock

    def ask(self, deployment):
        return self._gateway.request("POST", legacy(deployment), body=chat())

    def served_by(self, deployment, count):
        found = [self.ask(deployment) for _ in range(count)]
        assert {response.status for response in found} == {200}
        return [response.header("x-gateway-backend")[0] for response in found]

    def fail(self, *names, times=None):
        self._mock.script(
            [
                Rule(
                    match=Match(headers={"api-key": f"key-{name}"}),
                    action=Action(error="429"),
                    times=times,
                )
                for name in names
            ]
        )


@pytest.fixture
def rota(mocks, gateway):
    (mock,) = mocks(1, api_keys=[])
    backends = [
        Backend(
            mock,
            name=name,
            key=f"key-{name}",
            priority=priority,
            weight=weight,
            mode=mode,
            deployments=deployments,
        )
        for name, (priority, weight, mode, deployments) in SERVED.items()
    ]
    return Rota(gateway(backends, env={"GATEWAY_WORKERS": "1"}), mock)


def windows(sequence, size):
    return [Counter(sequence[i : i + size]) for i in range(len(sequence) - size + 1)]


@pytest.mark.parametrize(
    ("deployment", "shares"),
    [
        ("weighted", {"five": 5, "one-a": 1, "one-b": 1}),
        ("even", {"even-a": 1, "even-b": 1, "even-c": 1}),
        ("uneven", {"three": 3, "two": 2}),
        ("groups", {"high-a": 1, "high-b": 1}),
        ("nil", {"nil-a": 1, "nil-b": 1}),
    ],
)
def test_every_window_of_the_sum_of_weights_holds_exactly_the_weights(rota, deployment, shares):
    size = sum(shares.values())

    served = rota.served_by(deployment, 6 * size)

    assert windows(served, size) == [Counter(shares)] * (5 * size + 1)


def test_a_heavy_backend_does_not_get_its_share_in_one_go(rota):
    served = "".join("x" if name == "five" else "-" for name in rota.served_by("weighted", 28))

    assert "xxxxx" not in served


def test_the_rotation_finds_its_rhythm_again_after_a_failure(rota):
    rota.served_by("recovering", 3)
    rota.fail("three", times=2)
    rota.served_by("recovering", 5)

    served = rota.served_by("recovering", 25)

    assert all(2 <= window["three"] <= 4 for window in windows(served, 5))
    assert abs(Counter(served)["three"] - 15) <= 1


def test_a_lower_group_serves_only_when_the_whole_higher_one_fails(rota):
    assert "low" not in rota.served_by("groups", 10)

    rota.fail("high-a")
    assert set(rota.served_by("groups", 4)) == {"high-b"}

    rota.fail("high-a", "high-b")
    answers = [rota.ask("groups") for _ in range(3)]
    assert [a.header("x-gateway-backend") for a in answers] == [["low"]] * 3
    assert [a.header("x-gateway-attempts") for a in answers] == [["3"]] * 3


def test_weight_0_gets_nothing_while_another_backend_is_there(rota):
    assert set(rota.served_by("zeroed", 10)) == {"one"}

    rota.fail("one")
    assert set(rota.served_by("zeroed", 3)) == {"zero"}


def test_a_standby_serves_only_when_no_active_backend_can(rota):
    assert set(rota.served_by("reserve", 10)) == {"active"}

    rota.fail("active")
    assert set(rota.served_by("reserve", 3)) == {"standby"}


def test_a_draining_backend_gets_nothing_even_when_the_others_fail(rota):
    assert set(rota.served_by("leaving", 5)) == {"staying"}

    rota.fail("staying")
    response = rota.ask("leaving")

    assert response.status == 429
    assert response.header("x-gateway-attempts") == ["1"]


def test_a_deployment_is_served_only_by_the_backends_that_list_it(rota):
    assert set(rota.served_by("uneven", 5)) == {"three", "two"}
    assert_own_error(rota.ask("unlisted"), 404, "DeploymentNotFound")


def test_a_name_counts_in_its_own_letter_case(rota):
    assert_own_error(rota.ask("Weighted"), 404, "DeploymentNotFound")


def test_a_name_that_is_escaped_in_the_path_is_the_same_name(rota):
    assert rota.ask("%75neven").status == 200
