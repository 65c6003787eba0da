"""The small parts of `gateway`: errors, work directory, ports, log mirror, runtimes."""

from __future__ import annotations

import os
import socket

import pytest

import renderer.errors
import runtime.errors
from runtime.errors import (
    GatewayError,
    PortInUseError,
    WorkdirError,
    WorkdirLockedError,
)
from runtime.lite_config import Listener
from runtime.log_mirror import MAX_LINES, LogMirror
from runtime.ports import check_free
from runtime.workdir import Workdir


def subclasses(cls):
    return [cls, *(found for child in cls.__subclasses__() for found in subclasses(child))]


def test_every_error_of_both_packages_has_an_exit_code_of_its_own():
    classes = subclasses(GatewayError) + subclasses(renderer.errors.RendererError)
    codes = [cls.exit_code for cls in classes]

    assert len(set(codes)) == len(codes)
    assert 2 not in codes
    assert 0 not in codes


def test_the_tree_in_the_docstring_is_the_tree():
    text = runtime.errors.__doc__
    for cls in subclasses(GatewayError):
        assert f"{cls.__name__:<30} {cls.exit_code}".split() in [
            line.strip("|-` ").split()[:2] for line in text.splitlines()
        ]


def test_a_work_directory_is_private_and_taken_by_one(tmp_path):
    first = Workdir(tmp_path / "w")

    assert (tmp_path / "w").stat().st_mode & 0o777 == 0o700
    with pytest.raises(WorkdirLockedError, match=f"pid {os.getpid()}"):
        Workdir(tmp_path / "w")

    first.release()
    Workdir(tmp_path / "w").release()


def test_a_work_directory_below_a_file_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()

    with pytest.raises(WorkdirError, match="cannot be made"):
        Workdir(tmp_path / "file/w")


def test_files_are_replaced_at_once_and_private(tmp_path):
    home = Workdir(tmp_path)
    path = home.write("conf/x.json", "one")
    with path.open() as reader:
        home.write("conf/x.json", "two")

        assert reader.read() == "one"
    assert path.read_text() == "two"
    assert path.stat().st_mode & 0o777 == 0o600
    home.release()


def test_a_taken_port_is_told_with_its_variable_unless_it_is_ours():
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        listener = Listener(variable="STATUS_PORT", host="127.0.0.1", port=taken.getsockname()[1])

        with pytest.raises(PortInUseError, match=r"STATUS_PORT: 127\.0\.0\.1:\d+ is in use"):
            check_free([listener])
        check_free([listener], ours=[listener])


def test_an_address_that_is_not_of_this_machine_is_told():
    with pytest.raises(PortInUseError, match=r"METRICS_PORT: 192\.0\.2\.1:1 Cannot assign"):
        check_free([Listener(variable="METRICS_PORT", host="192.0.2.1", port=1)])


def entry(level, text):
    return f"2026/01/01 00:00:00 [{level}] 1#1: {text}\n"


def test_the_mirror_shows_new_errors_only(tmp_path):
    log = tmp_path / "error.log"
    log.write_text(entry("error", "old"))
    mirror = LogMirror(log)

    with log.open("a") as stream:
        stream.write(entry("warn", "no") + entry("error", "yes") + "stack\n" + entry("crit", "h"))
        stream.flush()
        assert [line.split()[-1] for line in mirror.lines()] == ["yes", "h"]
        half = entry("alert", "whole")
        stream.write(half[:20])
        stream.flush()
        assert mirror.lines() == []
        stream.write(half[20:])
        stream.flush()
        assert [line.split()[-1] for line in mirror.lines()] == ["whole"]


def test_the_mirror_does_not_flood(tmp_path):
    log = tmp_path / "error.log"
    mirror = LogMirror(log)
    log.write_text(entry("error", "x") * (MAX_LINES + 5))

    lines = mirror.lines()

    assert len(lines) == MAX_LINES + 1
    assert lines[-1].startswith("... and 5 more in ")


def test_the_mirror_starts_over_when_the_file_was_emptied(tmp_path):
    log = tmp_path / "error.log"
    log.write_text(entry("error", "old") * 3)
    mirror = LogMirror(log)
    log.write_text(entry("error", "new"))

    assert [line.split()[-1] for line in mirror.lines()] == ["new"]


def test_the_request_line_of_a_log_line_is_not_shown(tmp_path):
    log = tmp_path / "error.log"
    log.touch()
    mirror = LogMirror(log)

    log.write_text(
        "2026/01/01 00:00:00 [error] 1#1: *2 recv() failed, client: 1.2.3.4, "
        'request: "POST /v1/x?api-key=canary HTTP/1.1", host: "h"\n'
    )

    (line,) = mirror.lines()
    assert "canary" not in line
    assert line.endswith('client: 1.2.3.4, host: "h"')
