"""HTTP/1.1 (RFC 9112) over one connection.

Theory of operation. Bytes go through a `MessageReader`, which collects a queue of messages, the
oldest in front. The pump takes the front message, runs its plan with an exchange, and goes on when
that is finished, so that answers leave in the order of the requests (9.3.2). Rules:

1. A message is either run or refused; after a refusal the connection reads no further and closes.
2. A plan runs when its message is at the front and, unless it streams, complete.
3. While an exchange is open and more messages wait, nothing is read: the queue is bounded by what
   one read brings.
4. Between messages there is no reader, and nothing of a message that was run is kept: an idle
   subscriber has neither.
5. A complete head that was parsed before is not parsed again (`HeadCache`). It is judged again:
   each request gets its own caller and plan.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import cast

from ...model import Caller, PerClient, Problem
from ..address import client_address
from ..context import ServerContext
from ..exchange import Body, Plan, Tunnel
from ..problems import refusal
from ..request import Request
from .exchange import H1Exchange
from .parser import MAX_UNWANTED, Incoming, MessageReader

__all__ = ["H1Connection"]

MAX_REMEMBERED = 2048
LINGER_SECONDS = 2.0


class H1Connection(PerClient, asyncio.Protocol):
    """A client's connection."""

    __slots__ = (
        "_eof", "_pumping", "_reader", "_reading", "_refused", "_rest", "address", "bucket",
        "discarded", "due", "exchange", "finished", "queue", "server", "transport", "tunnel",
        "writable",
    )  # fmt: skip

    def __init__(self, server: ServerContext) -> None:
        self.server = server
        self.transport: asyncio.Transport = cast(asyncio.Transport, None)  # from connection_made
        self.address = ""  # the client's, from connection_made
        self.exchange: H1Exchange | None = None  # the one that is open
        self.queue: deque[Incoming] | None = None  # None where it is empty, but in a pump
        self.tunnel: Tunnel | None = None  # who reads, once the protocol was switched
        self.due = 0.0  # of the timer wheel
        self.bucket = 0  # of the timer wheel
        self.finished = False  # no more requests are taken
        self.discarded = -1  # bytes thrown away while it lingers; -1 while it does not
        self.writable = True
        self._reader: MessageReader | None = None
        self._pumping = False
        self._reading = True
        self._eof = False  # the client sends no more, but what it asked for is still answered
        self._refused = False  # the last message in the queue is a refusal: rule 1
        self._rest = b""  # what came behind a request to switch protocols

    # From the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.address = client_address(transport)
        server = self.server
        server.connections.add(self)
        server.counters.connections += 1
        server.timers.set(self, server.clock() + server.head)

    def data_received(self, data: bytes) -> None:
        server = self.server
        server.counters.received += len(data)
        if self.tunnel is not None:
            self.tunnel.feed(data)
            return
        if self.finished:
            self._discard(len(data))
            return
        if self._reader is None and self.exchange is None and not self.queue:
            request = server.heads.find(data)
            if request is not None and self._run_known(request):
                return
        self._read(data)

    def eof_received(self) -> bool:
        if self.tunnel is not None:
            self.tunnel.eof()
            return True
        if self.finished or self._reader is not None:
            return False  # half a request: nothing of it has happened
        exchange = self.exchange
        if exchange is None:
            return False
        if (
            exchange.handler is not None
            and exchange.body_reader is None
            and exchange.request.method == "GET"
        ):
            return False  # a subscriber has left: half-closed looks the same as closed
        self._eof = True
        return True

    def connection_lost(self, error: Exception | None) -> None:
        server = self.server
        server.counters.connections -= 1
        server.timers.remove(self)
        self.finished = True
        self._reader = None
        self.queue = None
        exchange, self.exchange = self.exchange, None
        if exchange is not None:
            exchange.open = False
            if exchange.handler is not None:
                exchange.handler.disconnected()
        server.remove(self)

    def pause_writing(self) -> None:
        self.writable = False
        if self.exchange is not None and self.exchange.handler is not None:
            self.exchange.handler.pause()
        if self.tunnel is None:
            self._update_read_flow()

    def resume_writing(self) -> None:
        self.writable = True
        if self.exchange is not None and self.exchange.handler is not None:
            self.exchange.handler.resume()
        if self.tunnel is None:
            self._update_read_flow()
            self._pump()

    def timeout(self) -> None:
        """The deadline of the exchange, or of the connection."""
        if self.discarded >= 0:
            self.transport.abort()
        elif self.exchange is not None:
            if self.exchange.handler is not None:
                self.exchange.handler.timeout()
        elif self._reader is not None:
            what = "head" if self._reader.in_head else "body"
            self._refuse(Problem(408, f"the request's {what} took too long", close=True))
            self._pump()
        else:
            self.transport.close()

    def drain(self) -> None:
        """Finish what is in hand, take nothing more."""
        if self.exchange is not None:
            if self.exchange.handler is not None:
                self.exchange.handler.drain()
        elif not self.queue:
            self.finished = True
            self.transport.close()

    # Reading

    def _judge(self, request: Request) -> tuple[Caller, Plan]:
        """Who makes a request, and how it is answered. Raises Problem."""
        return self.server.judge(request, self.address)

    def _run_known(self, request: Request) -> bool:
        """Run a request whose head was parsed before: rule 5. False: read it as any other."""
        server = self.server
        try:
            caller, plan = server.judge(request, self.address)
        except Problem as problem:
            if problem.close:
                return False
            caller, plan = Caller(), refusal(problem)
        if plan.body is not Body.NONE:
            return False
        server.counters.requests += 1
        server.timers.clear(self)
        self.exchange = exchange = H1Exchange(self, request, caller)
        self._pumping = True
        exchange.run(plan, b"")
        self._pause_if_blocked(exchange)
        self._pumping = False
        self._settle()
        return True

    def _read(self, data: bytes) -> None:
        reader = self._reader
        alone = reader is None
        if reader is None:
            reader = self._reader = MessageReader(
                self._judge, self._begin, secure=self.server.secure
            )
        reader.feed(data)
        if reader.rest is not None:
            self._rest, self._reader = reader.rest, None
        elif reader.fault is not None:
            self._refuse(reader.fault)
        elif reader.idle:
            self._reader = None
            if alone:
                self._remember(data)
        self._pump()
        if self.exchange is None and self._reader is not None and not self.finished:
            # From the first byte of a head, or a body, on: not prolonged by those that follow.
            server = self.server
            limit = server.head if self._reader.in_head else server.body
            if not self.due or self.due > server.clock() + limit:
                server.timers.set(self, server.clock() + limit)

    def _begin(self, message: Incoming) -> None:
        """A head is complete."""
        self.server.timers.clear(self)
        if self.queue is None:
            self.queue = deque()
        self.queue.append(message)

    def _remember(self, data: bytes) -> None:
        """Keep the parse of a head, if `data` was a whole head and nothing else."""
        queue = self.queue
        if queue is None or len(queue) != 1 or len(data) > MAX_REMEMBERED:
            return
        alone = data.find(b"\r\n\r\n") == len(data) - 4
        if alone and queue[0].plan.body is Body.NONE and not queue[0].expects:
            self.server.heads.add(bytes(data), queue[0].request)

    def _refuse(self, problem: Problem) -> None:
        """Answer what is malformed after all that came before it, and then close."""
        self._reader = None
        queue = self.queue
        if queue and not queue[-1].complete:
            broken = queue.pop()
            if broken.exchange is not None:
                # Its answer has begun, or its body was being taken: nothing more can be said.
                self.transport.abort()
                return
        refused = Incoming(Request("GET", b"/", (), keep_alive=False), Caller(), refusal(problem))
        refused.complete = True
        self._refused = True
        if queue is None:
            queue = self.queue = deque()
        queue.append(refused)

    # Running what was read

    def _pump(self) -> None:
        """Run the messages in front, until one has to be waited for."""
        if self._pumping:
            return
        self._pumping = True
        while self.queue and not (self.finished and self.exchange is None):
            message = self.queue[0]
            if message.exchange is None and (
                self.exchange is not None or not self.writable or not self._run(message)
            ):
                break
            exchange = message.exchange
            assert isinstance(exchange, H1Exchange)
            if exchange.open and message.plan.body is Body.STREAM:
                if exchange.body_reader is None:
                    break  # the plan answers later: until then its body waits here
                self._give_body(message, exchange)
            if not message.complete:
                if not exchange.open:
                    self._linger()  # answered before its body was read
                break
            if self.queue:
                self.queue.popleft()
        self._pumping = False
        self._settle()

    def _run(self, message: Incoming) -> bool:
        """Run the front message's plan, if it has all it wants."""
        plan = message.plan
        expects = message.expects and not message.complete
        if not message.complete:
            if plan.body is Body.WHOLE:
                if expects:
                    self._continue(message)
                return False
            if plan.body is Body.NONE and not expects:
                return False
        self.server.counters.requests += 1
        self.server.timers.clear(self)
        self.exchange = message.exchange = exchange = H1Exchange(
            self, message.request, message.caller
        )
        if message.upgrade:
            exchange.may_tunnel = True
            exchange.keep_alive = False  # what follows may not be HTTP/1.1
        body = b""
        if plan.body is Body.WHOLE:
            body = message.parts[0] if len(message.parts) == 1 else b"".join(message.parts)
            message.parts = []
        elif plan.body is Body.STREAM and expects:
            self._continue(message)
        exchange.run(plan, body)
        self._pause_if_blocked(exchange)
        return True

    def _pause_if_blocked(self, exchange: H1Exchange) -> None:
        """The socket may have filled before anyone owned the exchange."""
        if not self.writable and exchange.handler is not None:
            exchange.handler.pause()

    def _continue(self, message: Incoming) -> None:
        """RFC 9110, 10.1.1: a client that asks is told that its body is wanted."""
        message.expects = False
        self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _give_body(self, message: Incoming, exchange: H1Exchange) -> None:
        """Hand on what has come of a body that is taken as it comes."""
        assert exchange.body_reader is not None
        parts, message.parts = message.parts, []
        for part in parts:
            exchange.body_reader.feed(part)
            if not exchange.open:
                return
        if message.complete:
            exchange.body_reader.eof()

    def done(self, exchange: H1Exchange) -> None:
        """An exchange has finished."""
        exchange.open = False
        exchange.handler = exchange.body_reader = None
        if self.exchange is exchange:
            self.exchange = None
            self.server.timers.clear(self)
        if not exchange.keep_alive or self.server.draining:
            self.finished = True
        if not self._pumping:
            if self.queue:
                self._pump()
            else:
                self._settle()

    def _settle(self) -> None:
        """After running: close, wait for more, or hold back the sender."""
        if self.tunnel is not None:
            self.queue = None
            if self._rest:
                rest, self._rest = self._rest, b""
                self.tunnel.feed(rest)
            return
        if not self.queue:
            self.queue = None
        if self.exchange is None and (self.finished or self.queue is None):
            self.queue = None
            if self.finished or self._eof:
                if self._refused:
                    self._linger()
                elif self.discarded < 0:
                    self.transport.close()
                return
            server, reader = self.server, self._reader
            limit = server.idle
            if reader is not None:
                limit = server.head if reader.in_head else server.body
            if not self.due:
                server.timers.set(self, server.clock() + limit)
        self._update_read_flow()

    def _update_read_flow(self) -> None:
        """Read only what can be taken in: rule 3."""
        queue, exchange = self.queue, self.exchange
        waiting = exchange is not None and (
            exchange.reading_paused or bool(queue and queue[-1].exchange is None)
        )
        blocked = not self.writable and (exchange is None or exchange.handler is None)
        self.set_reading(not (waiting or blocked))

    def resume_body(self) -> None:
        """Read on, and hand over what came before there was a reader."""
        self.set_reading(True)
        if self.queue:
            self._pump()

    def set_reading(self, wanted: bool) -> None:
        """Read from the socket, or leave the sender to wait."""
        if wanted != self._reading and not self.transport.is_closing():
            self._reading = wanted
            if wanted:
                self.transport.resume_reading()
            else:
                self.transport.pause_reading()

    # Closing

    def _linger(self) -> None:
        """Let the answer reach a client that is still sending: a reset would destroy it."""
        self.finished = True
        self._refused = False
        self.queue = None
        self._reader = None
        self.discarded = 0
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.server.timers.set(self, self.server.clock() + LINGER_SECONDS)
        self.set_reading(True)

    def _discard(self, size: int) -> None:
        if self.discarded >= 0:
            self.discarded += size
            if self.discarded > MAX_UNWANTED:
                self.transport.abort()
