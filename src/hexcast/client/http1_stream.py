"""One streamed batch request: lines go out as they come in, answers come back meanwhile.

The body and the answer of `POST /topics` are open at the same time. HTTP/1.1 allows that (RFC 9112
does not tie the end of one to the beginning of the other), but httpx sends a whole body before it
reads, so this speaks through h11, which does the protocol, over asyncio's streams.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Self
from urllib.parse import urlsplit

import h11

from .errors import ConnectionFailed, ProtocolError, Refused
from .lines import LineSplitter, TooLong
from .transport import ANSWER_SECONDS, CONNECT_SECONDS, Transport, connection_errors

__all__ = ["BatchRequest"]

READ_BYTES = 65536
CLOSE_SECONDS = 2.0
ANSWER_LINE_BYTES = 65536
PROBLEM_BYTES = 65536


class BatchRequest:
    """A request that is under way: `send` and `finish` write, `answers` reads, each in a task of
    its own."""

    def __init__(
        self, url: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._url = url
        self._reader = reader
        self._writer = writer
        self._http = h11.Connection(h11.CLIENT)
        self._active_at = asyncio.get_running_loop().time()
        self.finished = False
        """True when the request's end has been sent."""
        self.answered = False
        """True when a first line of the answer has come."""

    @classmethod
    async def open(cls, transport: Transport) -> Self:
        """Connect and send the head of the request. Raises ConnectionFailed."""
        url = transport.url
        parts = urlsplit(url)
        secure = parts.scheme == "https"
        with connection_errors(url, reached=False):
            async with asyncio.timeout(CONNECT_SECONDS):
                reader, writer = await asyncio.open_connection(
                    parts.hostname,
                    parts.port or (443 if secure else 80),
                    ssl=transport.trust.context("http/1.1") if secure else None,
                )
        request = cls(url, reader, writer)
        fields = [
            ("Host", parts.netloc.rpartition("@")[2]),
            *transport.headers.items(),
            ("Accept", "application/x-ndjson, application/problem+json"),
            ("Content-Type", "application/x-ndjson"),
            ("Transfer-Encoding", "chunked"),
        ]
        request._write(h11.Request(method="POST", target=f"{parts.path}/topics", headers=fields))
        return request

    async def send(self, lines: bytes) -> None:
        """Send complete lines. Raises ConnectionFailed."""
        self._write(h11.Data(lines))
        with connection_errors(self._url):
            async with asyncio.timeout(ANSWER_SECONDS):
                await self._writer.drain()

    def finish(self) -> None:
        """Send the request's end: the server answers what is outstanding, and ends its answer."""
        if not self.finished:
            self.finished = True
            self._write(h11.EndOfMessage())

    async def answers(self) -> AsyncIterator[bytes]:
        """The lines of the answer as they come, until it ends.

        Raises Refused when the request as a whole was, ConnectionFailed when the connection breaks
        or nothing comes or goes for 30 s, ProtocolError when this is no answer to a batch.
        """
        splitter = LineSplitter(ANSWER_LINE_BYTES)
        while True:
            event = await self._event()
            match event:
                case h11.InformationalResponse():
                    pass
                case h11.Response():
                    if event.status_code != 200:
                        raise await self._refusal(event)
                case h11.Data():
                    self.answered = True
                    for line in splitter.feed(bytes(event.data)):
                        yield _whole(line)
                case h11.EndOfMessage():
                    for line in splitter.finish():
                        yield _whole(line)
                    return
                case _:
                    raise ConnectionFailed(f"{self._url} closed the connection")

    async def aclose(self) -> None:
        """Close the connection, without waiting long for the other side."""
        self._writer.close()
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._writer.wait_closed()
        except OSError:  # broken before, or no reply to the close in time: it is over either way
            self._writer.transport.abort()

    def _write(self, event: h11.Request | h11.Data | h11.EndOfMessage) -> None:
        self._active_at = asyncio.get_running_loop().time()
        try:
            data = self._http.send(event)
        except h11.LocalProtocolError as error:  # the answer has put an end to the exchange
            raise ConnectionFailed(f"{self._url} closed the connection") from error
        if data:
            self._writer.write(data)

    async def _refusal(self, response: h11.Response) -> Refused:
        headers = {name.decode(): value.decode("latin-1") for name, value in response.headers}
        body = bytearray()
        while len(body) <= PROBLEM_BYTES:
            event = await self._event()
            if not isinstance(event, h11.Data):
                break
            body += event.data
        return Refused.from_response(response.status_code, headers, bytes(body))

    async def _event(self) -> object:
        while True:
            try:
                event = self._http.next_event()
                if event is not h11.NEED_DATA:
                    return event
                data = await self._read()
                self._http.receive_data(data)
            except h11.RemoteProtocolError as error:
                if self._http.trailing_data[1]:  # the other side has closed
                    raise ConnectionFailed(f"{self._url} closed the connection") from error
                raise ProtocolError(f"{self._url} does not speak HTTP/1.1: {error}") from error

    async def _read(self) -> bytes:
        """The next bytes, b"" at the end. What is sent meanwhile prolongs the wait."""
        loop = asyncio.get_running_loop()
        with connection_errors(self._url):
            while True:
                try:
                    async with asyncio.timeout_at(self._active_at + ANSWER_SECONDS):
                        data = await self._reader.read(READ_BYTES)
                except TimeoutError:
                    if loop.time() >= self._active_at + ANSWER_SECONDS:
                        raise
                else:
                    self._active_at = loop.time()
                    return data


def _whole(line: bytes | TooLong) -> bytes:
    if isinstance(line, TooLong):
        raise ProtocolError(f"an answer line of {line.size} bytes")
    return line
