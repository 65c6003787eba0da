"""With two hundred clients at work, nothing that operators do costs one of them an answer."""

import os
import signal

import pytest

from e2e.harness import Backend
from e2e.mock_azure_openai import Action, Match, Rule
from e2e.scenarios.crowd import STREAMS, Crowd

SLOW = Rule(match=Match(stream=True), action=Action(deltas=10, delta_delay_ms=200))


@pytest.fixture
def gw(mocks, gateway):
    first, second = mocks(2)
    for mock in (first, second):
        mock.script(SLOW)
    env = {"DRAIN_SECONDS": "30"}
    return gateway([Backend(first, weight=2), Backend(second)], env=env, fresh=True)


@pytest.mark.parametrize(
    "changes",
    [{"AZURE_OPENAI_WEIGHT_0": "1"}, {"METRICS_REFRESH_SECONDS": "2"}],
    ids=["routes", "engine settings"],
)
def test_a_change_costs_nobody_an_answer(gw, changes):
    with Crowd(gw) as crowd:
        crowd.wait_for_all_streams()
        gw.rerender(changes)
        crowd.wait_for(streams=STREAMS, others=500)

    assert crowd.failures == []


def test_the_same_settings_again_cost_nobody_an_answer(gw):
    with Crowd(gw) as crowd:
        crowd.wait_for_all_streams()
        os.kill(gw.pid, signal.SIGHUP)
        crowd.wait_for(streams=STREAMS, others=500)

    assert crowd.failures == []


def test_a_stop_lets_everybody_finish(gw):
    with Crowd(gw) as crowd:
        crowd.wait_for_all_streams()
        crowd.quiet()
        open_streams = crowd.open
        assert gw.stop() == 0

    assert open_streams > STREAMS / 2
    assert crowd.failures == []
