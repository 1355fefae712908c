"""The client of push: browsers refuse it, so the server is its own client, and tells what comes.

HTTP/2 over a connection of its own, with the h2 library. What is pushed is complete when its stream
ends; a delete, or a change told in the line itself, when its line has come; what could not be
pushed is asked for. Where the server falls back to SSE the ids are taken from there.

The library's own client is not used: it needs what a server does not (httpx), and does not tell how
many bytes went over its connection.
"""

from __future__ import annotations

import asyncio
import logging
import re
import ssl
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple, cast

import msgspec
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    PushedStreamReceived,
    ResponseReceived,
    StreamEnded,
    StreamReset,
)
from h2.exceptions import ProtocolError

__all__ = ["Address", "PushClient"]

_log = logging.getLogger(__name__)

CONNECT_SECONDS = 5.0
AGAIN_SECONDS = 1.0
WINDOW = 2**20
MAX_LINE = 2 * 2**20
FETCHED_AT_ONCE = 50
_ID = re.compile(rb"[?&]id=([a-z0-9]+-[0-9]+)")


class Address(NamedTuple):
    """Where the server itself is reached."""

    host: str
    port: int
    secure: bool
    base: str


class _Line(msgspec.Struct):
    id: str = ""
    pushed: bool = False
    path: str = ""
    op: str = ""
    data: msgspec.Raw = msgspec.Raw()
    cursor: str = ""
    gap: msgspec.Raw = msgspec.Raw()


_line = msgspec.json.Decoder(_Line)


class PushClient:
    """Follows a topic by push until it is stopped, with its cursor across all that happens.

    `path` gives the path to ask for, with a cursor. `tell` is called when something has come, with
    what it is and its id: a `record`, a `gap`, or that it is connected `again`.
    """

    def __init__(
        self,
        address: Address,
        path: Callable[[str], str],
        tell: Callable[[str, str], None],
        cursor: str = "",
    ) -> None:
        self.address = address
        self.path = path
        self.tell = tell
        self.received = 0  # bytes from the server, all counted
        self.sent = 0
        self.way = ""  # how the server answers
        self.cursor = cursor
        self._link: _Link | None = None
        self._at_once = False  # connect anew without a pause, because another path is wanted
        self._lost = bool(cursor)  # the last connection was lost
        self._task = asyncio.get_running_loop().create_task(self._follow())

    def again(self) -> None:
        """Ask anew, for another path."""
        self.cursor = ""
        self._at_once = True
        if self._link is not None:
            self._link.close()

    def cancel(self) -> None:
        """Begin to end."""
        self._task.cancel()

    async def stop(self) -> None:
        """End, and wait until it has."""
        self.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    async def _follow(self) -> None:
        while True:
            with suppress(OSError, TimeoutError):
                await self._connect()
            self._lost = not self._at_once
            self._at_once = False
            if self._lost:
                await asyncio.sleep(AGAIN_SECONDS)

    async def _connect(self) -> None:
        address = self.address
        context: ssl.SSLContext | None = None
        if address.secure:
            # It is this process that answers at this address, whatever name its certificate has.
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            context.set_alpn_protocols(["h2"])
        async with asyncio.timeout(CONNECT_SECONDS):
            _, link = await asyncio.get_running_loop().create_connection(
                lambda: _Link(self, again=self._lost), address.host, address.port, ssl=context
            )
        self._link = link
        try:
            await link.closed  # the server's heartbeats, or its end, end it
        finally:
            self._link = None
            link.abort()


@dataclass(slots=True)
class _Promise:
    """A record that is told of by a line, and comes by a stream of its own or with the line."""

    id: str
    complete: bool = False


