"""TLS between a TCP transport and the protocol that is spoken over it.

The event loops have this too, but with buffers for connections that move much. Most connections
here are idle subscribers: what one keeps is OpenSSL's own state, two memory BIOs as large as what
last went through them, and this object. Everything is passed on as it comes, so that backpressure
is TCP's. Rules:

1. Nothing goes through a BIO in pieces above `MAX_CHUNK`, since a BIO never shrinks.
2. A handshake, and a farewell, have a deadline, kept by the wheel.
3. A close says `close_notify` and the end of the stream, and waits for the client's before it lets
   go of the socket: a reset would destroy what the client has not read yet.
"""

from __future__ import annotations

import asyncio
import logging
import re
import ssl
from typing import Any, cast

from ...model import PerClient, Problem
from ..context import ServerContext
from ..detect import ProtocolDetector
from ..problems import problem_response

__all__ = ["TlsTransport"]

_log = logging.getLogger(__name__)

MAX_CHUNK = 16 * 1024
HANDSHAKE_SECONDS = 10.0
CLOSE_SECONDS = 2.0


class TlsTransport(PerClient, asyncio.Transport, asyncio.Protocol):
    """The protocol of a TCP transport, and the transport of the protocol above."""

    __slots__ = (
        "_closing",
        "_incoming",
        "_left",
        "_outgoing",
        "_paused",
        "_protocol",
        "_server",
        "_tcp",
        "_tls",
        "bucket",
        "due",
    )  # fmt: skip

    def __init__(self, server: ServerContext, context: ssl.SSLContext) -> None:
        super().__init__()
        self._server = server
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._tcp: asyncio.Transport = cast(asyncio.Transport, None)  # from connection_made
        self._protocol: asyncio.Protocol | None = None  # from the end of the handshake
        self._closing = False
        self._paused = False
        self._left = 0  # bytes that were still to be sent when the farewell was last looked at
        self.due = 0.0  # of the timer wheel
        self.bucket = 0  # of the timer wheel

    # From the TCP transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._tcp = cast(asyncio.Transport, transport)
        server = self._server
        server.connections.add(self)
        server.counters.connections += 1
        server.timers.set(self, server.clock() + HANDSHAKE_SECONDS)

    def data_received(self, data: bytes) -> None:
        if self._closing:
            return
        if len(data) <= MAX_CHUNK:
            self._receive(data)
            return
        view = memoryview(data)
        for at in range(0, len(view), MAX_CHUNK):
            self._receive(view[at : at + MAX_CHUNK])

    def eof_received(self) -> bool:
        """The client is gone; a farewell that it owed is not waited for."""
        if self._protocol is not None and not self._closing:
            self._protocol.eof_received()
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self._closing = True
        server = self._server
        server.timers.remove(self)
        if self._protocol is not None:
            self._protocol.connection_lost(error)
        else:
            server.counters.connections -= 1
            server.remove(self)

    def pause_writing(self) -> None:
        if self._protocol is not None:
            self._protocol.pause_writing()

    def resume_writing(self) -> None:
        if self._protocol is not None:
            self._protocol.resume_writing()

    # While nothing is spoken yet

    @property
    def transport(self) -> TlsTransport:
        return self

    def drain(self) -> None:
        """Nothing has been asked yet."""
        self.abort()

    def timeout(self) -> None:
        """The handshake, or the close, does not end."""
        left = self._tcp.get_write_buffer_size()
        if self._closing and 0 < left < self._left:
            self._left = left  # a slow client, but it takes what was sent
            self._server.timers.set(self, self._server.clock() + CLOSE_SECONDS)
        else:
            self.abort()

    # Reading

    def _receive(self, data: bytes | memoryview) -> None:
        self._incoming.write(data)
        if self._protocol is not None:
            self._read()
        else:
            self._handshake(bytes(data))

    def _handshake(self, data: bytes) -> None:
        """Go on with the handshake, for which `data` has just come."""
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
            return
        except ssl.SSLError as error:
            _log.debug("no TLS with a client: %s", error)
            if error.reason == "HTTP_REQUEST":
                self._tcp.write(_speaks_https(data))
            else:
                self._flush()
            self._closing = True
            self._tcp.close()
            return
        self._flush()
        server = self._server
        server.timers.remove(self)
        server.counters.connections -= 1
        detector = ProtocolDetector(server)
        self._protocol = detector
        detector.connection_made(self)
        server.connections.discard(self)
        self._read()

    def _read(self) -> None:
        """Hand on what has come, and whatever came with it."""
        while not self._paused and not self._closing:
            try:
                data = self._tls.read(MAX_CHUNK)
            except ssl.SSLWantReadError:
                break
            except ssl.SSLZeroReturnError:
                data = b""
            except ssl.SSLError as error:
                _log.debug("broken TLS: %s", error)
                self._flush()
                self.abort()
                return
            above = self._protocol
            assert above is not None
            if not data:
                above.eof_received()
                self.close()
                return
            above.data_received(data)
        if self._outgoing.pending:  # a change of keys is answered
            self._flush()

    def pause_reading(self) -> None:
        self._paused = True
        if not self._closing:
            self._tcp.pause_reading()

    def resume_reading(self) -> None:
        self._paused = False
        if not self._closing:
            self._tcp.resume_reading()
            # What came before is here already; the protocol may be in the middle of something.
            asyncio.get_running_loop().call_soon(self._read)

    def is_reading(self) -> bool:
        return not self._paused and not self._closing

    # Writing

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._closing or not data:
            return
        if len(data) <= MAX_CHUNK:
            self._tls.write(data)
            self._tcp.write(self._outgoing.read())
            return
        view = memoryview(data)
        for at in range(0, len(view), MAX_CHUNK):
            self._tls.write(view[at : at + MAX_CHUNK])
            self._tcp.write(self._outgoing.read())

    def _flush(self) -> None:
        if self._outgoing.pending and not self._tcp.is_closing():
            self._tcp.write(self._outgoing.read())

    def can_write_eof(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return self._tcp.get_write_buffer_size()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._tcp.set_write_buffer_limits(high, low)

    # The rest of a transport

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._tls if name == "ssl_object" else self._tcp.get_extra_info(name, default)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = cast(asyncio.Protocol, protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._protocol or self

    def is_closing(self) -> bool:
        return self._closing or self._tcp.is_closing()

    def close(self) -> None:
        if self._closing:
            return
        self._closing = True
        below, server = self._tcp, self._server
        if below.is_closing():
            return
        try:
            self._tls.unwrap()
        except ssl.SSLError as error:  # it wants the client's farewell: see rule 3
            _log.debug("a farewell: %s", error)
        self._flush()
        if self._paused:
            below.resume_reading()  # what comes is thrown away
        below.write_eof()
        self._left = below.get_write_buffer_size() + 1
        server.timers.set(self, server.clock() + CLOSE_SECONDS)

    def abort(self) -> None:
        self._closing = True
        self._tcp.abort()


_HOST = re.compile(rb"(?im)^host:[ \t]*([\w.:\[\]-]{1,255})[ \t]*\r?$")


def _speaks_https(request: bytes) -> bytes:
    """The answer to a plain HTTP request. It names the right URL where that is known."""
    host = _HOST.search(request)
    target = request.split(b" ", 2)[1:2]
    url = ""
    if host is not None and target and target[0].startswith(b"/"):
        url = f": https://{host[1].decode('latin-1')}{target[0].decode('latin-1')}"
    refused = problem_response(Problem(400, f"this port speaks https{url}", close=True))
    return refused.block + b"Connection: close\r\n\r\n" + refused.body
