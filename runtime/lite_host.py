"""What `lite` needs to know of the machine: nginx, its Lua module, CPUs, DNS, certificates."""

from __future__ import annotations

import math
import os
import pwd
import re
import resource
import shutil
import socket
from dataclasses import dataclass
from pathlib import Path

from runtime.errors import MissingPackageError

PACKAGES = "nginx libnginx-mod-http-lua lua-resty-core lua-resty-lrucache lua-cjson"
MODULES = ("ndk_http_module.so", "ngx_http_lua_module.so")
MODULE_DIRS = (Path("/usr/lib/nginx/modules"), Path("/usr/share/nginx/modules"))
LUA_LIBRARIES = (
    Path("/usr/share/lua/5.1/resty/core.lua"),
    Path("/usr/share/lua/5.1/resty/lrucache.lua"),
)
CA_BUNDLES = (
    Path("/etc/ssl/certs/ca-certificates.crt"),
    Path("/etc/pki/tls/certs/ca-bundle.crt"),
    Path("/etc/ssl/cert.pem"),
)
CGROUP = Path("/sys/fs/cgroup")
RESOLV_CONF = Path("/etc/resolv.conf")
MIME_TYPES = Path("/etc/nginx/mime.types")


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    """Facts that go into nginx.conf; gathered once by `inspect`."""

    nginx: str
    modules: tuple[str, ...]
    cpus: int
    resolvers: tuple[str, ...]
    ipv6_listen: bool
    ipv6_dns: bool
    ca_bundle: str | None
    mime_types: str | None
    max_files: int
    user: str | None


def inspect() -> Machine:
    """Look at this machine.

    Raises:
        MissingPackageError: nginx, its Lua module or a Lua library is not installed.
    """
    return Machine(
        nginx=_find_nginx(),
        modules=_find_modules(),
        cpus=cpu_limit(CGROUP),
        resolvers=nameservers(_read(RESOLV_CONF)),
        ipv6_listen=_can_listen_on_ipv6(),
        ipv6_dns=not _has_ipv4_route() and _can_listen_on_ipv6(),
        ca_bundle=next((str(path) for path in CA_BUNDLES if path.is_file()), None),
        mime_types=str(MIME_TYPES) if MIME_TYPES.is_file() else None,
        max_files=resource.getrlimit(resource.RLIMIT_NOFILE)[1],
        user=pwd.getpwuid(0).pw_name if os.geteuid() == 0 else None,
    )


def cpu_limit(cgroup: Path) -> int:
    """Return the CPUs that this process may use: the container's quota, rounded up, if any."""
    allowed = len(os.sched_getaffinity(0))
    quota, period = _read(cgroup / "cpu.max").split() or ["max"], "100000"
    if len(quota) > 1:
        period = quota[1]
    limit = quota[0]
    if limit == "max":
        limit = _read(cgroup / "cpu/cpu.cfs_quota_us").strip() or "-1"
        period = _read(cgroup / "cpu/cpu.cfs_period_us").strip() or "100000"
    if int(limit) <= 0:
        return allowed
    return max(1, min(allowed, math.ceil(int(limit) / int(period))))


def nameservers(resolv_conf: str) -> tuple[str, ...]:
    """Return the name servers of a resolv.conf as nginx wants them written."""
    found = re.findall(r"^nameserver\s+(\S+)\s*$", resolv_conf, re.MULTILINE)
    usable = [address for address in found if "%" not in address]
    return tuple(f"[{address}]" if ":" in address else address for address in usable)


def _find_nginx() -> str:
    path = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if path is None:
        raise MissingPackageError(f"nginx is not installed: apt-get install {PACKAGES}")
    return path


def _find_modules() -> tuple[str, ...]:
    for directory in MODULE_DIRS:
        paths = [directory / name for name in MODULES]
        if all(path.is_file() for path in paths):
            break
    else:
        raise MissingPackageError(
            f"nginx has no Lua module ({MODULES[1]}): apt-get install {PACKAGES}"
        )
    for library in LUA_LIBRARIES:
        if not library.is_file():
            raise MissingPackageError(f"{library} is missing: apt-get install {PACKAGES}")
    return tuple(str(path) for path in paths)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def _can_listen_on_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def _has_ipv4_route() -> bool:
    lines = _read(Path("/proc/net/route")).splitlines()[1:]
    return not lines or any(line.split()[1] == "00000000" for line in lines if line.split())
