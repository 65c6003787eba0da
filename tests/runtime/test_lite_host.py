from __future__ import annotations

import os

import pytest

from runtime import lite_host
from runtime.errors import MissingPackageError
from runtime.lite_host import cpu_limit, inspect, nameservers

ALLOWED = len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("content", "cpus"),
    [
        ("max 100000", ALLOWED),
        ("50000 100000", 1),
        ("100000 100000", 1),
        ("110000 100000", min(2, ALLOWED)),
        ("9999900000 100000", ALLOWED),
    ],
)
def test_the_quota_of_a_cgroup_is_rounded_up(tmp_path, content, cpus):
    (tmp_path / "cpu.max").write_text(content + "\n")

    assert cpu_limit(tmp_path) == cpus


@pytest.mark.parametrize(("quota", "cpus"), [("-1", ALLOWED), ("100000", 1)])
def test_the_first_generation_of_cgroups_is_read_too(tmp_path, quota, cpus):
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu/cpu.cfs_quota_us").write_text(quota + "\n")
    (tmp_path / "cpu/cpu.cfs_period_us").write_text("100000\n")

    assert cpu_limit(tmp_path) == cpus


def test_without_a_cgroup_every_allowed_cpu_counts(tmp_path):
    assert cpu_limit(tmp_path) == ALLOWED


def test_name_servers_are_written_as_nginx_reads_them():
    text = "# x\nnameserver 10.0.0.1\nsearch a.b\nnameserver fd00::1\nnameserver fe80::1%eth0\n"

    assert nameservers(text) == ("10.0.0.1", "[fd00::1]")


def test_a_missing_package_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(lite_host, "MODULE_DIRS", (tmp_path,))
    with pytest.raises(MissingPackageError, match="apt-get install nginx libnginx-mod-http-lua"):
        inspect()

    monkeypatch.setattr("shutil.which", lambda *_args, **_kwargs: None)
    with pytest.raises(MissingPackageError, match="nginx is not installed: apt-get install nginx"):
        inspect()
