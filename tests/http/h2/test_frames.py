"""Any frames in any order: a connection answers by the rules of RFC 9113 or ends with GOAWAY, never
with a fault of its own, and what it sends is always whole frames."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import cast

from hpack import Encoder
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hexcast.http.context import ServerContext
from hexcast.http.exchange import Body, Exchange, Plan
from hexcast.http.h2.connection import MAX_STREAMS, PREFACE, H2Connection
from hexcast.http.request import Request
from hexcast.http.response import Response
from hexcast.model.caller import Caller
from hexcast.model.counters import Counters

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW, MORE = range(10)
ANSWER = b"answer " * 20

FrameTuple = tuple[int, int, int, bytes]


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3) + bytes((kind, flags)) + stream.to_bytes(4) + payload


def frames(data: bytes) -> list[FrameTuple]:
    """What was sent, which must be whole frames."""
    found = []
    while data:
        size = int.from_bytes(data[:3])
        assert len(data) >= 9 + size, "half a frame"
        found.append((data[3], data[4], int.from_bytes(data[5:9]), data[9 : 9 + size]))
        data = data[9 + size :]
    return found


def request(method: str, path: str = "/topics/t") -> bytes:
    # Without the table: whichever of the requests are sent, each can be read.
    encoder = Encoder()
    encoder.header_table_size = 0
    return encoder.encode(
        [(":method", method), (":scheme", "http"), (":authority", "localhost"), (":path", path)]
    )


class Wire(asyncio.Transport):
    """A transport that keeps what is sent."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = b""
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.closed
        self.sent += data

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        return None

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        return None

    def resume_reading(self) -> None:
        return None

    def close(self) -> None:
        self.closed = True

    abort = close


class Held:
    """Keeps an exchange open, and is told how it goes."""

    def __init__(self, exchange: Exchange) -> None:
        self.write: Callable[[bytes], None] = exchange.start(200, ())
        self.over = 0
        self.write(ANSWER)

    def disconnected(self) -> None:
        self.over += 1

    def pause(self) -> None:
        return None

    resume = timeout = drain = pause


class World:
    """One connection, of which GET is held open and POST answered."""

    def __init__(self) -> None:
        self.now = 0.0
        self.held: list[Held] = []
        self.server = ServerContext(
            lambda request, address: Caller(),
            self._plan,
            Counters(),
            lambda: self.now,
            lambda: 0.0,
        )
        self.wire = Wire()
        self.connection = H2Connection(self.server)
        self.connection.connection_made(self.wire)

    def _plan(self, request: Request, caller: Caller) -> Plan:
        if request.method == "GET":
            return Plan(self._hold)
        return Plan(
            lambda exchange, body: exchange.respond(Response(200, (), body)), Body.WHOLE, 5000
        )

    def _hold(self, exchange: Exchange, body: bytes) -> None:
        held = Held(exchange)
        self.held.append(held)
        exchange.handler = cast("object", held)  # type: ignore[assignment]  # as good as an Owner


class Faults(logging.Handler):
    """What the server says of its own faults."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.found.append(self.format(record))


streams = st.integers(0, 9) | st.sampled_from([2**31 - 1, 257])
small = st.binary(max_size=20)
words = st.integers(0, 2**32 - 1)
good = st.one_of(
    st.builds(lambda s, m, e: (HEADERS, 4 | e, s, request(m)), st.sampled_from([1, 3, 5, 7, 9]),
              st.sampled_from(["GET", "POST"]), st.sampled_from([0, 1])),
    st.builds(lambda s, d, e: (DATA, e, s, d), streams, st.binary(max_size=3000), st.sampled_from([0, 1])),
    st.builds(lambda s, n: (WINDOW, 0, s, n.to_bytes(4)), streams, words),
    st.builds(lambda s, n: (RST_STREAM, 0, s, n.to_bytes(4)), streams, words),
    st.builds(lambda k, n: (SETTINGS, 0, 0, k.to_bytes(2) + n.to_bytes(4)), st.integers(1, 9),
              words | st.sampled_from([0, 1, 10, 16_384, 65_535])),
    st.just((SETTINGS, 1, 0, b"")),
    st.builds(lambda d: (PING, 0, 0, d), st.binary(min_size=8, max_size=8)),
    st.builds(lambda s, n: (GOAWAY, 0, 0, s.to_bytes(4) + n.to_bytes(4)), st.integers(0, 9), st.integers(0, 13)),
)  # fmt: skip
bad = st.tuples(st.integers(0, 12), st.integers(0, 255), streams, small)


def play(said: list[FrameTuple], cuts: list[int]) -> None:
    world = World()
    data = PREFACE + frame(SETTINGS, 0, 0, b"") + b"".join(frame(*one) for one in said)
    for cut in [*cuts, len(data)]:
        if cut > 0 and not world.wire.closed:
            world.connection.data_received(data[:cut])
        data = data[max(cut, 0) :]
        connection = world.connection
        assert len(connection.streams) <= MAX_STREAMS
        assert connection.queued >= 0 and connection.uploads.size >= 0
    sent = frames(world.wire.sent)
    assert sent[0][0] == SETTINGS
    if world.connection.finished:
        assert GOAWAY in [kind for kind, *_ in sent], "it ended without a word"
        assert not world.connection.streams and not world.connection.queued
        assert all(held.over == 1 for held in world.held)


@settings(max_examples=300, deadline=None)
@example(said=[(HEADERS, 5, 1, request("GET")), (RST_STREAM, 0, 1, b"\0\0\0\x08")], cuts=[])
@example(said=[(HEADERS, 4, 1, request("POST")), (DATA, 1, 1, b"x" * 6000)], cuts=[])
@given(said=st.lists(good | bad, max_size=25), cuts=st.lists(st.integers(0, 400), max_size=5))
def test_any_frames_in_any_order(said: list[FrameTuple], cuts: list[int]) -> None:
    log = logging.getLogger("hexcast")
    log.addHandler(faults := Faults())
    try:
        play(said, cuts)
    finally:
        log.removeHandler(faults)
    assert not faults.found
