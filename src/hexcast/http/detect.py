"""What a new connection is before it is known which protocol it speaks.

Over TLS that is settled by ALPN (RFC 7301), else by the first bytes: a client that knows that the
server speaks HTTP/2 begins with its preface (RFC 9113, 3.3).
"""

from __future__ import annotations

import asyncio
from typing import cast

from .context import Service
from .h1.connection import H1Connection
from .h2.connection import PREFACE, H2Connection

__all__ = ["Opening"]


class Opening(asyncio.Protocol):
    """A connection of which nothing is known yet."""

    __slots__ = ("_first", "bucket", "due", "service", "transport")

    def __init__(self, service: Service) -> None:
        self.service = service
        self.transport: asyncio.Transport = cast(asyncio.Transport, None)  # from connection_made
        self.due = 0.0  # the wheel's
        self.bucket = 0  # the wheel's
        self._first = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        tls = transport.get_extra_info("ssl_object")
        if tls is not None:
            self._become(h2=tls.selected_alpn_protocol() == "h2", first=b"")
            return
        service = self.service
        service.connections.add(self)
        service.counters.connections += 1
        service.wheel.set(self, service.clock() + service.head)

    def data_received(self, data: bytes) -> None:
        data = self._first + data
        if len(data) < len(PREFACE) and PREFACE.startswith(data):
            self._first = data
            return
        self._leave()
        self._become(h2=data.startswith(PREFACE), first=data)
        self.service.connections.discard(self)

    def _become(self, *, h2: bool, first: bytes) -> None:
        protocol: asyncio.Protocol = (H2Connection if h2 else H1Connection)(self.service)
        self.transport.set_protocol(protocol)
        protocol.connection_made(self.transport)
        if first:
            protocol.data_received(first)

    def _leave(self) -> None:
        self.service.wheel.cancel(self)
        self.service.counters.connections -= 1

    def connection_lost(self, error: Exception | None) -> None:
        self._leave()
        self.service.left(self)

    def timeout(self) -> None:
        """The wheel's call: a client that says nothing."""
        self.transport.close()

    def drain(self) -> None:
        self.transport.close()
