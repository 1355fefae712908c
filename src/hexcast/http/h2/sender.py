"""The sending side of one HTTP/2 stream: DATA frames, under flow control (RFC 9113, 5.2 and 6.9).

A record that goes to a thousand streams is one payload with a thousand frame headers. The frames
are therefore written here, while the windows are kept where the state machine keeps them: in the
attributes of that name, which it lowers for what it sends itself and raises by WINDOW_UPDATE.
"""

from __future__ import annotations

import struct
from collections import deque
from typing import TYPE_CHECKING, Protocol

from h2.errors import ErrorCodes

from ...model import PerClient

if TYPE_CHECKING:
    from h2.connection import H2Connection as Machine
    from h2.stream import H2Stream as StreamState

    from .connection import H2Connection

__all__ = ["Sender", "SenderOwner"]

STALL_SECONDS = 30.0
"""How long an answer that is complete may wait for a client that opens no window."""

_pack = struct.Struct(">HBBBL").pack
_MAX_JOINED = 4096


class SenderOwner(Protocol):
    """Who is told how the output goes."""

    def blocked(self) -> None:
        """The window is used up: what was written waits."""
        ...

    def unblocked(self) -> None:
        """All that was written is sent."""
        ...

    def ended(self) -> None:
        """The stream's last frame is sent, or nothing can be sent any more."""
        ...


class Sender(PerClient):
    """What is written to one stream."""

    __slots__ = (
        "bucket", "closed", "connection", "due", "ending", "id", "machine", "owner", "queue",
        "queued", "state",
    )  # fmt: skip

    def __init__(self, connection: H2Connection, id: int, owner: SenderOwner) -> None:
        self.connection = connection
        self.machine: Machine = connection.machine
        self.state: StreamState = connection.machine.streams[id]
        self.id = id
        self.owner = owner
        self.queue: deque[memoryview] | None = None  # None while nothing waits
        self.queued = 0  # bytes in the queue
        self.ending = False  # END_STREAM goes behind the queue
        self.closed = False
        self.due = 0.0  # of the timer wheel
        self.bucket = 0  # of the timer wheel

    def write(self, data: bytes) -> None:
        """Send a piece of the body, now or when the windows allow."""
        if self.closed or not data:
            return
        size = len(data)
        state, machine = self.state, self.machine
        if (
            self.queue is None
            and size <= state.outbound_flow_control_window
            and size <= machine.outbound_flow_control_window
            and size <= machine.max_outbound_frame_size
        ):
            state.outbound_flow_control_window -= size
            machine.outbound_flow_control_window -= size
            connection = self.connection
            connection.sent += 1
            connection.sent_bytes += size
            header = _pack(size >> 8, size & 255, 0, 0, self.id)
            if size <= _MAX_JOINED:
                connection.send(header + data)
            else:
                connection.send(header)
                connection.send(data)
            return
        waited = self.queue is not None
        if self.queue is None:
            self.queue = deque()
        self.queue.append(memoryview(data))
        self.queued += size
        self.connection.queued += size
        if not waited:
            self.pump()
            if self.queue is not None:
                self.connection.blocked_senders[self] = None
                self.owner.blocked()

    def end(self, last: bytes = b"") -> None:
        """Send `last`, and END_STREAM behind everything."""
        if self.closed or self.ending:
            return
        if last and self.queue is None and len(last) <= self._window():
            self.connection.sent += 1
            self.connection.sent_bytes += len(last)
            self.machine.send_data(self.id, last, end_stream=True)
            self._ended()
            return
        if last:
            self.connection.flush()
            self.write(last)
        self.ending = True
        if self.queue is None:
            self.machine.end_stream(self.id)
            self._ended()
        else:
            self._expect_progress()

    def pump(self) -> None:
        """Send of the queue what the windows and the socket allow."""
        queue, connection = self.queue, self.connection
        if queue is None:
            return
        before = self.queued
        while queue and connection.writable:
            data = queue[0]
            size = min(len(data), self._window())
            if size <= 0:
                break
            self.state.outbound_flow_control_window -= size
            self.machine.outbound_flow_control_window -= size
            connection.sent += 1
            connection.sent_bytes += size
            connection.send(_pack(size >> 8, size & 255, 0, 0, self.id))
            connection.send(data[:size])
            if size < len(data):
                queue[0] = data[size:]
            else:
                queue.popleft()
            self.queued -= size
            connection.queued -= size
        if not queue:
            self.queue = None
            connection.blocked_senders.pop(self, None)
            if self.ending:
                self.machine.end_stream(self.id)
                self._ended()
            else:
                self.owner.unblocked()
        elif self.ending and self.queued < before:
            self._expect_progress()

    def _window(self) -> int:
        """Bytes that the next frame may have."""
        return min(
            self.state.outbound_flow_control_window,
            self.machine.outbound_flow_control_window,
            self.machine.max_outbound_frame_size,
        )

    def _expect_progress(self) -> None:
        server = self.connection.server
        server.timers.set(self, server.clock() + STALL_SECONDS)

    def timeout(self) -> None:
        """The client takes nothing of an answer that is complete."""
        self.reset(ErrorCodes.CANCEL)

    def reset(self, code: ErrorCodes) -> None:
        """End the stream as broken."""
        if not self.closed:
            self.connection.refuse(self.id, code)
            self.close()
            self.owner.ended()

    def _ended(self) -> None:
        self.connection.flush()
        self.close()
        self.owner.ended()

    def close(self) -> None:
        """Let go of everything: nothing can be sent any more."""
        self.closed = True
        self.connection.queued -= self.queued
        self.queued = 0
        self.queue = None
        self.connection.blocked_senders.pop(self, None)
        self.connection.server.timers.remove(self)
