"""Specs of the Lua host, each file in an nginx process that ends when it has run them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from runtime.lite_config import LUA_HOST
from runtime.lite_host import inspect

HERE = Path(__file__).parent / "lite"
CONF = """
load_module {modules[0]};
load_module {modules[1]};
daemon off;
master_process off;
error_log stderr crit;
pid nginx.pid;
events {{ }}
http {{
    client_body_temp_path t1; proxy_temp_path t2; fastcgi_temp_path t3; uwsgi_temp_path t4;
    scgi_temp_path t5;
    lua_package_path "{host}/?.lua;{host}/?/init.lua;;";
    init_by_lua_block {{
        require("resty.core")
        dofile("{runner}")("{spec}")
    }}
}}
"""


@pytest.mark.parametrize("spec", sorted(HERE.glob("*_spec.lua")), ids=lambda path: path.stem)
def test_specs_hold(spec, tmp_path):
    machine = inspect()
    text = CONF.format(modules=machine.modules, host=LUA_HOST, runner=HERE / "run.lua", spec=spec)
    (tmp_path / "nginx.conf").write_text(text)

    done = subprocess.run(
        [machine.nginx, "-p", str(tmp_path), "-c", "nginx.conf", "-e", "stderr"],
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert "ok " in done.stderr
