"""What is under way is under way, and nothing else."""

import contextlib

import psutil

from e2e.harness import Backend, RawConnection
from e2e.mock_azure_openai import Action
from e2e.scenarios.calls import CHAT, chat, post

GAUGE = "gateway_requests_in_flight"


def test_a_killed_worker_takes_its_share_of_the_gauge_along(mocks, gateway):
    (mock,) = mocks()
    mock.script(Action(hold_after_events=3))
    gw = gateway([Backend(mock)], fresh=True)

    with contextlib.ExitStack() as stack:
        for _ in range(6):
            connection = stack.enter_context(RawConnection(gw.url))
            post(connection, gw, CHAT, chat(stream=True))
        mock.wait_held(6)
        gw.wait_for_metric(lambda m: m.value(GAUGE, backend=mock.name) == 6)

        for pid in gw.worker_pids():
            psutil.Process(pid).kill()

        gw.wait_for_metric(lambda m: m.value(GAUGE, backend=mock.name) == 0)
