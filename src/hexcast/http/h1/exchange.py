"""An exchange on an HTTP/1.1 connection: how answers are written (RFC 9112)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from ...model import Caller, Problem
from ..exchange import Exchange, Plan, Tunnel, chunk, plain
from ..problems import problem_response
from ..request import Request
from ..response import Headers, Response, head_block

if TYPE_CHECKING:
    from .connection import H1Connection

__all__ = ["H1Exchange"]

_log = logging.getLogger(__name__)


class H1Exchange(Exchange):
    """One request on an HTTP/1.1 connection."""

    __slots__ = (
        "connection",
        "extra",
        "head_only",
        "keep_alive",
        "may_tunnel",
        "open",
        "reading_paused",
    )

    def __init__(self, connection: H1Connection, request: Request, caller: Caller) -> None:
        super().__init__(request, caller, plain if request.version == "1.0" else chunk)
        self.connection = connection
        self.keep_alive = request.keep_alive
        self.head_only = request.method == "HEAD"  # the answer has no body
        self.open = True
        self.reading_paused = False  # the plan takes no more of the body for now
        self.may_tunnel = False
        self.extra = b""  # header lines that go with any answer

    def run(self, plan: Plan, body: bytes) -> None:
        """Run a plan. What it raises becomes the answer, and reaches no other client."""
        if plan.headers:
            self.extra = "".join(f"{n}: {v}\r\n" for n, v in plan.headers).encode("latin-1")
        try:
            plan.run(self, body)
        except Problem as problem:
            self.respond(problem_response(problem))
        except Exception:  # noqa: BLE001  # our own fault must not reach other clients
            _log.exception("%s %r failed", self.request.method, self.request.target[:200])
            if self.handler is not None or not self.open:
                self.abort()
            else:
                self.respond(problem_response(Problem(500, "the server failed")))

    def _tail(self) -> bytes:
        """The headers about the connection, and the end of the head."""
        if not self.keep_alive or self.connection.server.draining:
            return self.extra + b"Connection: close\r\n\r\n"
        old = self.request.version == "1.0"
        return self.extra + (b"Connection: keep-alive\r\n\r\n" if old else b"\r\n")

    def respond(self, response: Response) -> None:
        if not self.open:
            return
        connection = self.connection
        if response.status >= 400:
            connection.server.counters.refused += 1
        body = b"" if self.head_only else response.body
        connection.transport.write(
            b"".join((response.block, connection.server.date_line, self._tail(), body))
        )
        connection.done(self)

    def start(self, status: int, headers: Headers) -> Callable[[bytes], None]:
        if self.request.version == "1.0":
            self.keep_alive = False  # only the end of the connection ends the body
        else:
            headers = (*headers, ("Transfer-Encoding", "chunked"))
        self.connection.transport.write(
            b"".join((head_block(status, headers), self.connection.server.date_line, self._tail()))
        )
        self.request = Request.spent()
        return self.connection.transport.write

    def finish(self) -> None:
        if not self.open:
            return
        if self.frame is chunk and not self.head_only:
            self.connection.transport.write(b"0\r\n\r\n")
        self.connection.done(self)

    @property
    def can_tunnel(self) -> bool:
        return self.may_tunnel

    def tunnel(self, headers: Headers, tunnel: Tunnel) -> Callable[[bytes], None]:
        connection = self.connection
        connection.transport.write(
            b"".join((head_block(101, headers), connection.server.date_line, self.extra, b"\r\n"))
        )
        connection.tunnel = tunnel
        self.request = Request.spent()
        return connection.transport.write

    def set_deadline(self, seconds: float) -> None:
        server = self.connection.server
        if seconds <= 0:
            self.connection.server.timers.clear(self.connection)
        else:
            server.timers.set(self.connection, server.clock() + seconds)

    def pause_reading(self) -> None:
        self.reading_paused = True
        self.connection.set_reading(False)

    def resume_reading(self) -> None:
        self.reading_paused = False
        self.connection.resume_body()

    def abort(self) -> None:
        self.connection.transport.abort()

    def close(self) -> None:
        self.connection.transport.close()
