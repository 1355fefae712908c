"""Hexcast keeps open web pages current: one log, one URL, one cursor, six ways to receive.

`Client` publishes to a server and follows its topics; `Server` and `Settings` run a server in this
process. Each name is loaded when it is first used, because the client and the server are separate
extras: `hexcast[client]`, `hexcast[server]`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .client import (
        Acknowledged,
        Client,
        Connected,
        ConnectionFailed,
        Gap,
        HexcastError,
        Lost,
        Message,
        Notice,
        ProtocolError,
        Published,
        Record,
        Refused,
        Subscription,
        Trust,
        Unknown,
    )
    from .server import Server
    from .settings import Settings

__version__ = "0.1.0"

__all__ = [
    "Acknowledged",
    "Client",
    "Connected",
    "ConnectionFailed",
    "Gap",
    "HexcastError",
    "Lost",
    "Message",
    "Notice",
    "ProtocolError",
    "Published",
    "Record",
    "Refused",
    "Server",
    "Settings",
    "Subscription",
    "Trust",
    "Unknown",
]

_ROOMS = {"Server": "server", "Settings": "settings"}


def __getattr__(name: str) -> Any:
    """Load a public name from its room (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_ROOMS.get(name, 'client')}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
