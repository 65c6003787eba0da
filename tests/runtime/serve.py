"""`gateway up` over a set that a test describes: serve.py WORKDIR [RUNTIME].

WORKDIR.json holds {"apisix": ..., "config": ...}; it is published at the start and at SIGHUP.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import yaml

from renderer.output import publish
from runtime.cli import catch
from runtime.engine import engine_for
from runtime.up import Gateway
from runtime.workdir import Workdir


def publish_spec(spec: dict, out: Path) -> None:
    files = {
        "apisix.yaml": yaml.safe_dump(spec["apisix"]) + "#END\n",
        "config.yaml": yaml.safe_dump(spec["config"]),
    }
    publish({name: text.encode() for name, text in files.items()}, out)


def main(workdir: Path, runtime: str) -> None:
    def render() -> tuple[str, ...]:
        publish_spec(json.loads(Path(f"{workdir}.json").read_text()), workdir / "rendered")
        return ()

    def run() -> None:
        home = Workdir(workdir)
        Gateway(engine_for(runtime, home), home, render).run()

    catch(run, as_json=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]), (sys.argv[2:] or ["lite"])[0])
