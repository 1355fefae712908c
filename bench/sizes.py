"""What one update costs a client: the bytes of its body, over each of the six ways.

A JSON value of 200 members, about 13 KB, of which one member changes; each figure is the median of
some updates. Counted are the bytes of the body as it was coded, of WebSocket messages with their
frames, and of a push both the line and what is pushed; not the heads of answers, nor the framing of
chunks.
"""

from __future__ import annotations

import base64
import hashlib
import json
import random
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median
from types import TracebackType
from typing import Self

import h2.connection
import h2.events

from bench.figures import Row
from bench.processes import BenchError
from bench.publisher import TIMEOUT, Publisher
from bench.setup import Setup

__all__ = ["Board", "sizes"]

TOPIC = "bench/board"
MEMBERS = 200
UPDATES = 9

DICTIONARY_LIMIT = 100
DELTA_LIMIT = 80

BROWSER = "Accept-Encoding: gzip, deflate, br, zstd"
KEEPS = f'{BROWSER}, dcb, dcz\r\nCache-Control: max-age=0\r\nSec-CH-UA: "Chromium";v="156"'
"""What Chromium says where it keeps dictionaries: see `Client.ask` for the one it has."""


@dataclass(slots=True)
class Board:
    """The value, and its next ones."""

    random: random.Random = field(default_factory=lambda: random.Random(200))
    members: dict[str, dict[str, float]] = field(init=False)

    def __post_init__(self) -> None:
        symbols: set[str] = set()
        while len(symbols) < MEMBERS:
            symbols.add("".join(self.random.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZ", k=4)))
        self.members = {
            symbol: {
                "bid": self._price(), "ask": self._price(), "last": self._price(),
                "volume": self.random.randrange(10_000, 9_999_999),
            }
            for symbol in sorted(symbols)
        }  # fmt: skip

    def _price(self) -> float:
        return self.random.randrange(1_000, 99_999) / 100

    def text(self) -> bytes:
        return json.dumps(self.members, separators=(",", ":")).encode()

    def next(self) -> bytes:
        """The value after one member has changed."""
        self.members[self.random.choice(list(self.members))]["bid"] = self._price()
        return self.text()


class Client:
    """A connection over HTTP/1.1 whose bytes are counted."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT)
        self.host = f"127.0.0.1:{port}"
        self.buffer = b""
        self.dictionary = b""

    def say(self, target: str, fields: str) -> None:
        lines = f"GET {target} HTTP/1.1\r\nHost: {self.host}\r\n{fields}\r\n"
        if self.dictionary:
            name = base64.b64encode(hashlib.sha256(self.dictionary).digest()).decode()
            lines += f"Available-Dictionary: :{name}:\r\n"
        self.socket.sendall(lines.encode() + b"\r\n")

    def more(self) -> None:
        data = self.socket.recv(262_144)
        if not data:
            raise BenchError("the server closed where an update was due")
        self.buffer += data

    def head(self, *statuses: int) -> dict[str, str]:
        while b"\r\n\r\n" not in self.buffer:
            self.more()
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        status, *lines = head.decode("latin-1").split("\r\n")
        if int(status.split()[1]) not in statuses:
            raise BenchError(f"{status!r} where {statuses} was due")
        return {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}

    def answer(self, *statuses: int) -> tuple[dict[str, str], bytes]:
        head = self.head(*statuses)
        size = int(head["content-length"])
        while len(self.buffer) < size:
            self.more()
        body, self.buffer = self.buffer[:size], self.buffer[size:]
        return head, body

    def pieces(self, count: Callable[[bytes], int]) -> int:
        """Bytes of the next update, which is there when there is something to count."""
        while not (size := count(self.buffer)):
            self.more()
        self.buffer = b""
        return size

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.socket.close()


Updates = Iterator[int]
"""The bytes of one update after the other; each is published when the one before has come."""


@dataclass(frozen=True, slots=True)
class Case:
    """One row: a way, how it is asked for, and who reads it."""

    way: str
    how: str
    updates: Callable[[int, Callable[[], str]], Updates]
    """With the port and what publishes the next value and gives its id."""
    limit: float | None = None


def polled(target: str, fields: str = "", *, dictionary: bool = False) -> Case:
    way = "refresh" if "way=refresh" in target else "poll"

    def updates(port: int, publish: Callable[[], str]) -> Updates:
        with Client(port) as client:
            while True:
                id = publish()
                client.say(target, fields)
                head, body = client.answer(200)
                if dictionary:
                    if client.dictionary and head.get("content-encoding") != "dcz":
                        raise BenchError(f"{head.get('content-encoding')} where dcz was due")
                    client.dictionary = _decoded(port, target, id)
                yield len(body)

    how = "with a dictionary" if dictionary else "zstd" if fields == BROWSER else "as it is"
    return Case(way, how, updates, DICTIONARY_LIMIT if dictionary else None)


def _decoded(port: int, target: str, id: str) -> bytes:
    """The body as a browser would have it decoded: the same, asked for without a coding."""
    with Client(port) as client:
        client.say(target, "Accept: */*")
        head, body = client.answer(200)
        if id not in head["etag"]:
            raise BenchError("another version than the one that was measured")
        return body


def long_polled(how: str, query: str, fields: str = "", limit: float | None = None) -> Case:
    def updates(port: int, publish: Callable[[], str]) -> Updates:
        id = publish()
        with Client(port) as client, Client(port) as other:
            while True:
                place = f"{query}&since={id}" if "delta=1&" in query else query
                client.say(
                    f"/topics/{TOPIC}?wait=20{place}", f'If-None-Match: "{id}"\r\nX: y{fields}'
                )
                other.say("/healthz", "X: y")  # answered after the one before was taken in
                other.answer(200)
                id = publish()
                _, body = client.answer(200, 226)
                yield len(body)

    return Case("long-poll", how, updates, limit)


def streamed(how: str, query: str, fields: str = "", limit: float | None = None) -> Case:
    """SSE; an update is there when the chunks that have come are whole, and one of them is it."""

    def updates(port: int, publish: Callable[[], str]) -> Updates:
        with Client(port) as client:
            client.say(f"/topics/{TOPIC}?way=sse&since=now{query}", f"X: y{fields}")
            client.head(200)
            client.pieces(_chunks)
            publish()  # told whole, since nothing is held yet
            client.pieces(_chunks)
            while True:
                publish()
                yield client.pieces(_chunks)

    return Case("sse", how, updates, limit)


def _chunks(data: bytes) -> int:
    """Bytes of content in some chunks; 0 while they are not whole."""
    content = 0
    while data:
        size, found, rest = data.partition(b"\r\n")
        if not found or len(rest) < int(size, 16) + 2:
            return 0
        content += int(size, 16)
        data = rest[int(size, 16) + 2 :]
    return content


def socketed(how: str, query: str, fields: str = "", limit: float | None = None) -> Case:
    handshake = (
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        f"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=={fields}"
    )

    def updates(port: int, publish: Callable[[], str]) -> Updates:
        with Client(port) as client:
            client.say(f"/topics/{TOPIC}?since=now{query}", handshake)
            head = client.head(101)
            if ("permessage-deflate" in fields) != ("sec-websocket-extensions" in head):
                raise BenchError("compression was not agreed as it was asked for")
            publish()
            client.pieces(_frames)
            while True:
                publish()
                yield client.pieces(_frames)

    return Case("websocket", how, updates, limit)


def _frames(data: bytes) -> int:
    """Bytes of some frames; 0 while they are not whole."""
    whole = len(data)
    while data:
        if len(data) < 4:
            return 0
        size, start = data[1] & 0x7F, 2
        if size >= 126:
            start = 4 if size == 126 else 10
            size = int.from_bytes(data[2:start], "big")
        if len(data) < start + size:
            return 0
        data = data[start + size :]
    return whole


def pushed(how: str, query: str) -> Case:
    def updates(port: int, publish: Callable[[], str]) -> Updates:
        connection = h2.connection.H2Connection()
        connection.initiate_connection()
        with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT) as wire:
            connection.send_headers(
                1,
                [
                    (":method", "GET"), (":scheme", "http"), (":authority", f"127.0.0.1:{port}"),
                    (":path", f"/topics/{TOPIC}?way=push&since=now{query}"),
                ],
                end_stream=True,
            )  # fmt: skip
            wire.sendall(connection.data_to_send())

            def update(id: str) -> int:
                """Bytes of DATA up to the line that tells of the record, and of what is pushed."""
                lines, size, due, whole = b"", 0, 0, 0
                while f'"id":"{id}"'.encode() not in lines or whole < due:
                    data = wire.recv(262_144)
                    if not data:
                        raise BenchError("the server closed where an update was due")
                    for event in connection.receive_data(data):
                        if isinstance(event, h2.events.PushedStreamReceived):
                            due += 1
                        elif isinstance(event, h2.events.DataReceived):
                            size += len(event.data)
                            if event.stream_id == 1:
                                lines += event.data
                            connection.acknowledge_received_data(
                                event.flow_controlled_length, event.stream_id
                            )
                        elif isinstance(event, h2.events.StreamEnded):
                            whole += 1
                    wire.sendall(connection.data_to_send())
                return size

            _until_open(wire, connection)
            update(publish())
            while True:
                yield update(publish())

    return Case("push", how, updates)


def _until_open(wire: socket.socket, connection: h2.connection.H2Connection) -> None:
    """Wait for the answer's head: what is published from then on comes."""
    while True:
        events = connection.receive_data(wire.recv(65_536))
        wire.sendall(connection.data_to_send())
        if any(isinstance(event, h2.events.ResponseReceived) for event in events):
            return


GZIP, ZSTD = "\r\nAccept-Encoding: gzip", "\r\nAccept-Encoding: zstd"
DEFLATE = "\r\nSec-WebSocket-Extensions: permessage-deflate"
V1 = "\r\nSec-WebSocket-Protocol: hexcast.v1"
PAGE = f"/topics/{TOPIC}?way=refresh"
VALUE = f"/topics/{TOPIC}"

CASES = [
    polled(PAGE, KEEPS, dictionary=True),
    polled(PAGE, BROWSER),
    polled(PAGE, "X: y"),
    polled(VALUE, KEEPS, dictionary=True),
    polled(VALUE, BROWSER),
    polled(VALUE, "X: y"),
    long_polled("delta, for one value", "&delta=1", limit=DELTA_LIMIT),
    long_polled("delta, in a batch", "&delta=1&way=long-poll"),
    long_polled("zstd", "", ZSTD),
    long_polled("as it is", ""),
    streamed("delta", "&delta=1", limit=DELTA_LIMIT),
    streamed("delta, gzip", "&delta=1", GZIP, limit=DELTA_LIMIT),
    streamed("gzip", "", GZIP),
    streamed("zstd", "", ZSTD),
    streamed("as it is", ""),
    socketed("delta, compressed", "&delta=1", DEFLATE, limit=DELTA_LIMIT),
    socketed("delta", "&delta=1"),
    socketed("delta, hexcast.v1", "&delta=1", V1),
    socketed("delta, hexcast.v1, compressed", "&delta=1", V1 + DEFLATE),
    socketed("compressed", "", DEFLATE),
    socketed("as it is", ""),
    pushed("delta", "&delta=1"),
    pushed("as it is", ""),
]


@contextmanager
def publishing(port: int) -> Iterator[Callable[[], str]]:
    """What publishes the next value, whole, and gives its id."""
    board = Board()
    with Publisher(port) as publisher:
        yield lambda: publisher.put(TOPIC, board.next(), "application/json")


def sizes(setup: Setup) -> list[Row]:
    """One row for each case."""
    rows = []
    size = len(Board().text())
    with setup.server() as server, publishing(server.port) as publish:
        for case in CASES:
            updates = case.updates(server.port, publish)
            next(updates)  # the first is another's: with no dictionary, no value to change
            figures = [float(next(updates)) for _ in range(UPDATES)]
            updates.close()  # type: ignore[attr-defined]  # they are all generators
            rows.append(
                Row(
                    name=f"size-{case.way}-{case.how.replace(', ', '-').replace(' ', '-')}",
                    measure=f"{case.way}, {case.how}: bytes an update",
                    figure=median(figures),
                    unit="bytes",
                    limit=case.limit,
                    rounds=figures,
                    note=f"a JSON value of {MEMBERS} members, {size:,} bytes; one has changed",
                )
            )
    return rows
