"""What all connections of one server share: how requests are planned, time, limits, meters."""

from __future__ import annotations

from collections.abc import Callable
from email.utils import formatdate
from typing import Protocol

from ..model import Counters
from .exchange import Plan
from .request import Request
from .timers import Wheel

__all__ = ["Abortable", "Connection", "Service"]

_CACHED_HEADS = 4096


class Abortable(Protocol):
    """What can be cut off at once."""

    def abort(self) -> None: ...


class Connection(Protocol):
    """A client's connection, whatever protocol it speaks."""

    @property
    def transport(self) -> Abortable: ...

    def drain(self) -> None:
        """Finish what is in hand, take nothing more."""
        ...


class Service:
    """The surroundings of a connection.

    `plan` settles how a request is answered and raises Problem; `clock` gives seconds, monotonic;
    `wall` seconds since 1970 UTC.
    """

    def __init__(
        self,
        plan: Callable[[Request], Plan],
        counters: Counters,
        clock: Callable[[], float],
        wall: Callable[[], float],
        *,
        idle: float = 75.0,
        head: float = 10.0,
        body: float = 60.0,
        secure: bool = False,
    ) -> None:
        self.plan = plan
        self.counters = counters
        self.clock = clock
        self.wheel = Wheel()
        self.idle = idle  # seconds a connection may wait for its next request
        self.head = head  # seconds a request's head may take
        self.body = body  # seconds a body that is wanted whole may take
        self.secure = secure  # connections are over TLS
        self.draining = False
        self.connections: set[Connection] = set()
        self.emptied: Callable[[], None] | None = None  # called when the last connection is gone
        self.date = b""
        self._wall = wall
        self._headers: dict[bytes, int] = {}  # the bytes of headers: the number of what they say
        self._numbers: dict[tuple[tuple[str, str], ...], int] = {}
        self._heads: dict[tuple[bytes, int], Request] = {}
        self.turn()

    def turn(self) -> None:
        """Let time go on: called every `wheel.resolution` seconds."""
        self.date = b"Date: " + formatdate(self._wall(), usegmt=True).encode() + b"\r\n"
        self.wheel.turn(self.clock())

    def left(self, connection: Connection) -> None:
        """A connection is gone."""
        self.connections.discard(connection)
        if not self.connections and self.emptied is not None:
            self.emptied()

    # Clients that poll send the same headers again and again, and many send the same request line:
    # what was read once is not read again.

    def known(self, head: bytes) -> Request | None:
        """The request that a head with this line and headers that say the same was read as."""
        end = head.find(b"\r\n")
        number = self._headers.get(head[end:])
        return None if number is None else self._heads.get((head[:end], number))

    def remember(self, head: bytes, request: Request) -> None:
        """Keep what a complete head was read as."""
        if not request.target.startswith(b"/"):
            return  # its Host is in the line (RFC 9112, 3.2.2), not in the headers
        if len(self._headers) >= _CACHED_HEADS or len(self._heads) >= _CACHED_HEADS:
            self._headers.clear()
            self._numbers.clear()
            self._heads.clear()
        said = tuple(sorted(request.headers.items()))
        end = head.find(b"\r\n")
        number = self._numbers.setdefault(said, len(self._numbers))
        self._headers[head[end:]] = number
        self._heads[head[:end], number] = request
