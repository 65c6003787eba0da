"""Rendered sets and machines for tests that start nothing."""

from __future__ import annotations

from pathlib import Path

import yaml

from runtime.lite_host import Machine
from runtime.rendered import RenderedSet


def machine(**changes):
    facts = {
        "nginx": "/usr/sbin/nginx",
        "modules": ("/m/ndk.so", "/m/lua.so"),
        "cpus": 3,
        "resolvers": ("10.0.0.1", "[fd00::1]"),
        "ipv6_listen": False,
        "ipv6_dns": False,
        "ca_bundle": "/etc/ca.pem",
        "mime_types": None,
        "max_files": 1024,
        "user": "root",
    }
    return Machine(**{**facts, **changes})


def rendered(apisix=None, config=None, end="#END\n"):
    apisix = {"routes": [{"uri": "/*"}]} if apisix is None else apisix
    base = {"apisix": {"status": {"ip": "127.0.0.1", "port": 7085}}}
    for key, value in (config or {}).items():
        base[key] = {**base.get(key, {}), **value} if isinstance(value, dict) else value
    return RenderedSet(
        directory=Path("/nowhere"),
        digest="d" * 64,
        apisix_yaml=yaml.safe_dump(apisix) + end,
        config_yaml=yaml.safe_dump(base),
    )
