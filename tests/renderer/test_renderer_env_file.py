from pathlib import Path

import pytest

from renderer.env_file import read_env_file
from renderer.errors import EnvFileError


def _read(tmp_path: Path, text: str) -> dict[str, str]:
    path = tmp_path / "gateway.env"
    path.write_text(text, encoding="utf-8")
    return read_env_file(path)


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("A=b", "b"),
        ("  export A=b  ", "b"),
        ("A = b", "b"),
        ("A=", ""),
        ("A=b c # comment", "b c"),
        ("A=b#c", "b#c"),
        ("A=# only a comment", ""),
        ("A='$x \"y\" # z'", '$x "y" # z'),
        ('A="say \\"hi\\" \\\\ \\$x \\n#" # comment', 'say "hi" \\ $x \n#'),
        ("A=k=v==", "k=v=="),
        ("A=${{X}}$env://Y", "${{X}}$env://Y"),
        ("A=first\nA=b", "b"),
        ("A=b\r", "b"),
    ],
)
def test_a_line_is_read_as_shells_and_containers_write_it(tmp_path: Path, line: str, value: str):
    assert _read(tmp_path, f"# a comment\n\n{line}\n") == {"A": value}


def test_a_byte_order_mark_is_no_part_of_the_first_name(tmp_path: Path):
    assert _read(tmp_path, "\ufeffA=b") == {"A": "b"}


@pytest.mark.parametrize("line", ["secret", "=secret", "1A=secret", "A='secret", 'A="secret"x'])
def test_a_bad_line_is_an_error_with_its_number_and_not_its_text(tmp_path: Path, line: str):
    with pytest.raises(EnvFileError, match="line 2") as raised:
        _read(tmp_path, f"GOOD=1\n{line}\n")

    assert "secret" not in str(raised.value)


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path):
    with pytest.raises(EnvFileError, match="could not read env file"):
        read_env_file(tmp_path / "nowhere")
