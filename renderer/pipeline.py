"""From the model to verified files in memory: `render`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from renderer.apisix_view import apisix_document, config_document
from renderer.errors import InvalidValueError
from renderer.otel_view import otel_document
from renderer.templating import render_template
from renderer.values import parse_path
from renderer.verify import CHECKS, verify_document

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from renderer.model import Backend, Client, GatewayModel

DOCUMENTS: Mapping[str, Callable[[GatewayModel], dict[str, Any]]] = {
    "apisix.yaml": apisix_document,
    "config.yaml": config_document,
    "otel-collector.yaml": otel_document,
}


def render(model: GatewayModel, lua_path: str | None = None) -> dict[str, bytes]:
    """Render and verify the files of a model; the same model gives the same bytes.

    Args:
        model: the configuration.
        lua_path: folder that holds our `apisix/plugins`, instead of the model's.

    Raises:
        InvalidValueError: the path cannot stand in the engine's configuration.
        TemplateError: a template does not fit its document.
        VerificationError: a file does not say what the model says.

    """
    if lua_path is not None:
        model = replace(model, engine=replace(model.engine, lua_path=_checked(lua_path)))
    files = {}
    for name, document_of in DOCUMENTS.items():
        document = document_of(model)
        text = render_template(f"{name}.j2", document)
        CHECKS[name](verify_document(name, text, document), model)
        files[name] = text.encode("ascii")
    return files


def _checked(lua_path: str) -> str:
    try:
        return parse_path(lua_path)
    except ValueError as error:
        raise InvalidValueError("--lua-path", str(error)) from None


def masked(model: GatewayModel) -> GatewayModel:
    """Return the model with every secret replaced, for printing."""
    telemetry = model.telemetry
    text = telemetry.connection_string
    return replace(
        model,
        backends=tuple(_masked_backend(backend) for backend in model.backends),
        clients=tuple(_masked_client(client) for client in model.clients),
        telemetry=replace(telemetry, connection_string=text.masked() if text else None),
    )


def _masked_backend(backend: Backend) -> Backend:
    return replace(backend, key=backend.key.masked() if backend.key else None)


def _masked_client(client: Client) -> Client:
    second = client.key_secondary
    return replace(
        client, key=client.key.masked(), key_secondary=second.masked() if second else None
    )
