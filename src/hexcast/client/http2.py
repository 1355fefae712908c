"""An HTTP/2 connection as the way `push` needs it: requests, their answers, and what is pushed.

It has no task. Who reads says `turn`, which waits for the next bytes and works them in; a caller
that does not is not read for, and the server notices by its windows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from h2.config import H2Configuration
from h2.connection import H2Connection as H2Machine
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    PushedStreamReceived,
    RemoteSettingsChanged,
    ResponseReceived,
    StreamEnded,
    StreamReset,
)
from h2.exceptions import NoAvailableStreamIDError, ProtocolError
from h2.settings import SettingCodes, Settings

from .errors import ConnectionFailed
from .errors import ProtocolError as NotHexcast
from .transport import (
    ANSWER_BYTES,
    ANSWER_SECONDS,
    CONNECT_SECONDS,
    SILENCE_SECONDS,
    Transport,
    connection_errors,
)

__all__ = ["Answer", "H2Connection", "NoHttp2"]

READ_BYTES = 65536
CLOSE_SECONDS = 2.0
PUSHES = 100
"""Pushed answers that may be open at a time."""

MAX_UNTAKEN = 4096
"""Promises that nobody has taken yet; more are refused."""

STREAM_WINDOW = 2**20
CONNECTION_WINDOW = 2**22
_REAP_STREAMS = 64


class NoHttp2(Exception):
    """The server does not speak HTTP/2 here."""


@dataclass(slots=True)
class Answer:
    """What has come of one answer; names of fields are in lower case."""

    id: int
    target: str
    headers: Mapping[str, str] | None = None
    body: bytearray = field(default_factory=bytearray)
    ended: bool = False
    reset: bool = False
    owed: int = 0
    """Bytes taken of the server's window and not given back, where that is left to the reader."""

    @property
    def status(self) -> int:
        """The status; 0 while there is no head."""
        return int((self.headers or {}).get(":status", "0"))

    @property
    def over(self) -> bool:
        """Nothing more will come."""
        return self.ended or self.reset


