"""A real collector accepts every document that the renderer makes.

Only the collector knows its components' own keys: our own checks cannot see a misspelt one.
`validate` opens no port and sends nothing.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from renderer_support import compiled

from renderer.pipeline import render

if TYPE_CHECKING:
    from pathlib import Path

NEEDED = {
    "receivers": ("otlp", "prometheus", "filelog"),
    "processors": ("memory_limiter", "resource", "batch"),
    "exporters": ("azuremonitor", "prometheusremotewrite", "debug", "nop"),
    "extensions": ("health_check", "azureauth"),
}
INSIGHTS = {
    "APPLICATIONINSIGHTS_CONNECTION_STRING": "InstrumentationKey=x;IngestionEndpoint=https://x.example/"
}
WORKSPACE = {"AZURE_MONITOR_WORKSPACE_ENDPOINT": "https://amw.example/x"}
IDENTITY = {"AZURE_CLIENT_ID": "00000000-0000-0000-0000-000000000001"}
DEBUG = {"ENABLE_DEBUG_EXPORTER": "true"}
FILE_LOG = {"GATEWAY_LOG_MODE": "dev", "APISIX_LOGS_PATH": "/l/x.json"}
VARIANTS = {
    "nothing configured": {},
    "debug exporter": DEBUG,
    "application insights": INSIGHTS,
    "workspace": WORKSPACE,
    "workspace and identity": {**WORKSPACE, **IDENTITY},
    "everything": {**INSIGHTS, **WORKSPACE, **IDENTITY, **DEBUG},
    "dev": FILE_LOG,
    "dev without debug exporter": {**FILE_LOG, "ENABLE_DEBUG_EXPORTER": "false"},
    "dev with everything": {**FILE_LOG, **INSIGHTS, **WORKSPACE, **IDENTITY},
    "test and application insights": {**FILE_LOG, **INSIGHTS, "GATEWAY_LOG_MODE": "test"},
    "collector on localhost": {"OTEL_COLLECTOR_ENDPOINT": "localhost:4318", **DEBUG},
    "collector on another port": {"OTEL_COLLECTOR_ENDPOINT": "127.0.0.1:5000", **DEBUG},
    "collector on IPv6 loopback": {"OTEL_COLLECTOR_ENDPOINT": "[::1]:4318", **DEBUG},
    "collector on another host": {"OTEL_COLLECTOR_ENDPOINT": "collector:14318", **DEBUG},
    "log level debug": {"OTEL_LOG_LEVEL": "debug", **DEBUG},
    "log level warn": {"OTEL_LOG_LEVEL": "warn", **DEBUG},
    "texts with dollars": {"OTEL_SERVICE_NAME": "a${env:HOME}$$b $x", "ENVIRONMENT": "$$", **DEBUG},
    "texts like YAML": {"SERVICE_VERSION": "1.0", "ENVIRONMENT": "true", **DEBUG},
}


@cache
def collector() -> str:
    path = os.environ.get("OTELCOL") or shutil.which("otelcol")
    if not path:
        parts = "; ".join(f"{kind} {', '.join(names)}" for kind, names in NEEDED.items())
        pytest.skip(f"OTELCOL = path of a collector 0.138.0 with these components: {parts}")
    return path


@cache
def built_in(path: str) -> dict[str, set[str]]:
    told = subprocess.run([path, "components"], capture_output=True, text=True, check=True)
    listed = yaml.safe_load(told.stdout)
    return {kind: {part["name"] for part in listed.get(kind) or ()} for kind in NEEDED}


def used(document: dict[str, Any]) -> dict[str, set[str]]:
    return {kind: {name.partition("/")[0] for name in document[kind]} for kind in NEEDED}


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_collector_accepts_the_document(variant: str, tmp_path: Path):
    path = collector()
    text = render(compiled(**VARIANTS[variant]).model)["otel-collector.yaml"]
    wanted, there = used(yaml.safe_load(text)), built_in(path)
    missing = sorted(f"{kind} {name}" for kind in NEEDED for name in wanted[kind] - there[kind])
    if missing:
        pytest.skip(f"the collector of OTELCOL lacks {', '.join(missing)}")
    config = tmp_path / "otel-collector.yaml"
    config.write_bytes(text)

    done = subprocess.run(
        [path, "validate", "--config", str(config)], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr


def test_the_list_of_components_is_what_the_variants_use():
    found: dict[str, set[str]] = {kind: set() for kind in NEEDED}
    for env in VARIANTS.values():
        document = yaml.safe_load(render(compiled(**env).model)["otel-collector.yaml"])
        for kind, names in used(document).items():
            found[kind] |= names

    assert found == {kind: set(names) for kind, names in NEEDED.items()}