class _Link(asyncio.Protocol):
    """One connection."""

    def __init__(self, client: PushClient, *, again: bool) -> None:
        self.client = client
        self._again = again
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._transport = cast(asyncio.Transport, None)  # from connection_made
        self._machine = H2Connection(H2Configuration(client_side=True, header_encoding=None))
        self._promised: dict[int, _Promise] = {}  # by stream
        self._order: deque[_Promise] = deque()  # records as the lines tell them, not all told on
        self._pushes: dict[str, _Promise] = {}  # by id: those that no line has told of yet
        self._unpushed: deque[tuple[_Promise, str]] = deque()  # to be asked for, with their paths
        self._asked = 0
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._machine.initiate_connection()
        self._machine.increment_flow_control_window(WINDOW)
        self._asked = self._ask(self.client.path(self.client.cursor))
        self._flush()

    def _ask(self, path: str) -> int:
        """Send a GET; the stream that its answer comes on."""
        machine, address = self._machine, self.client.address
        stream = machine.get_next_available_stream_id()
        host = f"[{address.host}]" if ":" in address.host else address.host
        machine.send_headers(
            stream,
            [
                (":method", "GET"),
                (":path", path),
                (":scheme", "https" if address.secure else "http"),
                (":authority", f"{host}:{address.port}"),
            ],
            end_stream=True,
        )
        return stream

    def data_received(self, data: bytes) -> None:
        self.client.received += len(data)
        try:
            for event in self._machine.receive_data(data):
                self._take(event)
        except (ProtocolError, msgspec.DecodeError, ValueError) as error:
            _log.warning("the lab's client of push does not understand its server: %s", error)
            self.abort()
        self._flush()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.closed.done():
            self.closed.set_result(None)

    def _flush(self) -> None:
        data = self._machine.data_to_send()
        if data and not self._transport.is_closing():
            self.client.sent += len(data)
            self._transport.write(data)

    def _take(self, event: Event) -> None:
        client = self.client
        if isinstance(event, ResponseReceived) and event.stream_id == self._asked:
            headers = dict(event.headers or ())
            if headers.get(b":status") != b"200":
                self.close()
                return
            client.way = headers.get(b"hexcast-way", b"").decode("latin-1")
            if self._again:
                client.tell("again", "")
        elif isinstance(event, PushedStreamReceived) and event.pushed_stream_id is not None:
            found = _ID.search(dict(event.headers or ()).get(b":path", b""))
            promise = _Promise(found[1].decode() if found else "")
            self._promised[event.pushed_stream_id] = self._pushes[promise.id] = promise
        elif isinstance(event, DataReceived):
            data = event.data or b""
            self._machine.acknowledge_received_data(
                event.flow_controlled_length or 0, event.stream_id
            )
            if event.stream_id == self._asked:
                self._lines(data)
        elif isinstance(event, StreamEnded):
            if event.stream_id == self._asked:
                self.close()
                return
            self._complete(event.stream_id)
        elif isinstance(event, StreamReset):
            if event.stream_id == self._asked:
                self.abort()
            elif event.stream_id in self._promised:
                self.abort()  # a record that does not come: again from the cursor before it
        elif isinstance(event, ConnectionTerminated):
            self.close()

    def _complete(self, stream: int) -> None:
        promise = self._promised.pop(stream, None)
        if promise is not None:
            promise.complete = True
            self._tell()
            self._fetch()

    def _got(self, promise: _Promise) -> None:
        """A line has told of a record."""
        self._order.append(promise)
        self._tell()

    def _tell(self) -> None:
        """Tell of what has come whole, in the order of the lines."""
        while self._order and self._order[0].complete:
            promise = self._order.popleft()
            self.client.cursor = promise.id
            self.client.tell("record", promise.id)

    def _lines(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > MAX_LINE:
            raise ValueError(f"a line is longer than {MAX_LINE} bytes")
        for line in lines:
            if self.client.way == "sse":
                if line.startswith(b"id: "):
                    self._got(_Promise(line[4:].decode("ascii"), complete=True))
                elif line == b"event: hexcast:gap":
                    self.client.tell("gap", "")
                continue
            told = _line.decode(line)
            if bytes(told.gap):
                self.client.tell("gap", "")
            elif told.cursor:
                self.client.cursor = told.cursor
            elif told.id and told.pushed and told.id in self._pushes:
                self._got(self._pushes.pop(told.id))
            elif told.id:
                fetched = told.op != "delete" and not bytes(told.data)
                promise = _Promise(told.id, complete=not fetched)
                self._got(promise)
                if fetched:
                    self._unpushed.append((promise, told.path))
        self._fetch()

    def _fetch(self) -> None:
        """Ask for records that could not be pushed, some at a time."""
        while self._unpushed and len(self._promised) < FETCHED_AT_ONCE:
            promise, path = self._unpushed.popleft()
            self._promised[self._ask(path)] = promise

    def close(self) -> None:
        """End in order."""
        if not self._transport.is_closing():
            with suppress(ProtocolError):
                self._machine.close_connection(ErrorCodes.NO_ERROR)
                self._flush()
            self._transport.close()

    def abort(self) -> None:
        self._transport.abort()
