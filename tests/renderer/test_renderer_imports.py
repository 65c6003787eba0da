"""Imports point one way: values, settings, model, views, template, verification, files, command."""

import ast
from pathlib import Path

import renderer

FOLDER = Path(renderer.__file__).parent
ORDER = (
    ("errors", "redact"),
    ("values", "secrets", "env_file", "endpoints"),
    ("fields", "planned", "indexed_env"),
    ("otel_settings", "findings"),
    ("settings",),
    ("names",),
    ("model",),
    ("compile_groups", "compile_telemetry"),
    ("compile",),
    ("apisix_view", "otel_view"),
    ("templating",),
    ("verify",),
    ("pipeline", "output"),
    ("cli",),
)
LAYER = {name: number for number, names in enumerate(ORDER) for name in names}


def _imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("renderer"):
            found.add((node.module or "").removeprefix("renderer").removeprefix("."))
    return found - {""}


def test_every_module_has_its_place_in_the_order():
    assert {path.stem for path in FOLDER.glob("*.py")} - {"__init__"} == set(LAYER)


def test_a_module_imports_from_earlier_layers_only():
    backwards = [
        f"{path.stem} imports {name}"
        for path in FOLDER.glob("*.py")
        for name in _imports(path)
        if LAYER[name] >= LAYER[path.stem]
    ]

    assert backwards == []


def test_only_the_command_reads_the_process_environment():
    readers = {
        path.stem
        for path in FOLDER.glob("*.py")
        if "os.environ" in path.read_text() or "getenv" in path.read_text()
    }

    assert readers == {"cli"}
