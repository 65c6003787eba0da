"""Which runtimes this machine has."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

NAMES = ("lite", "apisix", "docker")


def missing(runtime: str) -> str | None:
    """Return why a runtime cannot be used here, in one line; None when it can."""
    if runtime == "docker":
        return _missing_docker()
    if runtime == "apisix":
        home = os.environ.get("APISIX_HOME")
        if home and Path(home).is_dir():
            return None
        found = shutil.which("apisix")
        return None if found else "runtime apisix: neither APISIX_HOME nor `apisix` on PATH"
    found = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")
    return None if found else "runtime lite: no nginx on PATH; run `make install`"


def _missing_docker() -> str | None:
    if shutil.which("docker") is None:
        return "runtime docker: no `docker` on PATH"
    asked = subprocess.run(["docker", "version"], capture_output=True, check=False, timeout=30)
    return None if asked.returncode == 0 else "runtime docker: the engine does not answer"
