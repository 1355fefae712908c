"""An exchange on an HTTP/1.1 connection: how answers are written (RFC 9112)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from ...model import Problem
from ..exchange import Exchange, Headers, Plan, Response, Tunnel, chunk, head_block, plain
from ..problems import problem_response
from ..request import Request

if TYPE_CHECKING:
    from .connection import H1Connection

__all__ = ["H1Exchange"]

_log = logging.getLogger(__name__)


class H1Exchange(Exchange):
    """One request on an HTTP/1.1 connection."""

    __slots__ = ("bare", "connection", "extra", "full", "keep_alive", "may_tunnel", "open")

    def __init__(self, connection: H1Connection, request: Request) -> None:
        super().__init__(request, plain if request.version == "1.0" else chunk)
        self.connection = connection
        self.keep_alive = request.keep_alive
        self.bare = request.method == "HEAD"  # the answer has no body
        self.open = True
        self.full = False  # the plan takes no more of the body for now
        self.may_tunnel = False
        self.extra = b""  # header lines that go with any answer

    def run(self, plan: Plan, body: bytes) -> None:
        """Run a plan; what it raises is this client's answer, and nobody else's matter."""
        if plan.extra:
            self.extra = "".join(f"{n}: {v}\r\n" for n, v in plan.extra).encode("latin-1")
        try:
            plan.run(self, body)
        except Problem as problem:
            self.respond(problem_response(problem))
        except Exception:  # noqa: BLE001  # a fault of ours must not reach other clients
            _log.exception("%s %r failed", self.request.method, self.request.target[:200])
            if self.handler is not None or not self.open:
                self.abort()
            else:
                self.respond(problem_response(Problem(500, "the server has a fault")))

    def _tail(self) -> bytes:
        """The headers that speak of the connection, and the end of the head."""
        if not self.keep_alive or self.connection.service.draining:
            return self.extra + b"Connection: close\r\n\r\n"
        old = self.request.version == "1.0"
        return self.extra + (b"Connection: keep-alive\r\n\r\n" if old else b"\r\n")

    def respond(self, response: Response) -> None:
        if not self.open:
            return
        connection = self.connection
        if response.status >= 400:
            connection.service.counters.refused += 1
        body = b"" if self.bare else response.body
        connection.transport.write(
            b"".join((response.block, connection.service.date, self._tail(), body))
        )
        connection.done(self)

    def start(self, status: int, headers: Headers) -> Callable[[bytes], None]:
        if self.request.version == "1.0":
            self.keep_alive = False  # only the end of the connection ends the body
        else:
            headers = (*headers, ("Transfer-Encoding", "chunked"))
        self.connection.transport.write(
            b"".join((head_block(status, headers), self.connection.service.date, self._tail()))
        )
        self.request = Request.spent()
        return self.connection.transport.write

    def finish(self) -> None:
        if not self.open:
            return
        if self.frame is chunk and not self.bare:
            self.connection.transport.write(b"0\r\n\r\n")
        self.connection.done(self)

    @property
    def can_tunnel(self) -> bool:
        return self.may_tunnel

    def tunnel(self, headers: Headers, tunnel: Tunnel) -> Callable[[bytes], None]:
        connection = self.connection
        connection.transport.write(
            b"".join((head_block(101, headers), connection.service.date, self.extra, b"\r\n"))
        )
        connection.tunnel = tunnel
        self.request = Request.spent()
        return connection.transport.write

    def wake(self, seconds: float) -> None:
        service = self.connection.service
        if seconds <= 0:
            self.connection.due = 0.0
        else:
            service.wheel.set(self.connection, service.clock() + seconds)

    def pause_reading(self) -> None:
        self.full = True
        self.connection.set_reading(False)

    def resume_reading(self) -> None:
        self.full = False
        self.connection.set_reading(True)

    def abort(self) -> None:
        self.connection.transport.abort()

    def close(self) -> None:
        self.connection.transport.close()
