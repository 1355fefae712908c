"""HTTP/2 (RFC 9113) over one connection: many exchanges, each on a stream of its own.

Theory of operation. Bytes go past a `FrameGuard` to the `h2` library's state machine, which brings
events; a request becomes an exchange, whose plan is run as soon as its body is as the plan wants
it. What the state machine has to send, and the DATA frames that `Sender` writes, leave in the order
in which they were made: whoever makes it say something flushes it. Rules:

1. While a read is worked through, everything is gathered and leaves with one write.
2. What a client has cancelled by the time its bytes are read is never begun.
3. A stream that cannot be written to pauses its owner and nobody else's. Only a socket that is full
   pauses all, and then nothing is read either: each frame read may want an answer.
4. Answers in hand are bounded over all streams; requests beyond that wait.
5. What is of no use until its end has come shares a bound (`Uploads`).
6. After GOAWAY, ours or the client's, what is open goes on; nothing is begun.
"""

from __future__ import annotations

import asyncio
import logging
import struct
from collections import deque
from contextlib import suppress
from typing import cast

from h2.errors import ErrorCodes
from h2.events import (
    DataReceived,
    Event,
    RemoteSettingsChanged,
    RequestReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
    WindowUpdated,
)
from h2.exceptions import ProtocolError, StreamClosedError

from ...model import Caller, PerClient, Problem
from ..address import client_address
from ..context import ServerContext
from ..exchange import Body
from ..problems import refusal
from ..request import Request
from ..response import Response
from . import push as h2_push
from .exchange import H2Exchange
from .guard import PREFACE, RESET_COST, Abuse, FrameGuard
from .machine import CONFIG, ENFORCED, MAX_STREAMS, OFFERED, Machine
from .requests import Malformed, check_trailers, read_request
from .sender import Sender
from .uploads import Uploads

__all__ = ["PREFACE", "H2Connection"]

_log = logging.getLogger(__name__)

MAX_QUEUED = 4 * 2**20
"""Bytes of answers that wait for windows, over all streams, above which no plan is run."""

CONNECTION_WINDOW = 2**20
LINGER_SECONDS = 2.0
SILENT_SECONDS = 60.0
"""How long a client that is pinged may send nothing at all."""

MAX_DISCARDED = 4 * 2**20
_WINDOW_UPDATE = struct.Struct(">HBBBLL")


