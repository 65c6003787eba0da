"""Starts real gateways for tests and talks to them byte by byte."""

from .environment import Backend, Client
from .gateway import Gateway, GatewayError
from .metrics import Metrics
from .ports import free_ports, refusing_port
from .raw import RawConnection, RawResponse, exchange

__all__ = [
    "Backend",
    "Client",
    "Gateway",
    "GatewayError",
    "Metrics",
    "RawConnection",
    "RawResponse",
    "exchange",
    "free_ports",
    "refusing_port",
]
