"""What the entrypoint refuses and how it ends; no APISIX is needed for it."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess

import pytest

from containerapp.local import ENTRYPOINT, REPOSITORY
from renderer.output import ENGINE

STARTED = ("/bin/echo", "engine started")


def refused(box):
    """Start it and return its one line; the engine must not have been started."""
    code, lines = box.run(*STARTED)
    assert code == 1
    assert "engine started" not in box.log.read_text()
    assert not (box.conf / "apisix.yaml").exists()
    assert not (box.conf / ".staging").exists()
    (line,) = lines
    assert len(box.log.read_text().splitlines()) == 1
    return line


def test_a_good_set_is_published_before_the_engine_starts(container):
    box = container()
    link = box.render()
    code, lines = box.run(*STARTED)
    assert code == 0
    assert lines == [f"verified {link}"]
    assert "engine started" in box.log.read_text()
    for name in ("apisix.yaml", "config.yaml"):
        copy = box.conf / name
        assert copy.read_bytes() == (box.shared / name).read_bytes()
        assert copy.stat().st_mode & 0o777 == 0o600
    assert not (box.conf / "otel-collector.yaml").exists()
    assert not (box.conf / ".staging").exists()


def test_without_a_rendered_set_the_start_fails(container):
    assert "no rendered set" in refused(container())


def test_without_the_volume_the_start_fails(container):
    box = container()
    box.shared.rmdir()
    assert "is the volume there?" in refused(box)


@pytest.mark.parametrize("name", ["apisix.yaml", "config.yaml", "otel-collector.yaml"])
def test_a_missing_file_fails_the_start(container, name):
    box = container()
    (box.shared / box.render() / name).unlink()
    assert f"{name} is missing" in refused(box)


def test_a_missing_manifest_fails_the_start(container):
    box = container()
    (box.shared / box.render() / "manifest.json").unlink()
    assert "manifest.json is missing" in refused(box)


@pytest.mark.parametrize("name", ["apisix.yaml", "config.yaml", "otel-collector.yaml"])
def test_a_changed_byte_fails_the_start(container, name):
    box = container()
    path = box.shared / box.render() / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert f"{name} was changed after rendering" in refused(box)


def edited(box, change):
    path = box.shared / box.render() / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest, indent=2) + "\n")
    return box


@pytest.mark.parametrize("number", [0, 2])
def test_another_format_fails_the_start(container, number):
    box = edited(container(), lambda manifest: manifest.update(format=number))
    assert f"has format {number}, this image reads format 1" in refused(box)


def test_a_set_for_another_engine_fails_the_start(container):
    box = edited(container(), lambda manifest: manifest.update(engine="apisix 3.14.1"))
    line = refused(box)
    assert 'was rendered for "apisix 3.14.1"' in line
    assert ENGINE in line


def test_a_changed_digest_fails_the_start(container):
    box = edited(container(), lambda manifest: manifest.update(digest="0" * 64))
    assert "manifest.json is damaged" in refused(box)


def test_a_manifest_without_the_routes_fails_the_start(container):
    box = edited(container(), lambda manifest: manifest["files"].pop("apisix.yaml"))
    assert "does not list apisix.yaml" in refused(box)


def test_a_manifest_that_names_a_path_fails_the_start(container):
    def escape(manifest):
        manifest["files"]["../apisix.yaml"] = manifest["files"].pop("apisix.yaml")

    assert "does not list apisix.yaml" in refused(edited(container(), escape))


def test_a_manifest_that_is_no_json_fails_the_start(container):
    box = container()
    (box.shared / box.render() / "manifest.json").write_text("{}\n")
    assert "has format none" in refused(box)


def test_a_changed_file_whose_manifest_was_changed_too_fails_the_start(container):
    box = container()
    folder = box.shared / box.render()
    (folder / "config.yaml").write_text("plugins: []\n")
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["config.yaml"]["sha256"] = sha256(folder / "config.yaml")
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")
    assert "manifest.json is damaged" in refused(box)


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_set_that_was_renamed_fails_the_start(container):
    box = container()
    folder = box.shared / box.render()
    folder.rename(box.shared / ".set-0123456789ab")
    (box.shared / ".current").unlink()
    (box.shared / ".current").symlink_to(".set-0123456789ab")
    assert "manifest.json is damaged" in refused(box)


def test_a_link_out_of_the_volume_fails_the_start(container):
    box = container()
    box.render()
    (box.shared / ".current").unlink()
    (box.shared / ".current").symlink_to("../elsewhere")
    assert "which is no set" in refused(box)


@pytest.mark.parametrize("name", ["apisix.yaml", "manifest.json"])
def test_an_unreadable_file_fails_the_start(container, name):
    box = container()
    (box.shared / box.render() / name).chmod(0)
    line = refused(box)
    assert f"cannot read {box.shared}" in line
    assert "the renderer has to run as the same user" in line


def test_an_unreadable_folder_fails_the_start(container):
    box = container()
    (box.shared / box.render()).chmod(0)
    assert "cannot enter" in refused(box)


def test_no_refusal_shows_a_secret(container, mock, settings):
    box = container()
    path = box.shared / box.render() / "apisix.yaml"
    path.write_bytes(path.read_bytes() + b"\n")
    refused(box)
    text = box.log.read_text()
    assert mock.key not in text
    assert settings["GATEWAY_CLIENT_KEY_0"] not in text


def test_a_start_without_a_command_is_a_usage_error():
    ended = subprocess.run(
        [REPOSITORY / "containerapp" / ENTRYPOINT], check=False, capture_output=True, text=True
    )
    assert ended.returncode == 2
    assert "usage:" in ended.stderr


def test_what_the_engine_writes_is_its_users_own(container):
    box = container()
    box.render()
    box.run("/bin/sh", "-c", "umask")
    assert "0077" in box.log.read_text().splitlines()


def test_the_pid_of_an_earlier_run_is_gone_before_the_engine_starts(container):
    box = container()
    box.render()
    pid_file = box.prefix / "logs/nginx.pid"
    pid_file.write_text("1\n")
    assert box.run("/bin/sh", "-c", f"! test -e {pid_file}")[0] == 0


def test_the_exit_code_of_the_engine_is_the_containers(container):
    box = container()
    box.render()
    code, lines = box.run("/bin/sh", "-c", "exit 7")
    assert code == 7
    assert lines[-1] == "APISIX ended with exit code 7"


def test_an_engine_that_is_killed_ends_the_container(container):
    box = container()
    box.render()
    assert box.run("/bin/sh", "-c", "kill -KILL $$")[0] == 128 + signal.SIGKILL


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_a_stop_before_apisix_serves_ends_at_once(container, number):
    box = container(STOP_DELAY_SECONDS="600")
    box.render()
    box.start("/bin/sh", "-c", "echo up; exec sleep 600")
    box.wait_until(lambda: "up\n" in box.log.read_text(), "the engine")
    os.kill(box.pid, number)
    assert box.wait() == 0


def test_the_entrypoint_knows_the_engine_that_the_renderer_renders_for():
    text = (REPOSITORY / "containerapp" / ENTRYPOINT).read_text()
    assert f"wanted_engine='\"{ENGINE}\"'" in text
