"""Which protocol a new connection speaks: settled by TLS (ALPN), or by its first bytes."""

from __future__ import annotations

import asyncio
from typing import cast

from .h1 import H1Connection
from .h2 import PREFACE, H2Connection
from .service import Service

__all__ = ["Opening"]


class Opening(asyncio.Protocol):
    """A connection of which nothing is known yet.

    A client that knows that the server speaks HTTP/2 begins with its preface (RFC 9113, 3.3).
    """

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
            h2 = tls.selected_alpn_protocol() == "h2"
            self._become((H2Connection if h2 else H1Connection)(self.service))
            return
        service = self.service
        service.connections.add(self)
        service.meters.connections += 1
        service.wheel.set(self, service.clock() + service.idle)

    def data_received(self, data: bytes) -> None:
        data = self._first + data
        if len(data) < len(PREFACE) and PREFACE.startswith(data):
            self._first = data
            return
        h2 = data.startswith(PREFACE)
        self._leave()
        protocol: asyncio.Protocol = (H2Connection if h2 else H1Connection)(self.service)
        self._become(protocol)
        self.service.connections.discard(self)
        protocol.data_received(data)

    def _become(self, protocol: asyncio.Protocol) -> None:
        self.transport.set_protocol(protocol)
        protocol.connection_made(self.transport)

    def _leave(self) -> None:
        self.service.wheel.cancel(self)
        self.service.meters.connections -= 1

    def connection_lost(self, error: Exception | None) -> None:
        self._leave()
        self.service.left(self)

    def timeout(self) -> None:
        """The wheel's call: a client that says nothing."""
        self.transport.close()

    def drain(self) -> None:
        self.transport.close()
