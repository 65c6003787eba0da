"""The gateway's container for real: the entrypoint, the rendered set and a local APISIX."""

from __future__ import annotations

import json
import os

import psutil
import pytest

from containerapp.coldstart import measure
from containerapp.local import UID
from e2e.harness import Client, RawConnection, exchange
from e2e.harness.calls import chat, legacy
from e2e.mock_azure_openai import Action, Match, Rule

HELD = Rule(match=Match(stream=True), action=Action(hold_after_events=4))
HEADERS = [("api-key", Client().secret), ("content-type", "application/json")]
TARGET = legacy("gpt-4o")


def ask(box):
    return exchange(box.url, "POST", TARGET, HEADERS, json.dumps(chat()).encode())


def served_by(box):
    answer = ask(box)
    assert answer.status == 200
    return answer.header("x-gateway-backend")


def started(box):
    box.render()
    return box.start().wait_ready()


def open_stream(box, mock):
    mock.script(HELD)
    stream = RawConnection(box.url)
    stream.request("POST", TARGET, HEADERS, json.dumps(chat(stream=True)).encode())
    assert stream.read_head().status == 200
    mock.wait_held()
    return stream


def finish(stream, mock):
    """Let the stream go on and return whether it came whole."""
    mock.release()
    with stream:
        answer = stream.read_response()
    return answer.complete and b"data: [DONE]" in answer.body


def test_the_first_request_after_readiness_is_served(apisix_container, mock):
    box = started(apisix_container())
    assert served_by(box) == [mock.name]
    assert box.health()


def test_every_process_of_the_container_runs_as_one_user_that_is_not_root(apisix_container):
    box = started(apisix_container())
    first = psutil.Process(box.pid)
    users = {item.uids().real for item in (first, *first.children(recursive=True))}
    assert users == {UID if os.getuid() == 0 else os.getuid()}


def test_the_health_check_fails_while_nothing_is_served(apisix_container):
    box = apisix_container()
    assert not box.health()


def test_a_new_set_is_taken_over_while_a_stream_is_open(apisix_container, mock):
    box = started(apisix_container())
    stream = open_stream(box, mock)
    link = box.render(AZURE_OPENAI_NAME_0="renamed")
    box.wait_until(lambda: served_by(box) == ["renamed"], "the new set")
    assert box.lines()[-1] == f"took over {link}"
    assert finish(stream, mock)


def test_two_new_sets_within_a_second_are_both_taken_over(apisix_container):
    box = started(apisix_container())
    for name in ("second", "third"):
        link = box.render(AZURE_OPENAI_NAME_0=name)
        box.wait_until(lambda link=link: box.lines()[-1] == f"took over {link}", "taken over")
    box.wait_until(lambda: served_by(box) == ["third"], "the newest set")


def publish_damaged(box, damage):
    """Put a new set in force that was damaged before anybody could see it; return its link."""
    later = box.root / "later"
    link = box.render(later, AZURE_OPENAI_NAME_0="renamed")
    damage(later / link)
    (later / link).rename(box.shared / link)
    (later / ".current").replace(box.shared / ".current")
    return link


def identity(path):
    found = path.stat()
    return found.st_ino, found.st_mtime_ns


def change_a_byte(folder):
    path = folder / "apisix.yaml"
    path.write_bytes(path.read_bytes().replace(b"renamed", b"remaned"))


def old_format(folder):
    path = folder / "manifest.json"
    path.write_text(path.read_text().replace('"format": 1', '"format": 0'))


def unreadable(folder):
    (folder / "config.yaml").chmod(0)


def missing(folder):
    (folder / "apisix.yaml").unlink()


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (change_a_byte, "was changed after rendering"),
        (old_format, "has format 0"),
        (unreadable, "cannot read"),
        (missing, "is missing"),
    ],
)
def test_a_damaged_new_set_is_refused_and_the_old_one_serves_on(
    apisix_container, mock, damage, problem
):
    box = started(apisix_container())
    before = identity(box.conf / "apisix.yaml")
    link = publish_damaged(box, damage)
    box.wait_until(lambda: len(box.lines()) == 2, "the refusal")
    assert box.lines()[-1].startswith("kept the old set: ")
    assert problem in box.lines()[-1]
    assert served_by(box) == [mock.name]
    assert identity(box.conf / "apisix.yaml") == before
    for path in (box.shared / link).iterdir():
        path.chmod(0o600)
    assert box.render(AZURE_OPENAI_NAME_0="renamed") == link
    box.wait_until(lambda: served_by(box) == ["renamed"], "the set that was repaired")
    assert box.lines()[2:] == [f"took over {link}"]


def test_a_set_that_changes_the_engine_is_refused_and_the_old_one_serves_on(apisix_container, mock):
    box = started(apisix_container())
    link = box.render(DRAIN_SECONDS="7", AZURE_OPENAI_NAME_0="renamed")
    box.wait_until(lambda: len(box.lines()) == 2, "the refusal")
    assert box.lines()[-1].startswith(f"kept the old set: config.yaml of {link} differs")
    assert served_by(box) == [mock.name]


def test_sigterm_lets_an_open_stream_end_whole(apisix_container, mock):
    box = started(apisix_container())
    stream = open_stream(box, mock)
    box.terminate()
    box.wait_until(lambda: ask_or_none(box) is None, "new connections refused")
    assert finish(stream, mock)
    assert box.wait() == 0
    assert box.lines()[-1] == "draining"


def ask_or_none(box):
    try:
        return ask(box)
    except OSError:
        return None


def test_new_requests_are_served_between_sigterm_and_the_drain(apisix_container):
    box = started(apisix_container(STOP_DELAY_SECONDS="2"))
    box.terminate()
    served = 0
    while True:
        answer = ask_or_none(box)
        if box.lines()[-1] == "draining":
            break
        assert answer is not None
        assert answer.status == 200
        served += 1
    assert served > 1
    assert box.wait() == 0


def test_a_second_sigterm_does_not_shorten_the_drain(apisix_container, mock):
    box = started(apisix_container())
    stream = open_stream(box, mock)
    box.terminate()
    box.wait_until(lambda: ask_or_none(box) is None, "new connections refused")
    box.terminate()
    assert finish(stream, mock)
    assert box.wait() == 0


def test_a_stream_that_does_not_end_is_cut_when_the_drain_is_over(apisix_container, mock):
    box = apisix_container()
    box.settings["DRAIN_SECONDS"] = "1"
    started(box)
    with open_stream(box, mock) as stream:
        box.terminate()
        assert box.wait() == 0
        assert not stream.read_response().complete


def test_a_container_that_is_started_again_serves(apisix_container, mock):
    box = started(apisix_container())
    box.terminate()
    assert box.wait() == 0
    box.start().wait_ready()
    assert served_by(box) == [mock.name]


def test_the_parts_of_a_cold_start_add_up(apisix_container, mock, settings):
    del apisix_container, settings
    found = measure(mock)
    parts = found.render + found.verify + found.configure + found.engine + found.first_request
    assert abs(parts - found.total) < 0.001
    assert found.total < 30
