"""The Azure OpenAI surface as an ASGI application: journal, key check, rules, answer."""

from __future__ import annotations

import dataclasses
import hmac
import uuid
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from . import canned, honest, routing
from .answer import Answer, Call, error_answer
from .canned import CannedError
from .delivery import Delivery, Gate
from .journal import Ended, Entry, Journal, Recorder
from .matching import Facts, RuleBook
from .routing import Target
from .script import Action, Script

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from starlette.types import Receive, Scope, Send

    from .protocol import Connection

_REQUEST_LIMIT, _TOKEN_LIMIT = 1_000, 1_000_000
_IDS = uuid.UUID("00000000-0000-0000-0000-00000000a0a1")


@dataclasses.dataclass(kw_only=True)
class Core:
    """What the surface and the admin endpoints share. No `api_keys` = no key is asked for."""

    name: str
    api_keys: tuple[str, ...]
    deployments: tuple[str, ...] | None
    region: str
    clock: Callable[[], float]
    journal: Journal
    gate: Gate = dataclasses.field(default_factory=Gate)
    book: RuleBook = dataclasses.field(default_factory=lambda: RuleBook(Script()))
    stopping: bool = False


class Surface:
    """Everything outside `/_mock/`."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; see the ASGI specification."""
        connection: Connection = scope["state"]["connection"]
        entry = self._open(connection)
        ended: Ended = "client_gone"
        recorder = Recorder()
        try:
            raw = await _read(receive)
            if raw is not None:
                action, answer = self._decide(entry, raw)
                delivery = Delivery(
                    entry,
                    action,
                    connection=connection,
                    journal=self._core.journal,
                    gate=self._core.gate,
                )
                recorder = delivery.recorder
                ended = await delivery.run(answer, send)
        finally:
            if self._core.stopping and ended == "client_gone":
                ended = "shutdown"
            self._core.journal.finish(entry, ended, recorder)

    def _open(self, connection: Connection) -> Entry:
        request = connection.request
        target = request.target.decode("latin-1")
        path, _, query = target.partition("?")
        headers = [(k.decode("latin-1"), v.decode("latin-1")) for k, v in _raw(request.headers)]
        return self._core.journal.open(
            connection=connection.number,
            method=request.method.decode("ascii"),
            target=target,
            path=path,
            query=parse_qsl(query, keep_blank_values=True),
            headers=headers,
        )

    def _decide(self, entry: Entry, raw: bytes) -> tuple[Action, Answer]:
        body = routing.parse_body(raw) if raw else None
        hint = routing.hint(entry.path, body)
        self._received(entry, raw, hint)
        refused = self._refuse_key(entry)
        if refused:
            return Action(), self._finish(entry, error_answer(refused), Action(), "chat")
        facts = Facts(
            method=entry.method,
            path=entry.path,
            headers=entry.headers,
            deployment=hint.deployment,
            stream=hint.stream,
        )
        entry.rule, action = self._core.book.choose(facts)
        found = routing.resolve(entry.method, entry.path, entry.query, body)
        target = found if isinstance(found, Target) else None
        if action.has_answer:
            answer = honest.scripted(action, target, stream=hint.stream)
        elif isinstance(found, CannedError):
            answer = error_answer(found)
        else:
            answer = honest.answer(self._call(entry, found, action), self._core.deployments)
        operation = target.operation if target else "chat"
        return action, self._finish(entry, answer, action, operation)

    def _received(self, entry: Entry, raw: bytes, hint: routing.Hint) -> None:
        recorder = Recorder()
        recorder.add(raw)
        digest, kept = recorder.result()
        self._core.journal.update(
            entry,
            state="received",
            body_bytes=len(raw),
            body_sha256=digest,
            body=kept,
            deployment=hint.deployment,
            stream=hint.stream,
        )

    def _call(self, entry: Entry, target: Target, action: Action) -> Call:
        return Call(
            seq=entry.seq,
            created=int(self._core.clock()),
            operation=target.operation,
            deployment=target.deployment,
            body=target.body,
            action=action,
            mock=self._core.name,
            api_version=target.api_version,
        )

    def _refuse_key(self, entry: Entry) -> CannedError | None:
        """Keys are taken as `api-key` or as bearer token, as on the v1 surface."""
        if not self._core.api_keys:
            return None
        bearer = [value[7:] for value in entry.header("authorization") if _is_bearer(value)]
        sent = entry.header("api-key") or bearer
        known = self._core.api_keys
        if any(hmac.compare_digest(k.encode(), s.encode()) for s in sent for k in known):
            return None
        return canned.named("401_token" if bearer and not entry.header("api-key") else "401")

    def _finish(self, entry: Entry, answer: Answer, action: Action, operation: str) -> Answer:
        headers = {**self._headers(entry, answer), **answer.headers}
        answer = dataclasses.replace(answer, headers=headers)
        return honest.shape(answer, action, operation)

    def _headers(self, entry: Entry, answer: Answer) -> dict[str, str]:
        """Return the service's own headers; ids follow from the mock's name and the request."""
        ident = str(uuid.uuid5(_IDS, f"{self._core.name}/{entry.seq}"))
        echoed = entry.header("x-ms-client-request-id")
        headers = {
            "apim-request-id": ident,
            "strict-transport-security": "max-age=31536000; includeSubDomains; preload",
            "x-content-type-options": "nosniff",
            "x-ms-client-request-id": echoed[0] if echoed else ident,
            "x-ms-region": self._core.region,
            "x-request-id": str(uuid.uuid5(_IDS, ident)),
        }
        if answer.status < 300 and entry.deployment:
            headers |= {
                "azureml-model-session": f"d000-{self._core.name}",
                "openai-processing-ms": "12",
                "x-accel-buffering": "no",
                "x-envoy-upstream-service-time": "14",
                "x-ms-deployment-name": entry.deployment,
                "x-ms-rai-invoked": "true",
                "x-ratelimit-limit-requests": str(_REQUEST_LIMIT),
                "x-ratelimit-limit-tokens": str(_TOKEN_LIMIT),
                "x-ratelimit-remaining-requests": str(_REQUEST_LIMIT - 1),
                "x-ratelimit-remaining-tokens": str(_TOKEN_LIMIT - entry.body_bytes // 4),
            }
        return headers


async def _read(receive: Receive) -> bytes | None:
    """Return the request body, None when the peer left while sending it."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += message["body"]
        if not message["more_body"]:
            return bytes(body)


def _raw(headers: Any) -> Sequence[tuple[bytes, bytes]]:
    """Header pairs in the sender's letter case."""
    found: Sequence[tuple[bytes, bytes]] = headers.raw_items()
    return found


def _is_bearer(value: str) -> bool:
    return value[:7].lower() == "bearer "
