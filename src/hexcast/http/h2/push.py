"""Server push (RFC 9113, 8.4): an answer to a request that the client has not made."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from h2.exceptions import NoAvailableStreamIDError
from hpack import NeverIndexedHeaderTuple

from ..exchange import Response
from .exchange import H2Exchange, fields
from .sender import Output

if TYPE_CHECKING:
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
        # The state machine lets go of streams that are over when it counts those that are not.
        assert machine.open_outbound_streams >= 0
    machine.push_stream(
        parent.id,
        id,
        [
            (b":method", b"GET"),
            (b":scheme", b"https" if connection.service.secure else b"http"),
            (b":authority", parent.authority),
            NeverIndexedHeaderTuple(b":path", target.encode("ascii")),
        ],
    )
    machine.send_headers(id, fields(response.status, response.headers))
    pushed = _Push(parent)
    connection.pushes[id] = pushed.output = Output(connection, id, pushed)
    pushed.output.end(response.body)
    connection.flush()
    if not pushed.output.closed:
        pushed.waits()
    return True


class _Push:
    """Watches a pushed answer, on behalf of the exchange that it belongs to."""

    __slots__ = ("output", "parent", "waiting")

    def __init__(self, parent: H2Exchange) -> None:
        self.parent = parent
        self.output: Output = cast(Output, None)  # set when it begins
        self.waiting = False

    def waits(self) -> None:
        self.waiting = True
        self.parent.stuck_pushes += 1
        if not self.parent.may_write:
            self.parent.stuck()

    def stuck(self) -> None:
        """Counted once it is known that it is not over (`waits`)."""

    def unstuck(self) -> None:
        """It ends with what it was begun with."""

    def ended(self) -> None:
        output = self.output
        if output is not None:
            output.connection.pushes.pop(output.id, None)
        if self.waiting:
            self.waiting = False
            self.parent.stuck_pushes -= 1
            if self.parent.open:
                self.parent.unstuck()
