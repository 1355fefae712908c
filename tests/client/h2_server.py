"""An HTTP/2 server that plays a script, frame by frame, to test the client's way `push` against."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import RequestReceived, StreamReset, WindowUpdated
from h2.exceptions import ProtocolError

from .servers import listening

Answering = Callable[["Peer", int, str], Awaitable[None]]
"""Called with the connection, the stream of a request and its target."""


class Peer:
    """One connection, as its server sees it."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        self.machine = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        self.resets: dict[int, int] = {}
        self.changed = asyncio.Event()
        self.authority = ""

    def flush(self) -> None:
        self.writer.write(self.machine.data_to_send())

    def head(self, stream: int, status: int = 200, **fields: str) -> None:
        pairs = [(name.replace("_", "-"), value) for name, value in fields.items()]
        self.machine.send_headers(stream, [(":status", str(status)), *pairs])
        self.flush()

    def data(self, stream: int, body: bytes | str, *, end: bool = False) -> None:
        body = body.encode() if isinstance(body, str) else body
        self.machine.send_data(stream, body, end_stream=end)
        self.flush()

    def lines(self, stream: int) -> None:
        """Begin an answer of lines."""
        self.head(stream, content_type="application/x-ndjson")

    def promise(self, parent: int, target: str, *, authority: str = "") -> int:
        """Promise a GET of `target`; the stream that will bring its answer."""
        id = self.machine.get_next_available_stream_id()
        self.machine.push_stream(
            parent,
            id,
            [
                (":method", "GET"),
                (":scheme", "http"),
                (":authority", authority or self.authority),
                (":path", target),
            ],
        )
        self.flush()
        return id

    def reset(self, stream: int) -> None:
        self.machine.reset_stream(stream, ErrorCodes.INTERNAL_ERROR)
        self.flush()

    def goaway(self) -> None:
        self.machine.close_connection()
        self.flush()

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(10):
            while not condition():
                self.changed.clear()
                await self.changed.wait()


@contextlib.asynccontextmanager
async def serving_h2(answering: Answering) -> AsyncIterator[str]:
    """Serve with `answering` on a free port; the URL."""

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = Peer(writer)
        peer.machine.initiate_connection()
        peer.flush()
        async with asyncio.TaskGroup() as answers:
            with contextlib.suppress(ProtocolError, OSError):
                while data := await reader.read(65536):
                    for event in peer.machine.receive_data(data):
                        if isinstance(event, RequestReceived):
                            fields = dict(event.headers)
                            peer.authority = fields[":authority"]
                            answers.create_task(answering(peer, event.stream_id, fields[":path"]))
                        elif isinstance(event, StreamReset):
                            peer.resets[event.stream_id] = event.error_code
                            peer.changed.set()
                        elif isinstance(event, WindowUpdated):
                            peer.changed.set()
                    peer.flush()

    async with listening(connection) as url:
        yield url


def record(n: int) -> dict[str, Any]:
    """A record in json form."""
    return {"id": f"k-{n}", "topic": "t", "op": "post", "type": "application/json", "data": n}


def body(n: int) -> str:
    return json.dumps(record(n)) + "\n"


def path(n: int) -> str:
    return f"/topics/t?id=k-{n}&format=json"


def line(n: int, *, pushed: bool = True) -> str:
    """The line that tells of a record."""
    told = {"id": f"k-{n}", "topic": "t", "op": "post", "path": path(n), "pushed": pushed}
    return json.dumps(told) + "\n"
