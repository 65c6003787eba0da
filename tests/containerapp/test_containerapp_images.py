"""The Dockerfiles and scripts as text: nothing here builds an image."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys

import dev_tools
import pytest

from containerapp.local import REPOSITORY, UID
from renderer.output import ENGINE

FOLDER = REPOSITORY / "containerapp"
DOCKERFILES = sorted(FOLDER.glob("*.Dockerfile"))
IMAGES = ("collector", "gateway", "mock", "renderer")


def instructions(path):
    """Return (instruction, text) of each, continued lines joined."""
    text = re.sub(r"\\\n", " ", path.read_text())
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [tuple(line.split(maxsplit=1)) for line in lines]


def values(path, name):
    return [text for instruction, text in instructions(path) if instruction == name]


def test_there_is_a_dockerfile_for_each_image():
    assert tuple(path.name.removesuffix(".Dockerfile") for path in DOCKERFILES) == IMAGES


def test_the_dockerfiles_pass_the_linter():
    hadolint = dev_tools.program("hadolint", dev_tools.HADOLINT)
    ended = subprocess.run(
        [hadolint, "--no-color", *DOCKERFILES], check=False, capture_output=True, text=True
    )
    assert (ended.returncode, ended.stdout) == (0, "")


def test_the_scripts_pass_shellcheck():
    shellcheck = dev_tools.program("shellcheck", "the distribution's package shellcheck")
    scripts = sorted(FOLDER.glob("*.sh"))
    assert scripts
    ended = subprocess.run([shellcheck, *scripts], check=False, capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (0, "")


@pytest.mark.parametrize("path", DOCKERFILES, ids=IMAGES)
def test_an_image_ends_as_the_one_user_that_all_share(path):
    assert values(path, "USER")[-1] == f"{UID}:{UID}"


@pytest.mark.parametrize("path", DOCKERFILES, ids=IMAGES)
def test_a_base_image_is_pinned_to_a_release(path):
    for text in values(path, "FROM"):
        image = text.split()[0]
        assert re.search(r":\d+\.\d+\.\d+", image), image


@pytest.mark.parametrize("path", DOCKERFILES, ids=IMAGES)
def test_what_is_copied_exists_and_reaches_the_build(path):
    allowed = allow_list()
    for text in values(path, "COPY"):
        *sources, _ = shlex.split(text)
        for source in () if sources[0].startswith("--from") else sources:
            assert (REPOSITORY / source).exists(), source
            assert any(source.rstrip("/").startswith(item) for item in allowed), source


def allow_list():
    lines = (REPOSITORY / ".dockerignore").read_text().splitlines()
    assert "*" in lines
    found = [line[1:] for line in lines if line.startswith("!")]
    return [item.replace("*.sh", "") for item in found]


def test_the_gateway_is_the_engine_that_the_renderer_renders_for():
    (base,) = values(FOLDER / "gateway.Dockerfile", "FROM")
    assert base == f"apache/{ENGINE.replace(' ', ':')}-debian"


def test_the_gateway_is_stopped_by_the_signal_that_the_entrypoint_translates():
    assert values(FOLDER / "gateway.Dockerfile", "STOPSIGNAL") == ["SIGTERM"]


def test_the_plugins_are_where_the_rendered_configuration_looks_for_them():
    from renderer.settings import Settings  # noqa: PLC0415

    (copied,) = [
        text
        for text in values(FOLDER / "gateway.Dockerfile", "COPY")
        if text.startswith("apisix/plugins/")
    ]
    lua_path = Settings.model_fields["gateway_lua_path"].default
    assert copied.split()[-1] == f"{lua_path}/apisix/plugins/"


def test_the_images_use_the_uv_that_the_installer_pins():
    (version,) = re.findall(r"^uv_version=(.*)$", installer(), re.MULTILINE)
    for name in ("mock", "renderer"):
        assert f" uv=={version}" in (FOLDER / f"{name}.Dockerfile").read_text()


def installer():
    return (REPOSITORY / "tools/install.sh").read_text()


@pytest.mark.parametrize("path", DOCKERFILES, ids=IMAGES)
def test_nothing_is_downloaded_but_by_package_managers(path):
    text = path.read_text()
    assert not re.search(r"\b(curl|wget)\b", " ".join(values(path, "RUN")))
    assert not re.search(r"https?://", text)


@pytest.mark.parametrize(
    ("folders", "module"),
    [
        (("renderer", "templates"), "renderer.cli"),
        (("e2e/__init__.py", "e2e/mock_azure_openai"), "e2e.mock_azure_openai.cli"),
    ],
)
def test_an_image_has_all_of_our_code_that_it_runs(tmp_path, folders, module):
    for name in folders:
        target = tmp_path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(REPOSITORY / name)
    # ours must come from the folder: the checkout is taken off the path
    program = (
        f"import sys; sys.path = [{str(tmp_path)!r}]"
        f" + [item for item in sys.path if item not in ('', {str(REPOSITORY)!r})]\n"
        f"import {module} as found; assert found.__file__.startswith({str(tmp_path)!r})"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=tmp_path)
