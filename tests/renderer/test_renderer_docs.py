from pathlib import Path

from renderer.names import BACKENDS, CLIENTS, SCALARS
from tools.gen_configuration_docs import main, reference


def test_the_reference_is_up_to_date():
    """Renew it with: uv run python tools/gen_configuration_docs.py"""
    assert main(["--check"]) == 0


def test_the_reference_names_every_variable():
    text = reference()
    indexed = [f"{spec.prefix}{field}_<N>" for spec in (BACKENDS, CLIENTS) for field in spec.fields]

    assert [name for name in (*SCALARS, *indexed) if f"`{name}" not in text] == []


def test_drift_fails_the_check(monkeypatch, tmp_path: Path, capsys):
    stale = tmp_path / "configuration.md"
    stale.write_text("old")
    monkeypatch.setattr("tools.gen_configuration_docs.TARGET", stale)

    assert main(["--check"]) == 1
    assert "run uv run python" in capsys.readouterr().err