class H2Connection:
    """One connection. Use it in `async with`."""

    def __init__(
        self, transport: Transport, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.pushed: dict[str, Answer] = {}
        """Answers that the server has promised, by path; who has taken one removes it."""
        self._url = transport.url
        self._fields = {name.lower(): value for name, value in transport.headers.items()}
        self._authority = urlsplit(transport.url).netloc.rpartition("@")[2]
        self._reader = reader
        self._writer = writer
        self._answers: dict[int, Answer] = {}
        self._reader_minds: set[int] = set()
        self._held = 0  # bytes of bodies that nobody has taken yet
        self._streams = 0
        self._settled = False
        self._goaway: ConnectionTerminated | None = None
        self._machine = H2Machine(H2Configuration(client_side=True, header_encoding=None))

    @classmethod
    async def open(cls, transport: Transport) -> Self:
        """Connect, and see that the server speaks HTTP/2: by ALPN, or with prior knowledge.

        Raises NoHttp2, ConnectionFailed, or ProtocolError for a certificate that is not trusted.
        """
        parts = urlsplit(transport.url)
        secure = parts.scheme == "https"
        with connection_errors(transport.url, reached=False):
            async with asyncio.timeout(CONNECT_SECONDS):
                reader, writer = await asyncio.open_connection(
                    parts.hostname,
                    parts.port or (443 if secure else 80),
                    ssl=transport.trust.context("h2", "http/1.1") if secure else None,
                    limit=READ_BYTES,
                )
        connection = cls(transport, reader, writer)
        try:
            tls = writer.get_extra_info("ssl_object")
            if tls is not None and tls.selected_alpn_protocol() != "h2":
                raise NoHttp2
            await connection._begin()
        except BaseException:
            await connection.aclose()
            raise
        return connection

    async def _begin(self) -> None:
        machine = self._machine
        machine.local_settings = Settings(
            client=True,
            initial_values={
                SettingCodes.ENABLE_PUSH: 1,
                SettingCodes.MAX_CONCURRENT_STREAMS: PUSHES,
                SettingCodes.INITIAL_WINDOW_SIZE: STREAM_WINDOW,
            },
        )
        machine.initiate_connection()
        machine.increment_flow_control_window(CONNECTION_WINDOW - 65_535)
        with connection_errors(self._url):
            async with asyncio.timeout(ANSWER_SECONDS):
                while not self._settled:
                    try:
                        await self.turn()
                    except (ConnectionFailed, NotHexcast):
                        # What is no HTTP/2 answers in its own way, or closes at once.
                        if self._settled:
                            raise
                        raise NoHttp2 from None

    # Asking

    def get(self, path: str, headers: Mapping[str, str], *, minded: bool = False) -> Answer:
        """Ask for `path`, below the server's own. With `minded` the reader gives back what the
        answer takes of the server's window (`give_back`).

        Raises ConnectionFailed where the connection can open no more streams.
        """
        target = urlsplit(self._url).path + path
        return self.get_target(target, headers, minded=minded)

    def get_target(
        self, target: str, headers: Mapping[str, str], *, minded: bool = False
    ) -> Answer:
        """Ask for what the server itself has named."""
        machine = self._machine
        try:
            id = machine.get_next_available_stream_id()
            machine.send_headers(
                id,
                [
                    (":method", "GET"),
                    (":scheme", urlsplit(self._url).scheme),
                    (":authority", self._authority),
                    (":path", target),
                    *self._fields.items(),
                    *((name.lower(), value) for name, value in headers.items()),
                ],
                end_stream=True,
            )
        except (NoAvailableStreamIDError, ProtocolError) as error:
            raise ConnectionFailed(f"the connection to {self._url} is used up") from error
        answer = self._answers[id] = Answer(id, target)
        if minded:
            self._reader_minds.add(id)
        return answer

    def give_back(self, answer: Answer) -> None:
        """Let the server send as much again as has come."""
        owed, answer.owed = answer.owed, 0
        if owed and not answer.over:
            self._machine.acknowledge_received_data(owed, answer.id)

    def take(self, answer: Answer) -> bytes:
        """What has come of the body since it was last taken."""
        data = bytes(answer.body)
        self._held -= len(data)
        answer.body.clear()
        return data

    async def whole(self, answer: Answer) -> bytes:
        """The body to its end. Raises ConnectionFailed when that does not come in time."""
        with connection_errors(self._url):
            async with asyncio.timeout(ANSWER_SECONDS):
                while not answer.over:
                    await self.turn()
        return self.take(answer)

    # Reading

    async def turn(self) -> None:
        """Send what there is to send, and work in what comes next.

        Raises ConnectionFailed when the connection ends, or nothing comes for `SILENCE_SECONDS`;
        ProtocolError where this is no HTTP/2.
        """
        with connection_errors(self._url):
            async with asyncio.timeout(SILENCE_SECONDS):
                await self._send()
                if self._goaway is not None:
                    raise ConnectionFailed(f"{self._url} says goodbye")
                data = await self._reader.read(READ_BYTES)
            if not data:
                raise ConnectionFailed(f"{self._url} closed the connection")
            try:
                events = self._machine.receive_data(data)
            except ProtocolError as error:
                raise NotHexcast(f"{self._url} breaks the rules of HTTP/2: {error}") from error
            for event in events:
                self._take(event)
            async with asyncio.timeout(SILENCE_SECONDS):
                await self._send()
        if self._held > ANSWER_BYTES:
            raise NotHexcast(f"{self._url} has more than {ANSWER_BYTES} bytes under way")

    async def _send(self) -> None:
        data = self._machine.data_to_send()
        if data:
            self._writer.write(data)
            await self._writer.drain()

    def _take(self, event: Event) -> None:
        match event:
            case RemoteSettingsChanged():
                self._settled = True
            case ResponseReceived():
                answer = self._answers.get(event.stream_id)
                if answer is not None:
                    answer.headers = _fields(event.headers)
            case DataReceived():
                self._take_data(event)
            case PushedStreamReceived():
                self._promised(event)
            case StreamEnded():
                answer = self._answers.pop(event.stream_id, None)
                if answer is not None:
                    answer.ended = True
                self._reader_minds.discard(event.stream_id)
            case StreamReset():
                answer = self._answers.pop(event.stream_id, None)
                if answer is not None:
                    answer.reset = True
                self._reader_minds.discard(event.stream_id)
            case ConnectionTerminated():
                # The state machine takes no more after this. Hexcast ends its streams before it.
                self._goaway = event

    def _take_data(self, event: DataReceived) -> None:
        length = event.flow_controlled_length or 0
        answer = self._answers.get(event.stream_id)
        if answer is not None:
            answer.body += event.data or b""
            self._held += len(event.data or b"")
        if answer is not None and event.stream_id in self._reader_minds:
            answer.owed += length
        elif length:
            self._machine.acknowledge_received_data(length, event.stream_id)

    def _promised(self, event: PushedStreamReceived) -> None:
        fields = _fields(event.headers or ())
        id, target = event.pushed_stream_id or 0, fields.get(":path", "")
        self._streams += 1
        if self._streams % _REAP_STREAMS == 0:
            self._reap_closed_streams()
        # RFC 9113, 8.4: of what the server is not the authority for, nothing may be taken.
        if fields.get(":authority") != self._authority or fields.get(":method") != "GET":
            self._machine.reset_stream(id, ErrorCodes.PROTOCOL_ERROR)
            return
        if target in self.pushed or len(self.pushed) >= MAX_UNTAKEN:
            self._machine.reset_stream(id, ErrorCodes.REFUSED_STREAM)
            return
        self._answers[id] = self.pushed[target] = Answer(id, target)

    def _reap_closed_streams(self) -> None:
        """Make the state machine delete closed streams, which it does only when it counts them."""
        _ = self._machine.open_inbound_streams

    # The end

    async def aclose(self) -> None:
        """Say goodbye and close, without waiting long for the other side."""
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                if not self._writer.is_closing():
                    if self._settled and self._goaway is None:
                        self._machine.close_connection()
                        self._writer.write(self._machine.data_to_send())
                    self._writer.close()
                await self._writer.wait_closed()
        except OSError:  # broken before, or no reply to the close in time: it is over either way
            self._writer.transport.abort()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()


def _fields(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in headers}
