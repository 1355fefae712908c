"""Server push (RFC 9113, 8.4): an answer to a request that the client has not made."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from h2.exceptions import NoAvailableStreamIDError
from hpack import NeverIndexedHeaderTuple

from ..response import Response
from .exchange import H2Exchange, fields
from .sender import Sender

if TYPE_CHECKING:
    from h2.connection import H2Connection as Machine

    from .connection import H2Connection

__all__ = ["push"]

MAX_PUSHES = 100
_REAP_PUSHES = 64


def push(connection: H2Connection, parent: H2Exchange, target: str, response: Response) -> bool:
    """Promise a GET of `target` on a stream and push its answer; False where it cannot be."""
    machine = connection.machine
    limit = min(MAX_PUSHES, machine.remote_settings.max_concurrent_streams)
    if connection.push_denied or len(connection.pushes) >= limit:
        return False
    try:
        id = machine.get_next_available_stream_id()
    except NoAvailableStreamIDError:
        return False
    connection.pushed += 1
    if connection.pushed % _REAP_PUSHES == 0:
        _reap_closed_streams(machine)
    machine.push_stream(
        parent.id,
        id,
        [
            (b":method", b"GET"),
            (b":scheme", b"https" if connection.server.secure else b"http"),
            (b":authority", parent.authority),
            NeverIndexedHeaderTuple(b":path", target.encode("ascii")),
        ],
    )
    machine.send_headers(id, fields(response.status, response.headers))
    pushed = _Push(parent)
    connection.pushes[id] = pushed.sender = Sender(connection, id, pushed)
    pushed.sender.end(response.body)
    connection.flush()
    if not pushed.sender.closed:
        pushed.count()
    return True


def _reap_closed_streams(machine: Machine) -> None:
    """Make the state machine delete closed streams, which it does only when it counts them."""
    _ = machine.open_outbound_streams


class _Push:
    """Watches a pushed answer, on behalf of the exchange that it belongs to."""

    __slots__ = ("parent", "sender", "waiting")

    def __init__(self, parent: H2Exchange) -> None:
        self.parent = parent
        self.sender: Sender = cast(Sender, None)  # set when it begins
        self.waiting = False

    def count(self) -> None:
        self.waiting = True
        self.parent.blocked_pushes += 1
        if not self.parent.may_write:
            self.parent.blocked()

    def blocked(self) -> None:
        """Counted once it is known that it is not over (`count`)."""

    def unblocked(self) -> None:
        """It ends with what it was begun with."""

    def ended(self) -> None:
        sender = self.sender
        if sender is not None:
            sender.connection.pushes.pop(sender.id, None)
        if self.waiting:
            self.waiting = False
            self.parent.blocked_pushes -= 1
            if self.parent.open:
                self.parent.unblocked()
