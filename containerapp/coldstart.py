"""`python -m containerapp.coldstart`: how long a replica takes to its first answer, by parts.

The parts are what a replica does after its images are there: the renderer's container, the
entrypoint, APISIX. A mock is the backend; APISIX is the local one of APISIX_HOME.
"""

from __future__ import annotations

import itertools
import json
import os
import statistics
import time
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import click

from containerapp.local import LocalContainer, LocalError, runner
from e2e.harness import Backend, Client, exchange
from e2e.harness.calls import chat, legacy
from e2e.harness.environment import variables
from e2e.mock_azure_openai import MockAzureOpenAI

if TYPE_CHECKING:
    from collections.abc import Callable

_OK = 200
_MEANING = {
    "render": "render-config, start of Python to the published set",
    "verify": "entrypoint: copy, check digests, publish to APISIX",
    "configure": "APISIX writes nginx.conf",
    "engine": "nginx starts until /status/ready answers 200",
    "first_request": "readiness until a chat request has its 200",
    "total": "all of it",
}


@dataclass(frozen=True, kw_only=True)
class ColdStart:
    """Seconds of each part, in order, and their sum."""

    render: float
    verify: float
    configure: float
    engine: float
    first_request: float
    total: float


def measure(mock: MockAzureOpenAI) -> ColdStart:
    """Start one replica, wait for its first 200, and return what took how long."""
    client = Client()
    settings = variables([Backend(mock)], [client], {})
    body = json.dumps(chat()).encode()
    headers = [("api-key", client.secret), ("content-type", "application/json")]
    with LocalContainer(settings) as box:
        marks = [time.monotonic()]
        box.render_by_command()
        marks.append(time.monotonic())
        box.start()
        box.wait_until(lambda: bool(box.lines()), "a verified set")
        marks.append(time.monotonic())
        box.wait_until(_written(box), "nginx.conf")
        marks.append(time.monotonic())
        box.wait_ready()
        marks.append(time.monotonic())
        answer = exchange(box.url, "POST", legacy("gpt-4o"), headers, body)
        marks.append(time.monotonic())
    if answer.status != _OK:
        raise LocalError(f"the first request was answered with {answer.status}")
    steps = [later - earlier for earlier, later in itertools.pairwise(marks)]
    names = [field.name for field in fields(ColdStart)]
    return ColdStart(**dict(zip(names, [*steps, marks[-1] - marks[0]], strict=True)))


def _written(box: LocalContainer) -> Callable[[], bool]:
    path = box.conf / "nginx.conf"
    return lambda: path.exists() and path.stat().st_size > 0


@click.command()
@click.option("--runs", type=click.IntRange(1, 100), default=5, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Machine output.")
def main(runs: int, as_json: bool) -> None:
    """Measure cold starts and print each part."""
    if runner(os.environ) is None:
        raise click.ClickException("needs APISIX_HOME with bin/apisix-run")
    with MockAzureOpenAI(name="coldstart") as mock:
        found = [measure(mock) for _ in range(runs)]
    rows = {name: [getattr(item, name) for item in found] for name in _MEANING}
    medians = {name: statistics.median(values) for name, values in rows.items()}
    fastest = {name: min(values) for name, values in rows.items()}
    if as_json:
        click.echo(json.dumps({"runs": runs, "median": medians, "fastest": fastest}))
        return
    click.echo(f"{'seconds':14} median  fastest")
    for name, meaning in _MEANING.items():
        click.echo(f"{name:14} {medians[name]:6.2f}  {fastest[name]:7.2f}  {meaning}")


if __name__ == "__main__":
    main()
