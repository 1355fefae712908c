"""Detects the protocol of a new connection.

Over TLS it is agreed by ALPN (RFC 7301). Otherwise the first bytes decide: a client that knows that
the server speaks HTTP/2 begins with the connection preface (RFC 9113, 3.3).
"""

from __future__ import annotations

import asyncio
from typing import cast

from .context import ServerContext
from .h1.connection import H1Connection
from .h2.connection import PREFACE, H2Connection

__all__ = ["ProtocolDetector"]


class ProtocolDetector(asyncio.Protocol):
    """A connection whose protocol is not known yet."""

    __slots__ = ("_first", "bucket", "due", "server", "transport")

    def __init__(self, server: ServerContext) -> None:
        self.server = server
        self.transport: asyncio.Transport = cast(asyncio.Transport, None)  # from connection_made
        self.due = 0.0  # of the timer wheel
        self.bucket = 0  # of the timer wheel
        self._first = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        tls = transport.get_extra_info("ssl_object")
        if tls is not None:
            self._switch(h2=tls.selected_alpn_protocol() == "h2", first=b"")
            return
        server = self.server
        server.connections.add(self)
        server.counters.connections += 1
        server.timers.set(self, server.clock() + server.head)

    def data_received(self, data: bytes) -> None:
        data = self._first + data
        if len(data) < len(PREFACE) and PREFACE.startswith(data):
            self._first = data
            return
        self._leave()
        self._switch(h2=data.startswith(PREFACE), first=data)
        self.server.connections.discard(self)

    def _switch(self, *, h2: bool, first: bytes) -> None:
        protocol: asyncio.Protocol = (H2Connection if h2 else H1Connection)(self.server)
        self.transport.set_protocol(protocol)
        protocol.connection_made(self.transport)
        if first:
            protocol.data_received(first)

    def _leave(self) -> None:
        self.server.timers.remove(self)
        self.server.counters.connections -= 1

    def connection_lost(self, error: Exception | None) -> None:
        self._leave()
        self.server.remove(self)

    def timeout(self) -> None:
        """The client has sent nothing in time."""
        self.transport.close()

    def drain(self) -> None:
        self.transport.close()