class H2Connection(PerClient, asyncio.Protocol):
    """A client's connection."""

    __slots__ = (
        "_address", "_corked", "_discarded", "_goaway_sent", "_guard", "_out", "_reading",
        "_received", "_unanswered_ping", "_waiting", "blocked_senders", "bucket",
        "due", "finished", "machine", "pushed", "pushes", "queued", "sent",
        "sent_bytes", "server", "streams", "transport", "uploads", "writable",
    )  # fmt: skip

    def __init__(self, server: ServerContext) -> None:
        self.server = server
        self.transport: asyncio.Transport = cast(asyncio.Transport, None)  # from connection_made
        self.machine = Machine(CONFIG)
        self.streams: dict[int, H2Exchange] = {}
        self.pushes: dict[int, Sender] = {}  # pushed answers that wait for a window
        self.blocked_senders: dict[Sender, None] = {}  # outputs that wait for a window
        self.queued = 0  # bytes that wait so
        self.sent = 0  # DATA frames since the guard was told
        self.sent_bytes = 0  # bytes of them
        self.writable = True
        self.finished = False  # the connection is lost, or will be once all is written
        self.due = 0.0  # of the timer wheel
        self.bucket = 0  # of the timer wheel
        self._address = ""  # the client's, from connection_made
        self._guard = FrameGuard(server.clock())
        self._out: list[bytes | memoryview] | None = None  # rule 1
        self._waiting: deque[H2Exchange] | None = None  # rule 4
        self.uploads = Uploads()  # rule 5
        self._received = 0  # bytes of DATA since the connection's window was opened
        self._reading = True
        self._goaway_sent = False
        self._corked = False
        self._discarded = -1  # bytes thrown away while it lingers; -1 while it does not
        self.pushed = 0  # answers, since the connection began
        self._unanswered_ping = 0.0  # when the first ping was sent since which nothing came

    # From the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._address = client_address(transport)
        server = self.server
        server.connections.add(self)
        server.counters.connections += 1
        server.timers.set(self, server.clock() + server.head)
        machine = self.machine
        machine.local_settings = OFFERED
        machine.initiate_connection()
        machine.local_settings = ENFORCED
        machine.increment_flow_control_window(CONNECTION_WINDOW - 65_535)
        self.flush()

    def data_received(self, data: bytes) -> None:
        server = self.server
        server.counters.received += len(data)
        self._unanswered_ping = 0.0
        if self.finished:
            self._discard(len(data))
            return
        self._out = []
        try:
            guard = self._guard
            guard.earn(self.sent, self.sent_bytes)
            self.sent = self.sent_bytes = 0
            data = guard.feed(data, server.clock(), self.streams)
            if guard.dropped:
                # Nor has the state machine counted it: by this it is given back as it was taken.
                self.send(_WINDOW_UPDATE.pack(0, 4, 8, 0, 0, guard.dropped))
                guard.dropped = 0
            try:
                events = self.machine.receive_data(data)
            except ProtocolError as error:
                # The state machine has said GOAWAY with the code of the rule that was broken.
                self.flush()
                _log.debug("HTTP/2 connection ended: %s", error)
                self._end()
                self._linger()
            else:
                self.flush()
                self._handle_events(events)
        except Abuse as abuse:
            self._fail(abuse.code, str(abuse))
        except Exception:  # noqa: BLE001  # a fault in reading must not reach other clients
            _log.exception("an HTTP/2 connection failed")
            self._fail(ErrorCodes.INTERNAL_ERROR, "")
        self._send_out()
        if not self.finished:
            self._rearm_timer()
        elif self._discarded < 0:
            self._close()

    def eof_received(self) -> bool:
        return False  # what is half open in HTTP/2 is a stream

    def connection_lost(self, error: Exception | None) -> None:
        server = self.server
        server.counters.connections -= 1
        self._end()
        server.timers.remove(self)
        server.remove(self)

    def pause_writing(self) -> None:
        self.writable = False
        self._update_read_flow()
        for exchange in list(self.streams.values()):
            exchange.blocked()

    def resume_writing(self) -> None:
        self.writable = True
        self._update_read_flow()
        self._pump()
        for exchange in list(self.streams.values()):
            exchange.unblocked()
        self._run_waiting()

    def timeout(self) -> None:
        """A header block does not end, or the connection has nothing to do any more."""
        if self.finished:
            self.transport.abort()
        elif self._late:
            self._fail(ErrorCodes.ENHANCE_YOUR_CALM, "a header took too long")
        elif self._guard.in_block:
            self._rearm_timer()
        elif not self.streams:
            self._send_goaway(ErrorCodes.NO_ERROR)
            self._end()
            self._close()

    def drain(self) -> None:
        """Finish what is in hand, take nothing more.

        Streams that can end at once do so before GOAWAY: there are clients that read nothing after.
        """
        if self.finished:
            return
        self.cork()
        for exchange in list(self.streams.values()):
            if exchange.handler is not None:
                exchange.handler.drain()
        self._send_goaway(ErrorCodes.NO_ERROR)
        self._close_if_done()
        self.uncork()
        if self.finished:
            self._close()

    # Writing

    def send(self, data: bytes | memoryview) -> None:
        """Write bytes, in order with everything else."""
        if self._out is not None:
            self._out.append(data)
        else:
            self.transport.write(data)

    def flush(self) -> None:
        """Send what the state machine has to say."""
        data = self.machine.data_to_send()
        if data:
            self.send(data)

    def cork(self) -> None:
        """Gather what is sent until `uncork`; while a read is worked through it is so anyway."""
        if self._out is None:
            self._out = []
            self._corked = True

    def uncork(self) -> None:
        """Send what was gathered since `cork`."""
        if self._corked:
            self._corked = False
            self._send_out()

    def _send_out(self) -> None:
        out, self._out = self._out, None
        if out and not self.transport.is_closing():
            self.transport.write(out[0] if len(out) == 1 else b"".join(out))

    def ping(self) -> None:
        """Show that the connection lives, and end it where the client shows no such thing."""
        now = self.server.clock()
        if not self._unanswered_ping or not self.writable:
            self._unanswered_ping = now
        elif now - self._unanswered_ping >= SILENT_SECONDS:
            self.transport.abort()
            return
        self.machine.ping(b"\0" * 8)
        self.flush()

    def open_window(self, size: int, stream: int) -> None:
        """Let the client send more on a stream; nothing once the connection has ended."""
        if self.finished:
            return
        self.machine.increment_flow_control_window(size, stream)
        self.flush()

    def refuse(self, stream: int, code: ErrorCodes) -> None:
        """End a stream from here. What the client has sent on it by then does no harm."""
        state = self.machine.streams.get(stream)
        window = state.inbound_flow_control_window if state is not None and stream % 2 else 0
        self.machine.reset_stream(stream, code)
        if window > 0:
            self._guard.refused(stream, window)
        self.flush()

    def _send_goaway(self, code: ErrorCodes, reason: str = "") -> None:
        """Written here: the state machine would take it for the end of all streams."""
        if self._goaway_sent:
            return
        self._goaway_sent = True
        body = struct.pack(">LL", self.machine.highest_inbound_stream_id, code) + reason.encode()
        self.send(struct.pack(">HBBBL", len(body) >> 8, len(body) & 255, 7, 0, 0) + body)

    # Reading

    def _handle_events(self, events: list[Event]) -> None:
        cancelled: set[int] | None = None
        for event in events:
            if isinstance(event, StreamReset):
                cancelled = cancelled or set()
                cancelled.add(event.stream_id)
                self._reset(event)
        opened = False
        for event in events:
            if isinstance(event, RequestReceived):
                if cancelled is None or event.stream_id not in cancelled:
                    self._begin(event)
            elif isinstance(event, DataReceived):
                self._take_data(event)
            elif isinstance(event, TrailersReceived):
                self._take_trailers(event)
            elif isinstance(event, StreamEnded):
                exchange = self.streams.get(event.stream_id)
                if exchange is not None and not exchange.complete:
                    exchange.received_all()
                    self._run_if_ready(exchange)
            elif isinstance(event, WindowUpdated | RemoteSettingsChanged):
                opened = True
        if opened:
            self._pump()
        self._run_waiting()
        if self._guard.last_wanted >= 0:
            self._close_if_done()

    def _begin(self, event: RequestReceived) -> None:
        """A request's head."""
        server, id = self.server, event.stream_id
        if self._goaway_sent or server.draining or len(self.streams) >= MAX_STREAMS:
            self.refuse(id, ErrorCodes.REFUSED_STREAM)
            self._guard.charge(1.0, "streams beyond the limit")
            return
        server.counters.requests += 1
        upgrade = False
        try:
            request, upgrade = read_request(event.headers, secure=server.secure)
            caller, plan = server.judge(request, self._address)
            length = request.header("content-length")
            if plan.limit and length and int(length) > plan.limit:
                raise Problem(413, f"the body is larger than {plan.limit} bytes")
        except Malformed:
            self.refuse(id, ErrorCodes.PROTOCOL_ERROR)
            self._guard.charge(RESET_COST, "malformed requests")
            return
        except Problem as problem:
            request = Request("GET", b"/", (), version="2")
            caller, plan = Caller(), refusal(problem)
        complete = event.stream_ended is not None
        exchange = H2Exchange(self, id, request, caller, plan, complete=complete)
        exchange.may_tunnel = upgrade
        self.streams[id] = exchange
        if not complete and plan.body is not Body.NONE:
            if request.header("expect").lower() == "100-continue":
                exchange.continue_()
            if plan.body is Body.WHOLE:
                self.uploads.add(exchange)
                exchange.set_deadline(server.body)
        self._run_if_ready(exchange)

    def _run_if_ready(self, exchange: H2Exchange) -> None:
        plan = exchange.plan
        if plan is None or exchange.running or not exchange.open:
            return
        if plan.body is Body.WHOLE and not exchange.complete:
            return
        if self._waiting or not self._may_run:
            self._waiting = self._waiting if self._waiting is not None else deque()
            self._waiting.append(exchange)
        else:
            exchange.run()

    @property
    def _may_run(self) -> bool:
        return self.writable and self.queued < MAX_QUEUED

    def _run_waiting(self) -> None:
        while self._waiting and self._may_run and not self.finished:
            exchange = self._waiting.popleft()
            if exchange.open and not exchange.running:
                exchange.run()
        if not self._waiting:
            self._waiting = None

    def _take_data(self, event: DataReceived) -> None:
        length = event.flow_controlled_length or 0
        self._received += length
        if self._received >= CONNECTION_WINDOW // 2:
            # The bound is each stream's own window: one that is not read holds up no other.
            self.machine.increment_flow_control_window(self._received)
            self._received = 0
            self.flush()
        exchange = self.streams.get(event.stream_id)
        if exchange is not None:
            exchange.receive(event.data or b"", length)

    def _take_trailers(self, event: TrailersReceived) -> None:
        """Nothing is made of them, but they must be some."""
        exchange = self.streams.get(event.stream_id)
        try:
            check_trailers(event.headers or ())
        except Malformed:
            self._guard.charge(RESET_COST, "malformed trailers")
            if exchange is not None:
                exchange.cut(ErrorCodes.PROTOCOL_ERROR)

    def _reset(self, event: StreamReset) -> None:
        id = event.stream_id
        if not event.remote_reset:
            self._guard.charge(RESET_COST, "errors on streams")  # CVE-2025-8671
        push = self.pushes.get(id)
        if push is not None:
            push.close()
            push.owner.ended()
        exchange = self.streams.get(id)
        if exchange is not None:
            exchange.complete = True
            exchange.sender.close()
            handler = exchange.handler
            self.done(exchange)
            if handler is not None:
                handler.disconnected()

    def _pump(self) -> None:
        """Send what waited for windows, the streams in turn."""
        for sender in list(self.blocked_senders):
            if not self.writable:
                break
            del self.blocked_senders[sender]
            self.blocked_senders[sender] = None  # to the end of the row
            sender.pump()

    # Push

    @property
    def push_denied(self) -> str:
        """Why nothing can be pushed: `push-off`, `no-streams`; empty where it can."""
        settings = self.machine.remote_settings
        if not settings.enable_push or self._goaway_sent or self._guard.last_wanted >= 0:
            return "push-off"
        return "" if settings.max_concurrent_streams else "no-streams"

    def push(self, parent: H2Exchange, target: str, response: Response) -> bool:
        """Promise a GET of `target` on a stream and push its answer; False where it cannot be."""
        return h2_push.push(self, parent, target, response)

    # The end

    def done(self, exchange: H2Exchange) -> None:
        """An exchange is over."""
        if not exchange.open:
            return
        exchange.open = False
        exchange.handler = exchange.body_reader = exchange.tunnel_reader = None
        exchange.plan = exchange.parts = None
        self.server.timers.remove(exchange)
        self.uploads.remove(exchange)
        del self.streams[exchange.id]
        if self.finished:
            return
        if not exchange.complete:
            # 8.1: the answer does not need the rest of the request.
            with suppress(StreamClosedError):  # its end has come, and is yet to be worked through
                self.refuse(exchange.id, ErrorCodes.NO_ERROR)
        if not self.streams:
            self._close_if_done()
            if self._out is None:
                self._rearm_timer()

    def _close_if_done(self) -> None:
        if self.finished or self.streams or self.pushes:
            return
        if self._goaway_sent or self._guard.last_wanted >= 0:
            self._send_goaway(ErrorCodes.NO_ERROR)
            self._end()
            if self._out is None:
                self._close()

    def _fail(self, code: ErrorCodes, reason: str) -> None:
        """The connection cannot go on."""
        self.flush()
        self._goaway_sent = False
        self._send_goaway(code, reason)
        self._end()
        self._linger()

    def _close(self) -> None:
        """Close when all is written and, where that can be told, the client has read it."""
        if self.transport.can_write_eof():
            self._linger()
        else:
            self.transport.close()  # over TLS this waits for the client's own farewell

    def _linger(self) -> None:
        """Let GOAWAY reach a client that is still sending: a reset would destroy it."""
        self._send_out()
        self._discarded = 0
        if self.transport.can_write_eof() and not self.transport.is_closing():
            self.transport.write_eof()
        self.server.timers.set(self, self.server.clock() + LINGER_SECONDS)

    def _discard(self, size: int) -> None:
        if self._discarded >= 0:
            self._discarded += size
            if self._discarded > MAX_DISCARDED:
                self.transport.abort()

    def _end(self) -> None:
        """Let go of every stream: nothing more is read or written."""
        if self.finished:
            return
        self.finished = True
        self._waiting = None
        for push in list(self.pushes.values()):
            push.close()
        self.pushes.clear()
        for exchange in list(self.streams.values()):
            exchange.sender.close()
            handler = exchange.handler
            self.done(exchange)
            if handler is not None:
                handler.disconnected()
        self.server.timers.set(self, self.server.clock() + self.server.head)

    def _rearm_timer(self) -> None:
        """A header block must end in time, and who asks nothing is not kept for ever."""
        server = self.server
        if self._guard.in_block:
            server.timers.set(self, self._guard.began + server.head)
        elif self.streams:
            self.server.timers.clear(self)
        else:
            server.timers.set(self, server.clock() + server.idle)

    @property
    def _late(self) -> bool:
        guard, server = self._guard, self.server
        return guard.in_block and server.clock() >= guard.began + server.head

    def _update_read_flow(self) -> None:
        """Read only while what it leads to can be written: rule 3."""
        if self.writable != self._reading and not self.transport.is_closing():
            self._reading = self.writable
            if self.writable:
                self.transport.resume_reading()
            else:
                self.transport.pause_reading()
