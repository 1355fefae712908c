"""An HTTP/2 client for the tests: one connection whose frames a test can see, withhold and forge.

Built on the h2 library's client side. Nothing is acknowledged for a stream whose id is in `held`.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Self

import h2.config
import h2.connection
import h2.events
import h2.settings
from hyperframe.frame import Frame

from tests.support.harness import DEADLINE, Endpoint, deadline


@dataclass
class Stream:
    """What has come on one stream."""

    head: dict[str, str] = field(default_factory=dict)
    informational: list[dict[str, str]] = field(default_factory=list)
    data: bytes = b""
    ended: bool = False
    reset: int | None = None
    promises: list[tuple[int, str]] = field(default_factory=list)
    """Stream and path of each promise made on this one."""

    @property
    def status(self) -> int:
        return int(self.head.get(":status", "0"))

    @property
    def over(self) -> bool:
        return self.ended or self.reset is not None


class H2Client:
    """One connection."""

    def __init__(
        self, server: Endpoint, reader: asyncio.StreamReader, writer: asyncio.StreamWriter,
        *, secure: bool,
    ) -> None:  # fmt: skip
        self.server = server
        self.reader = reader
        self.writer = writer
        self.scheme = "https" if secure else "http"
        self.streams: dict[int, Stream] = defaultdict(Stream)
        self.held: set[int] = set()
        self.order: list[tuple[str, int]] = []
        """What came, in order: (`head`, `promise`, `data` or `end`, stream)."""
        self.goaway: h2.events.ConnectionTerminated | None = None
        self.remote: dict[int, int] = {}
        self.pings = 0
        self.closed = False
        self.h2 = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=True, header_encoding="utf-8")
        )

    @classmethod
    async def open(
        cls, server: Endpoint, *, tls: ssl.SSLContext | None = None, rcvbuf: int = 0,
        settings: dict[int, int] | None = None, start: bool = True,
    ) -> Self:  # fmt: skip
        """Connect; with `start`, send the preface and take the server's settings."""
        async with deadline("connect"):
            reader, writer = await asyncio.open_connection(
                server.host, server.port, ssl=tls, limit=2**16,
                server_hostname="localhost" if tls else None,
            )  # fmt: skip
        client = cls(server, reader, writer, secure=tls is not None)
        if start:
            try:
                await client._start(settings or {})
            except BaseException:
                await client.__aexit__()
                raise
        return client

    async def _start(self, settings: dict[int, int]) -> None:
        self.h2.local_settings = h2.settings.Settings(
            client=True,
            initial_values={h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: 100} | settings,
        )
        self.h2.initiate_connection()
        await self.flush()
        await self.until(lambda: self.remote, "the server's settings")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.transport.abort()
        try:
            async with deadline("close"):
                await self.writer.wait_closed()
        except (OSError, ssl.SSLError):
            return  # reset by the server first

    async def flush(self) -> None:
        data = self.h2.data_to_send()
        if data:
            await self.raw(data)

    async def raw(self, *parts: bytes | Frame) -> None:
        """Send bytes or frames past the client's own state."""
        data = b"".join(p.serialize() if isinstance(p, Frame) else p for p in parts)
        self.writer.write(data)
        async with deadline("send"):
            try:
                await self.writer.drain()
            except ConnectionError:
                self.closed = True

    def headers(
        self, method: str, target: str, fields: Iterable[tuple[str, str]] = ()
    ) -> list[tuple[str, str]]:
        return [
            (":method", method), (":scheme", self.scheme),
            (":authority", f"localhost:{self.server.port}"), (":path", target), *fields,
        ]  # fmt: skip

    async def request(
        self, method: str, target: str, fields: Iterable[tuple[str, str]] = (),
        body: bytes | None = None, *, end: bool = True,
    ) -> int:  # fmt: skip
        """Send a request; its stream."""
        stream = self.h2.get_next_available_stream_id()
        self.h2.send_headers(
            stream, self.headers(method, target, fields), end_stream=end and body is None
        )
        if body is not None:
            await self.send(stream, body, end=end)
        await self.flush()
        return stream

    async def send(self, stream: int, body: bytes, *, end: bool = False) -> None:
        """Send a body, as fast as the server's windows allow."""
        while body:
            size = min(
                len(body), self.h2.local_flow_control_window(stream),
                self.h2.max_outbound_frame_size,
            )  # fmt: skip
            if size:
                self.h2.send_data(stream, body[:size])
                body = body[size:]
                await self.flush()
            else:
                await self.turn()
                if self.streams[stream].over:
                    return
        if end:
            self.h2.end_stream(stream)
        await self.flush()

    async def turn(self, seconds: float = DEADLINE) -> None:
        """Take in what comes next."""
        async with deadline("bytes from the server", seconds):
            try:
                data = await self.reader.read(65536)
            except ConnectionError:
                data = b""
        if not data:
            self.closed = True
            return
        for event in self.h2.receive_data(data):
            self._take(event)
        await self.flush()

    def _take(self, event: Any) -> None:
        stream = getattr(event, "stream_id", None)
        match event:
            case h2.events.RemoteSettingsChanged():
                self.remote.update({k: v.new_value for k, v in event.changed_settings.items()})
            case h2.events.ResponseReceived():
                assert not self.streams[stream].head
                self.streams[stream].head = dict(event.headers)
                self.order.append(("head", stream))
            case h2.events.InformationalResponseReceived():
                self.streams[stream].informational.append(dict(event.headers))
            case h2.events.PushedStreamReceived():
                fields = dict(event.headers)
                self.streams[event.parent_stream_id].promises.append(
                    (event.pushed_stream_id, fields[":path"])
                )
                self.order.append(("promise", event.pushed_stream_id))
            case h2.events.DataReceived():
                self.streams[stream].data += event.data
                self.order.append(("data", stream))
                if stream not in self.held:
                    self.h2.acknowledge_received_data(event.flow_controlled_length, stream)
            case h2.events.StreamEnded():
                self.streams[stream].ended = True
                self.order.append(("end", stream))
            case h2.events.StreamReset():
                self.streams[stream].reset = event.error_code
            case h2.events.ConnectionTerminated():
                self.goaway = event
            case h2.events.PingReceived():
                self.pings += 1

    async def until(self, done: Callable[[], object], what: str, seconds: float = DEADLINE) -> None:
        """Take in what comes until a condition holds."""
        async with deadline(what, seconds):
            while not done():
                assert not self.closed, f"closed ({self.goaway}) before {what}"
                await self.turn(seconds)

    async def answer(self, stream: int) -> Stream:
        """The whole answer on a stream."""
        await self.until(lambda: self.streams[stream].over, f"the answer on stream {stream}")
        return self.streams[stream]

    async def ask(
        self, method: str, target: str, fields: Iterable[tuple[str, str]] = (),
        body: bytes | None = None,
    ) -> Stream:  # fmt: skip
        return await self.answer(await self.request(method, target, fields, body))

    async def refused(self, code: int) -> None:
        """Demand a GOAWAY with that code, and the end of the connection."""
        async with deadline(f"GOAWAY {code}"):
            while not self.closed:
                await self.turn()
        assert self.goaway is not None, "closed without GOAWAY"
        assert self.goaway.error_code == code, self.goaway
