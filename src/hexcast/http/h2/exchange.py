"""An exchange on one stream of an HTTP/2 connection (RFC 9113): its body in, its answer out."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from h2.errors import ErrorCodes
from hpack import NeverIndexedHeaderTuple

from ...model import Caller, Problem
from ..exchange import Body, Exchange, Plan, Tunnel, plain
from ..problems import problem_response
from ..request import Request
from ..response import Headers, Preload, Response
from .sender import Sender

if TYPE_CHECKING:
    from .connection import H2Connection

__all__ = ["H2Exchange", "fields"]

_log = logging.getLogger(__name__)

MAX_BLOCKED_PUSHES = 8
"""Pushed answers that may wait for a window before the exchange they belong to is paused."""

# Their values do not repeat: kept in the table of sent fields (RFC 7541), they would evict those
# that do.
_UNIQUE = frozenset(("etag", "hexcast-cursor", "location"))
# RFC 9113, 8.2.2: headers about an HTTP/1.1 connection are not sent.
_NOT_SENT = frozenset(("connection", "upgrade", "transfer-encoding", "keep-alive"))


def fields(status: int, headers: Headers) -> list[tuple[bytes, bytes]]:
    """The fields of an answer, as they are encoded."""
    sent = [(b":status", b"%d" % status)]
    for name, value in headers:
        lower = name.lower()
        if lower in _UNIQUE:
            sent.append(NeverIndexedHeaderTuple(lower.encode("latin-1"), value.encode("latin-1")))
        elif lower not in _NOT_SENT:
            sent.append((lower.encode("latin-1"), value.encode("latin-1")))
    return sent


def _no_tunnel() -> Problem:
    return Problem(400, "there is no WebSocket at this address")


class H2Exchange(Exchange):
    """One request on a stream of its own."""

    __slots__ = (
        "authority", "blocked_pushes", "bucket", "complete", "connection", "due", "extra",
        "head_only", "id", "may_tunnel", "open", "parts", "plan", "reading_paused", "running",
        "sender", "size", "tunnel_reader", "unacknowledged",
    )  # fmt: skip

    def __init__(
        self,
        connection: H2Connection,
        id: int,
        request: Request,
        caller: Caller,
        plan: Plan,
        *,
        complete: bool,
    ) -> None:
        super().__init__(request, caller, plain)
        self.connection = connection
        self.id = id
        self.plan: Plan | None = plan  # until the answer has begun
        self.sender = Sender(connection, id, self)
        self.open = True
        self.running = False  # the plan was run, or is being run
        self.complete = complete  # the client has sent all of its body
        self.head_only = request.method == "HEAD"
        self.may_tunnel = False  # an extended CONNECT
        self.parts: list[bytes] | None = None  # of the body, not yet taken
        self.size = 0  # buffered bytes of the body: `set_buffered`
        self.unacknowledged = 0  # received bytes by which the window was not reopened
        self.reading_paused = False  # the plan takes no more for now
        self.tunnel_reader: Tunnel | None = None  # who reads, once this is a tunnel
        self.extra = plan.headers
        self.authority = request.header("host").encode("latin-1")  # of what is promised
        self.blocked_pushes = 0
        self.due = 0.0  # of the timer wheel
        self.bucket = 0  # of the timer wheel

    # What comes in

    def receive(self, data: bytes, length: int) -> None:
        """A piece of the body, which took `length` bytes of the window."""
        self.unacknowledged += length
        plan = self.plan
        if not self.open:
            return
        if self.tunnel_reader is not None:
            self.tunnel_reader.feed(data)
        elif self.body_reader is not None and not self.reading_paused:
            self.body_reader.feed(data)
        elif plan is not None and plan.body is Body.WHOLE:
            self._buffer(data, plan.limit)
            return
        elif self.body_reader is not None or (plan is not None and plan.body is Body.STREAM):
            if self.parts is None:
                self.parts = []
            self.parts.append(data)
            return
        if not self.reading_paused:
            self._reopen()

    def _reopen(self) -> None:
        """Let the client send on, if it is its turn."""
        if self.size:
            self.connection.uploads.reopen_windows()
        else:
            self.reopen_window()

    def set_buffered(self, size: int) -> None:
        if self.open:
            self.connection.uploads.set_buffered(self, size)

    def _buffer(self, data: bytes, limit: int) -> None:
        self.connection.uploads.set_buffered(self, self.size + len(data))
        if self.size > limit:
            self.respond(problem_response(Problem(413, f"the body is larger than {limit} bytes")))
            return
        if self.parts is None:
            self.parts = []
        self.parts.append(data)
        self.connection.uploads.reopen_windows()

    def received_all(self) -> None:
        """The client has sent its last."""
        self.complete = True
        if not self.open:
            return
        if self.tunnel_reader is not None:
            self.tunnel_reader.eof()
        elif self.body_reader is None:
            if self.plan is not None and self.plan.body is Body.STREAM and self.parts is None:
                self.parts = []  # its end is reported to the reader that comes later
        elif self.parts is None:
            self.body_reader.eof()

    def reopen_window(self) -> None:
        """Let the client send as much again as was taken in."""
        size, self.unacknowledged = self.unacknowledged, 0
        if size and self.open and not self.complete:
            self.connection.open_window(size, self.id)

    def take_parts(self) -> None:
        """Hand on what came before somebody took it."""
        while self.parts and self.open and self.body_reader is not None and not self.reading_paused:
            self.body_reader.feed(self.parts.pop(0))
        if not self.parts:
            self.parts = None
            if self.open and not self.reading_paused:
                self._reopen()
                if self.complete and self.body_reader is not None:
                    self.body_reader.eof()

    # Running

    def run(self) -> None:
        """Run the plan. What it raises becomes the answer, and reaches no other client."""
        self.running = True
        plan = self.plan
        assert plan is not None
        body = b""
        if plan.body is Body.WHOLE:
            body = b"".join(self.parts or ())
            self.parts = None
            self.connection.uploads.remove(self)
        try:
            plan.run(self, body)
        except Problem as problem:
            self.respond(problem_response(problem))
        except Exception:  # noqa: BLE001  # our own fault must not reach other clients
            _log.exception("%s %r failed", self.request.method, self.request.target[:200])
            if self.plan is None or self.handler is not None or not self.open:
                self.cut(ErrorCodes.INTERNAL_ERROR)
            else:
                self.respond(problem_response(Problem(500, "the server failed")))
        if self.open and self.body_reader is not None:
            if self.parts is not None:
                self.take_parts()
            elif self.complete:
                self.body_reader.eof()

    # What goes out

    def respond(self, response: Response) -> None:
        if not self.open or self.sender.ending:
            return
        if response.status >= 400:
            self.connection.server.counters.refused += 1
        elif self.may_tunnel and response.status < 300:
            # RFC 8441, 5: whatever is 2xx would say that the WebSocket is open.
            response = problem_response(_no_tunnel())
        body = b"" if self.head_only else response.body
        self._head(response.status, response.all_headers, end=not body)
        if body:
            self.sender.end(body)
        self._answered()

    def start(self, status: int, headers: Headers) -> Callable[[bytes], None]:
        if self.may_tunnel:
            raise _no_tunnel()
        self._head(status, headers)
        self._release_request()
        return self.sender.write

    def tunnel(self, headers: Headers, tunnel: Tunnel) -> Callable[[bytes], None]:
        self._head(200, headers)  # RFC 8441, 5.1: 200 where HTTP/1.1 has 101
        self._release_request()
        self.tunnel_reader = tunnel
        return self.sender.write

    def _head(self, status: int, headers: Headers, *, end: bool = False) -> None:
        connection = self.connection
        sent = fields(status, (*headers, *self.extra))
        sent.append((b"date", connection.server.date))
        connection.machine.send_headers(self.id, sent, end_stream=end)
        connection.flush()
        if end:
            self.sender.close()
            self.ended()

    def _release_request(self) -> None:
        """An idle subscriber keeps nothing of its request."""
        self.request = Request.spent()
        self.plan = None
        self.extra = ()

    def _answered(self) -> None:
        """The answer is complete, although some of it may wait: nobody owns it any more."""
        self.handler = self.body_reader = None
        self.plan = None
        self.parts = None
        if self.open:
            self.connection.server.timers.clear(self)

    def finish(self) -> None:
        if self.open:
            self.sender.end()
            self._answered()

    def continue_(self) -> None:
        """RFC 9110, 10.1.1: a client that asks is told that its body is wanted."""
        self.connection.machine.send_headers(self.id, [(b":status", b"100")])
        self.connection.flush()

    def hint(self, preloads: tuple[Preload, ...]) -> None:
        """Push what the client will request next, or announce it (RFC 8297)."""
        if not self.open or self.plan is None:
            return
        if not self.push_denied:
            for thing in preloads:
                self.push(thing.target, thing.response())
            return
        # A module is fetched as a request of another site's would be, and matched only so.
        links = ", ".join(
            f"<{t.target}>; rel=preload; as={t.kind}; crossorigin" for t in preloads if t.kind
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

    def blocked(self) -> None:
        if self.handler is not None:
            self.handler.pause()

    def unblocked(self) -> None:
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
            and self.sender.queue is None
            and self.blocked_pushes < MAX_BLOCKED_PUSHES
        )

    # For who keeps it open

    @property
    def can_tunnel(self) -> bool:
        return self.may_tunnel

    def set_deadline(self, seconds: float) -> None:
        server = self.connection.server
        if seconds <= 0:
            self.connection.server.timers.clear(self)
        else:
            server.timers.set(self, server.clock() + seconds)

    def timeout(self) -> None:
        """The handler's deadline, or that of a body that the plan wants whole."""
        if not self.open:
            return
        if self.handler is not None:
            self.handler.timeout()
        elif not self.running:
            self.respond(problem_response(Problem(408, "the request's body took too long")))

    def pause_reading(self) -> None:
        self.reading_paused = True

    def resume_reading(self) -> None:
        if self.reading_paused:
            self.reading_paused = False
            if self.parts is not None:
                self.take_parts()
            else:
                self._reopen()

    def abort(self) -> None:
        self.cut(ErrorCodes.CANCEL)

    def cut(self, code: ErrorCodes) -> None:
        """End the stream at once, for a reason."""
        if self.open:
            handler = self.handler
            self.complete = True  # the reset ends what the client sends as well
            self.sender.reset(code)
            if handler is not None:
                handler.disconnected()

    def close(self) -> None:
        if self.open:
            handler = self.handler
            self.finish()
            if handler is not None:
                handler.disconnected()
