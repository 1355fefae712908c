"""What all connections of one server share: plans, limits in time, timers, counters, heads."""

from __future__ import annotations

from collections.abc import Callable
from email.utils import formatdate
from typing import Protocol

from ..model import Caller, Counters
from .exchange import Plan
from .heads import HeadCache
from .request import Request
from .timers import TimerWheel

__all__ = ["Abortable", "Connection", "ServerContext"]


class Abortable(Protocol):
    """What can be cut at once."""

    def abort(self) -> None: ...


class Connection(Protocol):
    """A client's connection, of any protocol."""

    @property
    def transport(self) -> Abortable: ...

    def drain(self) -> None:
        """Finish what is in progress, accept nothing more."""
        ...


class ServerContext:
    """What a connection gets from its server.

    `identify` makes the caller of a request, given the client's address; `plan` decides how the
    caller's request is answered. Both are called for each request, and raise Problem to refuse it.
    `clock` gives seconds, monotonic; `wall` gives seconds since 1970 UTC.
    """

    def __init__(
        self,
        identify: Callable[[Request, str], Caller],
        plan: Callable[[Request, Caller], Plan],
        counters: Counters,
        clock: Callable[[], float],
        wall: Callable[[], float],
        *,
        idle: float = 75.0,
        head: float = 10.0,
        body: float = 60.0,
        secure: bool = False,
    ) -> None:
        self.identify = identify
        self.plan = plan
        self.counters = counters
        self.clock = clock
        self.timers = TimerWheel()
        self.heads = HeadCache()
        self.idle = idle
        """Seconds that a connection may wait for its next request."""
        self.head = head
        """Seconds that a request's head may take."""
        self.body = body
        """Seconds that a body may take where the plan wants it whole."""
        self.secure = secure
        """Whether connections are over TLS."""
        self.draining = False
        self.connections: set[Connection] = set()
        self.on_empty: Callable[[], None] | None = None
        """Called when the last connection has closed."""
        self.date = b""
        """The value of the header Date."""
        self.date_line = b""
        """The header Date as HTTP/1.1 writes it."""
        self._wall = wall
        self.tick()

    def judge(self, request: Request, address: str) -> tuple[Caller, Plan]:
        """Who makes a request, and how it is answered: decided for each request again.

        `address` is the client's IP address. Raises Problem where the request is refused.
        """
        caller = self.identify(request, address)
        return caller, self.plan(request, caller)

    def tick(self) -> None:
        """Update the date and run the timers: called every `timers.resolution` seconds."""
        self.date = formatdate(self._wall(), usegmt=True).encode()
        self.date_line = b"Date: " + self.date + b"\r\n"
        self.timers.advance(self.clock())

    def remove(self, connection: Connection) -> None:
        """A connection has closed."""
        self.connections.discard(connection)
        if not self.connections and self.on_empty is not None:
            self.on_empty()
