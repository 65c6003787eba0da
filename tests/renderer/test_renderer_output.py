"""Publication: readers see the old set or the new one, whatever happens to the writer."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import sys
from typing import TYPE_CHECKING, Any

import pytest

from renderer import output
from renderer.errors import PublicationError
from renderer.output import MANIFEST, Owner, digest_of, publish, read_published

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import FrameType

OLD = {"apisix.yaml": b"old\n#END\n", "config.yaml": b"old\n", "otel-collector.yaml": b"old\n"}
NEW = {"apisix.yaml": b"new\n#END\n", "config.yaml": b"new\n", "otel-collector.yaml": b"new\n"}
NEWER = {"apisix.yaml": b"newer\n#END\n", "config.yaml": b"x\n", "otel-collector.yaml": b"y\n"}


def _visible(out: Path) -> dict[str, bytes]:
    return {name: (out / name).read_bytes() for name in OLD}


def test_a_set_lies_behind_stable_links_with_private_modes(tmp_path: Path):
    out = tmp_path / "a" / "b"
    before = os.umask(0)
    try:
        published = publish(OLD, out)
    finally:
        os.umask(before)

    assert _visible(out) == OLD
    assert published.directory == out / f".set-{digest_of(OLD)[:12]}"
    assert {path.stat().st_mode & 0o777 for path in published.directory.iterdir()} == {0o600}
    assert published.directory.stat().st_mode & 0o777 == 0o700
    assert out.stat().st_mode & 0o777 == 0o700
    assert str((out / ".current").readlink()) == published.directory.name
    assert str((out / "apisix.yaml").readlink()) == ".current/apisix.yaml"


def test_a_strict_umask_does_not_cut_the_modes(tmp_path: Path):
    before = os.umask(0o777)
    try:
        published = publish(OLD, tmp_path)
    finally:
        os.umask(before)

    assert {path.stat().st_mode & 0o777 for path in published.directory.iterdir()} == {0o600}


def test_the_manifest_names_every_file_and_nothing_else(tmp_path: Path):
    publish(OLD, tmp_path)
    manifest = json.loads((tmp_path / MANIFEST).read_bytes())

    assert set(manifest) == {"format", "generator", "engine", "digest", "files"}
    assert manifest["digest"] == digest_of(OLD)
    assert {name: entry["bytes"] for name, entry in manifest["files"].items()} == {
        name: len(data) for name, data in OLD.items()
    }


def test_the_same_set_again_touches_nothing(tmp_path: Path):
    publish(OLD, tmp_path)
    before = {path: path.lstat() for path in tmp_path.rglob("*")}

    again = publish(OLD, tmp_path)

    assert not again.changed
    assert {path: path.lstat() for path in tmp_path.rglob("*")} == before


def test_a_new_set_is_newer_by_a_whole_second(tmp_path: Path):
    """APISIX compares times in whole seconds; several changes in one second must all be seen."""
    times = []
    for files in (OLD, NEW, NEWER, OLD):
        publish(files, tmp_path)
        times.append(int((tmp_path / "apisix.yaml").stat().st_mtime))

    assert times == sorted(set(times))


def test_the_previous_set_stays_for_its_readers_and_older_ones_go(tmp_path: Path):
    for files in (OLD, NEW, NEWER):
        publish(files, tmp_path)

    sets = {path.name for path in tmp_path.glob(".set-*")}
    assert sets == {f".set-{digest_of(files)[:12]}" for files in (NEW, NEWER)}


def test_a_damaged_set_in_force_gets_its_content_back(tmp_path: Path):
    publish(OLD, tmp_path)
    (tmp_path / "config.yaml").write_bytes(b"somebody was here")

    assert publish(OLD, tmp_path).changed
    assert _visible(tmp_path) == OLD


def test_a_damaged_earlier_set_is_written_again(tmp_path: Path):
    publish(OLD, tmp_path)
    publish(NEW, tmp_path)
    (tmp_path / f".set-{digest_of(OLD)[:12]}" / "config.yaml").unlink()

    publish(OLD, tmp_path)

    assert _visible(tmp_path) == OLD


def test_a_file_that_is_not_ours_is_never_replaced(tmp_path: Path):
    (tmp_path / "apisix.yaml").write_text("mine")

    with pytest.raises(PublicationError, match="is not ours"):
        publish(OLD, tmp_path)

    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", "apisix.yaml"]


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path):
    (tmp_path / "file").write_text("")

    with pytest.raises(PublicationError, match="could not write"):
        publish(OLD, tmp_path / "file" / "out")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_the_owner_of_the_workers_gets_the_files_and_the_folder(tmp_path: Path):
    publish(OLD, tmp_path / "out", Owner(65534, 65534))

    found = [tmp_path / "out", *(tmp_path / "out").glob(".set-*"), tmp_path / "out" / "apisix.yaml"]
    assert {path.stat().st_uid for path in found} == {65534}


def test_a_published_set_is_read_back_with_its_digest(tmp_path: Path):
    publish(OLD, tmp_path)

    found, files = read_published(tmp_path)

    assert (found.digest, files) == (digest_of(OLD), OLD)


@pytest.mark.parametrize("damage", ["config.yaml", MANIFEST])
def test_a_set_that_does_not_match_its_manifest_is_refused(tmp_path: Path, damage: str):
    publish(OLD, tmp_path)
    (tmp_path / damage).write_text("x")

    with pytest.raises(PublicationError, match="render it again"):
        read_published(tmp_path)


def test_a_folder_without_a_set_is_refused(tmp_path: Path):
    with pytest.raises(PublicationError, match="no rendered set"):
        read_published(tmp_path)


# -- kill -9: a child runs the publisher line by line and kills itself before the n-th line


def _publish_until_killed(files: dict[str, bytes], out: Path, line: int) -> bool:
    """Publish in a child that is killed before its n-th line; tell whether it was killed."""
    child = os.fork()
    if child == 0:
        _die_at(line)
        publish(files, out)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    killed = os.WIFSIGNALED(status)
    assert killed or os.WEXITSTATUS(status) == 0
    return killed


def _die_at(line: int) -> None:
    left = line

    def trace(frame: FrameType, event: str, _argument: Any) -> Callable[..., Any] | None:
        nonlocal left
        if frame.f_code.co_filename != output.__file__:
            return None
        if event == "line":
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    sys.settrace(trace)


def _first(out: Path) -> None:
    del out


def _replace(out: Path) -> None:
    publish(OLD, out)


def _return(out: Path) -> None:
    publish(NEW, out)
    publish(OLD, out)


def _after_a_crash(out: Path) -> None:
    publish(OLD, out)
    (out / output.NEW_SET).mkdir()
    (out / output.NEW_SET / "apisix.yaml").write_text("half")
    (out / output.NEW_LINK).symlink_to("nowhere")


@pytest.mark.parametrize("prepare", [_first, _replace, _return, _after_a_crash])
def test_a_kill_at_any_line_leaves_the_old_set_or_the_new_one_whole(
    tmp_path: Path, prepare: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
):
    # a killed process loses nothing that it wrote; waiting for the disk only takes time here
    monkeypatch.setattr(os, "fsync", lambda _handle: None)
    start, out = tmp_path / "start", tmp_path / "out"
    start.mkdir()
    prepare(start)
    line, killed, seen = 0, True, set()
    while killed:
        line += 1
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(start, out, symlinks=True)

        killed = _publish_until_killed(NEW, out, line)

        if (out / output.CURRENT).is_dir():
            _, files = read_published(out)
            assert files in (OLD, NEW)
            assert _visible(out) == files
            seen.add(files["config.yaml"])
        else:
            assert prepare is _first
            assert not (out / "apisix.yaml").exists()
        publish(NEW, out)
        assert _visible(out) == NEW
        assert not [path for path in out.iterdir() if path.name.startswith(".new-")]
    assert line > 50
    assert seen == ({b"new\n"} if prepare is _first else {b"old\n", b"new\n"})


def test_two_publishers_at_once_leave_whole_sets_to_every_reader(tmp_path: Path):
    publish(OLD, tmp_path)
    children = []
    for files in (OLD, NEW):
        child = os.fork()
        if child == 0:
            for _ in range(40):
                publish(files, tmp_path)
            os._exit(0)
        children.append(child)

    while children:
        _, files = read_published(tmp_path)
        assert files in (OLD, NEW)
        done, status = os.waitpid(children[0], os.WNOHANG)
        if done:
            assert status == 0
            children.pop(0)
    assert _visible(tmp_path) in (OLD, NEW)


def test_a_publisher_waits_for_the_lock(tmp_path: Path):
    publish(OLD, tmp_path)
    handle = os.open(tmp_path / output.LOCK, os.O_RDWR)
    fcntl.flock(handle, fcntl.LOCK_EX)
    child = os.fork()
    if child == 0:
        os.close(handle)
        publish(NEW, tmp_path)
        os._exit(0)

    assert _visible(tmp_path) == OLD
    os.close(handle)
    _, status = os.waitpid(child, 0)

    assert status == 0
    assert _visible(tmp_path) == NEW
