"""An exchange on one stream of an HTTP/2 connection (RFC 9113): its body in, its answer out."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from h2.errors import ErrorCodes
from hpack import NeverIndexedHeaderTuple

from ...model import Problem
from ..exchange import Body, Exchange, Headers, Plan, Preload, Response, Tunnel, plain
from ..problems import problem_response
from ..request import Request
from .sender import Output

if TYPE_CHECKING:
    from .connection import H2Connection

__all__ = ["H2Exchange", "fields"]

_log = logging.getLogger(__name__)

MAX_STUCK_PUSHES = 8
"""Pushed answers that may wait for a window before the exchange they belong to is paused."""

# RFC 9113, 8.2.2: what speaks of an HTTP/1.1 connection has no place here.
_ONCE = frozenset(("etag", "hexcast-cursor", "location"))
_NOT_SENT = frozenset(("connection", "upgrade", "transfer-encoding", "keep-alive"))


def fields(status: int, headers: Headers) -> list[tuple[bytes, bytes]]:
    """The fields of an answer, as they are encoded."""
    sent = [(b":status", b"%d" % status)]
    for name, value in headers:
        lower = name.lower()
        if lower in _ONCE:
            # In the table of what was sent before it would be in the way of what comes again.
            sent.append(NeverIndexedHeaderTuple(lower.encode("latin-1"), value.encode("latin-1")))
        elif lower not in _NOT_SENT:
            sent.append((lower.encode("latin-1"), value.encode("latin-1")))
    return sent


def _no_tunnel() -> Problem:
    return Problem(400, "there is no WebSocket at this address")


class H2Exchange(Exchange):
    """One request on a stream of its own."""

    __slots__ = ("authority", "bare", "bucket", "complete", "connection", "due", "extra", "full",
                 "id", "open", "output", "parts", "plan", "running", "size", "stuck_pushes",
                 "taker", "tunnelable", "unopened")  # fmt: skip

    def __init__(
        self, connection: H2Connection, id: int, request: Request, plan: Plan, *, complete: bool
    ) -> None:
        super().__init__(request, plain)
        self.connection = connection
        self.id = id
        self.plan: Plan | None = plan  # until the answer has begun
        self.output = Output(connection, id, self)
        self.open = True
        self.running = False  # the plan was run, or is being run
        self.complete = complete  # the client has sent all of its body
        self.bare = request.method == "HEAD"
        self.tunnelable = False  # an extended CONNECT
        self.parts: list[bytes] | None = None  # of the body, not yet taken
        self.size = 0  # of the body that is held until more has come: `holds`
        self.unopened = 0  # bytes that were received and not given back to the client's window
        self.full = False  # the plan takes no more for now
        self.taker: Tunnel | None = None  # who reads, once this is a tunnel
        self.extra = plan.extra
        self.authority = request.header("host").encode("latin-1")  # of what is promised
        self.stuck_pushes = 0
        self.due = 0.0  # the wheel's
        self.bucket = 0  # the wheel's

    # What comes in

    def receive(self, data: bytes, length: int) -> None:
        """A piece of the body, which took `length` bytes of the window."""
        self.unopened += length
        plan = self.plan
        if not self.open:
            return
        if self.taker is not None:
            self.taker.feed(data)
        elif self.sink is not None and not self.full:
            self.sink.feed(data)
        elif plan is not None and plan.body is Body.WHOLE:
            self._gather(data, plan.limit)
            return
        elif self.sink is not None or (plan is not None and plan.body is Body.STREAM):
            if self.parts is None:
                self.parts = []
            self.parts.append(data)
            return
        if not self.full:
            self._let_send()

    def _let_send(self) -> None:
        """Let the client send on, if it is its turn."""
        if self.size:
            self.connection.mind_uploads()
        else:
            self.give_back()

    def holds(self, size: int) -> None:
        if self.open:
            self.connection.holds(self, size)

    def _gather(self, data: bytes, limit: int) -> None:
        self.connection.holds(self, self.size + len(data))
        if self.size > limit:
            self.respond(problem_response(Problem(413, f"the body is larger than {limit} bytes")))
            return
        if self.parts is None:
            self.parts = []
        self.parts.append(data)
        self.connection.mind_uploads()

    def received_all(self) -> None:
        """The client has sent its last."""
        self.complete = True
        if not self.open:
            return
        if self.taker is not None:
            self.taker.eof()
        elif self.sink is not None and self.parts is None:
            self.sink.eof()

    def give_back(self) -> None:
        """Let the client send as much again as was taken in."""
        size, self.unopened = self.unopened, 0
        if size and self.open and not self.complete:
            self.connection.open_window(size, self.id)

    def take_parts(self) -> None:
        """Hand on what came before somebody took it."""
        while self.parts and self.open and self.sink is not None and not self.full:
            self.sink.feed(self.parts.pop(0))
        if not self.parts:
            self.parts = None
            if self.open and not self.full:
                self._let_send()
                if self.complete and self.sink is not None:
                    self.sink.eof()

    # Running

    def run(self) -> None:
        """Run the plan; what it raises is this client's answer, and nobody else's matter."""
        self.running = True
        plan = self.plan
        assert plan is not None
        body = b""
        if plan.body is Body.WHOLE:
            body = b"".join(self.parts or ())
            self.parts = None
            self.connection.uploaded(self)
        try:
            plan.run(self, body)
        except Problem as problem:
            self.respond(problem_response(problem))
        except Exception:  # noqa: BLE001  # a fault of ours must not reach other clients
            _log.exception("%s %r failed", self.request.method, self.request.target[:200])
            if self.plan is None or self.handler is not None or not self.open:
                self.cut(ErrorCodes.INTERNAL_ERROR)
            else:
                self.respond(problem_response(Problem(500, "the server has a fault")))
        if self.open and self.sink is not None:
            if self.parts is not None:
                self.take_parts()
            elif self.complete:
                self.sink.eof()

    # What goes out

    def respond(self, response: Response) -> None:
        if not self.open or self.output.ending:
            return
        if response.status >= 400:
            self.connection.service.counters.refused += 1
        elif self.tunnelable and response.status < 300:
            # RFC 8441, 5: whatever is 2xx would say that the WebSocket is open.
            response = problem_response(_no_tunnel())
        headers = response.headers
        if response.status not in (204, 304):
            headers = (*headers, ("Content-Length", str(len(response.body))))
        body = b"" if self.bare else response.body
        self._head(response.status, headers, end=not body)
        if body:
            self.output.end(body)
        self._answered()

    def start(self, status: int, headers: Headers) -> Callable[[bytes], None]:
        if self.tunnelable:
            raise _no_tunnel()
        self._head(status, headers)
        self._let_go()
        return self.output.write

    def tunnel(self, headers: Headers, tunnel: Tunnel) -> Callable[[bytes], None]:
        self._head(200, headers)  # RFC 8441, 5.1: 200 where HTTP/1.1 has 101
        self._let_go()
        self.taker = tunnel
        return self.output.write

    def _head(self, status: int, headers: Headers, *, end: bool = False) -> None:
        connection = self.connection
        sent = fields(status, (*headers, *self.extra))
        sent.append((b"date", connection.service.date[6:-2]))
        connection.machine.send_headers(self.id, sent, end_stream=end)
        connection.flush()
        if end:
            self.output.close()
            self.ended()

    def _let_go(self) -> None:
        """An idle subscriber keeps nothing of its request."""
        self.request = Request.spent()
        self.plan = None
        self.extra = ()

    def _answered(self) -> None:
        """The answer is complete, although some of it may wait: nobody owns it any more."""
        self.handler = self.sink = None
        self.plan = None
        self.parts = None
        if self.open:
            self.due = 0.0

    def finish(self) -> None:
        if self.open:
            self.output.end()
            self._answered()

    def continue_(self) -> None:
        """RFC 9110, 10.1.1: a client that asks is told that its body is wanted."""
        self.connection.machine.send_headers(self.id, [(b":status", b"100")])
        self.connection.flush()

    def hint(self, ahead: tuple[Preload, ...]) -> None:
        """Push what the client will ask for next, or tell it what that is (RFC 8297)."""
        if not self.open or self.plan is None:
            return
        if not self.push_denied:
            for thing in ahead:
                self.push(thing.target, thing.response())
            return
        # A module is fetched as a request of another site's would be, and matched only so.
        links = ", ".join(
            f"<{t.target}>; rel=preload; as={t.kind}; crossorigin" for t in ahead if t.kind
        )
        self.connection.machine.send_headers(self.id, fields(103, (("Link", links),)))
        self.connection.flush()

    @property
    def push_denied(self) -> str:
        return self.connection.push_denied

    def push(self, target: str, response: Response) -> bool:
        return self.open and self.connection.push(self, target, response)

    def cork(self) -> None:
        self.connection.cork()

    def uncork(self) -> None:
        self.connection.uncork()

    def ping(self) -> None:
        if self.open:
            self.connection.ping()

    # As the watcher of its output

    def stuck(self) -> None:
        if self.handler is not None:
            self.handler.pause()

    def unstuck(self) -> None:
        if self.may_write and self.handler is not None:
            self.handler.resume()

    def ended(self) -> None:
        """The last is sent, or nothing can be sent any more."""
        self.connection.done(self)

    @property
    def may_write(self) -> bool:
        """Whether more can be written without piling up."""
        return (
            self.connection.writable
            and self.output.queue is None
            and self.stuck_pushes < MAX_STUCK_PUSHES
        )

    # For who keeps it open

    @property
    def can_tunnel(self) -> bool:
        return self.tunnelable

    def wake(self, seconds: float) -> None:
        service = self.connection.service
        if seconds <= 0:
            self.due = 0.0
        else:
            service.wheel.set(self, service.clock() + seconds)

    def timeout(self) -> None:
        """The wheel's call: a deadline of the owner, or of a body that is wanted whole."""
        if not self.open:
            return
        if self.handler is not None:
            self.handler.timeout()
        elif not self.running:
            self.respond(problem_response(Problem(408, "the request's body took too long")))

    def pause_reading(self) -> None:
        self.full = True

    def resume_reading(self) -> None:
        if self.full:
            self.full = False
            if self.parts is not None:
                self.take_parts()
            else:
                self._let_send()

    def abort(self) -> None:
        self.cut(ErrorCodes.CANCEL)

    def cut(self, code: ErrorCodes) -> None:
        """End the stream at once, for a reason."""
        if self.open:
            handler = self.handler
            self.complete = True  # the reset ends what the client sends as well
            self.output.reset(code)
            if handler is not None:
                handler.gone()

    def close(self) -> None:
        if self.open:
            handler = self.handler
            self.finish()
            if handler is not None:
                handler.gone()
