"""The endpoints under `/_mock/`: script, journal, totals, release."""

from __future__ import annotations

import base64
import dataclasses
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from . import script_json
from .matching import RuleBook
from .script import Script

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request

    from .journal import Entry
    from .surface import Core

_MAX_WAIT_SECONDS = 120.0


class Admin:
    """Handlers over the shared state; `routes` is what the application mounts."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self.routes = [
            Route("/script", self._script, methods=["GET", "PUT", "DELETE"]),
            Route("/journal", self._journal, methods=["GET", "DELETE"]),
            Route("/totals", self._totals, methods=["GET"]),
            Route("/release", self._release, methods=["POST"]),
        ]

    async def _script(self, request: Request) -> Response:
        if request.method == "GET":
            return JSONResponse(script_json.dump(self._core.book.script))
        if request.method == "DELETE":
            self._core.book = RuleBook(Script())
            return Response(status_code=204)
        try:
            script = script_json.parse(await request.json(), base=None)
        except ValueError as error:
            return JSONResponse({"error": str(error)}, status_code=400)
        self._core.book = RuleBook(script)
        return JSONResponse({"rules": len(script.rules)})

    async def _journal(self, request: Request) -> Response:
        if request.method == "DELETE":
            self._core.journal.clear()
            return Response(status_code=204)
        try:
            since = int(request.query_params.get("since", "0"))
            wait = min(float(request.query_params.get("wait", "0")), _MAX_WAIT_SECONDS)
        except ValueError:
            return JSONResponse({"error": "since and wait are numbers"}, status_code=400)
        finished = request.query_params.get("finished") == "1"

        def is_new(entry: Entry) -> bool:
            reached = entry.state == "done" if finished else entry.state != "receiving"
            return entry.seq > since and reached

        def met(entries: Sequence[Entry]) -> bool:
            return any(is_new(entry) for entry in entries)

        await self._core.journal.wait_on_loop(met, wait)
        found = [_entry_json(entry) for entry in self._core.journal.entries() if is_new(entry)]
        return JSONResponse({"mock": self._core.name, "entries": found})

    async def _totals(self, _request: Request) -> Response:
        return JSONResponse({"mock": self._core.name, **self._core.journal.totals()})

    async def _release(self, _request: Request) -> Response:
        self._core.gate.release()
        return Response(status_code=204)


def _entry_json(entry: Entry) -> dict[str, Any]:
    """Return an entry as JSON: bytes as text when they are UTF-8, else under `..._base64`."""
    data = {field.name: getattr(entry, field.name) for field in dataclasses.fields(entry)}
    data["usage"] = entry.usage.as_dict() if entry.usage else None
    data["client_gone"], data["completed"] = entry.client_gone, entry.completed
    for name in ("body", "sent"):
        value = data.pop(name)
        if value is None:
            data[name] = None
            continue
        try:
            data[name] = value.decode()
        except UnicodeDecodeError:
            data[f"{name}_base64"] = base64.b64encode(value).decode()
    return data
