"""Deadlines of an HTTP/2 connection, with the clock in the test's hand and no socket."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import h2.config
import h2.connection
import h2.events
import pytest
from h2.errors import ErrorCodes
from hyperframe.frame import HeadersFrame

from hexcast.http.context import ServerContext
from hexcast.http.exchange import Body, Exchange, Plan
from hexcast.http.h2.connection import H2Connection
from hexcast.http.h2.sender import STALL_SECONDS
from hexcast.http.request import Request
from hexcast.http.response import Response
from hexcast.model.caller import Caller
from hexcast.model.counters import Counters
from hexcast.ways.websocket.session import Session
from tests.support.fakes import Sent, World
from tests.support.wire import CONTINUATION, PONG, TEXT, ws_frame

HANDSHAKE = {
    "upgrade": "websocket",
    "connection": "upgrade",
    "sec-websocket-version": "13",
    "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA==",
}


class Pipe(asyncio.Transport):
    """A socket that is always ready, unless the test says that it is full."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = bytearray()
        self.reading = True
        self.closed = False
        self.aborted = False

    def write(self, data: Any) -> None:
        self.sent += data

    def can_write_eof(self) -> bool:
        return False

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = self.aborted = True

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default


class Held:
    """Keeps an exchange open and notes what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def __getattr__(self, name: str) -> Callable[[], None]:
        return lambda: self.told.append(name)


class Bench:
    """One connection of a service whose clock is `now`, and the client at its other end."""

    def __init__(self, answer: Callable[[Exchange, bytes], None], body: Body = Body.NONE) -> None:
        self.now = 1000.0
        self.requests: list[Request] = []

        def plan(request: Request, caller: Caller) -> Plan:
            self.requests.append(request)
            return Plan(answer, body, 100_000)

        self.server = ServerContext(
            lambda request, address: Caller(), plan, Counters(), lambda: self.now, lambda: 0.0
        )
        self.connection = H2Connection(self.server)
        self.pipe = Pipe()
        self.client = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=True, header_encoding="utf-8")
        )
        self.events: list[Any] = []
        self.connection.connection_made(self.pipe)
        self.client.initiate_connection()
        self.swap()

    def swap(self) -> None:
        """Carry bytes both ways until both are silent."""
        while True:
            sent, self.pipe.sent = bytes(self.pipe.sent), bytearray()
            if sent:
                self.events += self.client.receive_data(sent)
            data = self.client.data_to_send()
            if data:
                self.connection.data_received(data)
            if not (data or self.pipe.sent):
                return

    def request(self, *, end: bool = True) -> int:
        stream = self.client.get_next_available_stream_id()
        fields = [(":method", "PUT"), (":scheme", "http"), (":authority", "x"), (":path", "/")]
        self.client.send_headers(stream, fields, end_stream=end)
        self.swap()
        return stream

    def wait(self, seconds: float) -> None:
        for _ in range(int(seconds * 4) + 2):
            self.now += 0.25
            self.server.tick()
        self.swap()

    def came(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


def respond(exchange: Exchange, body: bytes) -> None:
    exchange.respond(Response(200, (), b"x" * 200_000))


def test_an_idle_connection_gets_goaway() -> None:
    bench = Bench(respond)
    bench.wait(bench.server.idle)
    assert [e.error_code for e in bench.came(h2.events.ConnectionTerminated)] == [0]
    assert bench.pipe.closed and not bench.pipe.aborted


def test_a_connection_that_holds_a_stream_is_not_idle() -> None:
    held = Held()
    bench = Bench(lambda exchange, _: setattr(exchange, "handler", held))
    bench.request()
    bench.wait(500)
    assert not bench.pipe.closed
    assert held.told == []


def test_wake_calls_the_owner() -> None:
    held = Held()

    def hold(exchange: Exchange, body: bytes) -> None:
        exchange.handler = held
        exchange.set_deadline(10)

    bench = Bench(hold)
    bench.request()
    bench.wait(9)
    assert held.told == []
    bench.wait(2)
    assert held.told == ["timeout"]


def test_a_body_that_never_ends_gets_408() -> None:
    bench = Bench(respond, Body.WHOLE)
    for _ in range(100):
        bench.request(end=False)
    bench.wait(bench.server.body)
    heads = bench.came(h2.events.ResponseReceived)
    assert [dict(e.headers)[":status"] for e in heads] == ["408"] * 100
    assert not bench.connection.streams
    assert bench.connection.uploads.size == 0
    bench.wait(bench.server.idle)
    assert bench.pipe.closed


def test_a_header_block_that_never_ends_ends_the_connection() -> None:
    bench = Bench(respond)
    bench.connection.data_received(HeadersFrame(1, data=b"\x82").serialize())
    bench.wait(bench.server.head)
    told = bench.came(h2.events.ConnectionTerminated)
    assert [e.error_code for e in told] == [ErrorCodes.ENHANCE_YOUR_CALM]
    bench.wait(5)
    assert bench.pipe.aborted


def test_a_header_block_is_timed_although_a_stream_is_open() -> None:
    held = Held()
    bench = Bench(lambda exchange, _: setattr(exchange, "handler", held))
    bench.request()
    bench.connection.data_received(HeadersFrame(3, data=b"\x82").serialize())
    bench.wait(bench.server.head)
    assert bench.came(h2.events.ConnectionTerminated)
    assert held.told == ["disconnected"]


def test_an_answer_that_nobody_takes_is_given_up() -> None:
    bench = Bench(respond)
    stream = bench.request()
    assert len(bench.came(h2.events.DataReceived)) > 0
    assert bench.connection.queued == 200_000 - 65_535
    bench.wait(STALL_SECONDS - 2)
    bench.client.increment_flow_control_window(10, stream)
    bench.client.increment_flow_control_window(10)
    bench.swap()
    bench.wait(STALL_SECONDS - 2)
    assert not bench.came(h2.events.StreamReset)  # it had taken a little
    bench.wait(4)
    assert [e.error_code for e in bench.came(h2.events.StreamReset)] == [ErrorCodes.CANCEL]
    assert bench.connection.queued == 0
    assert not bench.connection.streams


def test_nothing_is_read_while_nothing_can_be_written() -> None:
    held = Held()

    def hold(exchange: Exchange, body: bytes) -> None:
        exchange.start(200, ())
        exchange.handler = held

    bench = Bench(hold)
    bench.request()
    bench.connection.pause_writing()
    assert not bench.pipe.reading
    assert held.told == ["pause"]
    bench.connection.resume_writing()
    assert bench.pipe.reading
    assert held.told == ["pause", "resume"]


def test_a_request_waits_while_the_socket_is_full() -> None:
    bench = Bench(respond)
    bench.connection.pause_writing()
    bench.request()
    assert not bench.came(h2.events.ResponseReceived)
    bench.connection.resume_writing()
    bench.swap()
    assert bench.came(h2.events.ResponseReceived)


def test_a_fault_of_the_plan_is_that_streams_alone(caplog: pytest.LogCaptureFixture) -> None:
    def fail(exchange: Exchange, body: bytes) -> None:
        raise ZeroDivisionError("for the test")

    bench = Bench(fail)
    bench.request()
    bench.request()
    heads = bench.came(h2.events.ResponseReceived)
    assert [dict(e.headers)[":status"] for e in heads] == ["500", "500"]
    assert "for the test" in caplog.text


def test_windows_are_kept_as_the_client_keeps_them() -> None:
    """The frames written beside the state machine count in its windows, byte for byte."""

    def stream(exchange: Exchange, body: bytes) -> None:
        write = exchange.start(200, ())
        for size in (1, 100, 5000, 20_000, 0, 16_384):
            write(b"w" * size)

    bench = Bench(stream)
    id = bench.request()
    total = sum(len(e.data) for e in bench.came(h2.events.DataReceived))
    assert total == 41_485
    assert bench.connection.machine.local_flow_control_window(id) == 65_535 - total
    assert bench.client.remote_flow_control_window(id) == 65_535 - total


class Pinging(Held):
    """Shows every ten seconds that it lives."""

    def __init__(self, exchange: Exchange) -> None:
        super().__init__()
        self.exchange = exchange
        self.timeout()

    def timeout(self) -> None:
        self.exchange.ping()
        self.exchange.set_deadline(10)


@pytest.mark.parametrize("answers", [True, False])
def test_a_client_that_answers_no_ping_is_let_go(*, answers: bool) -> None:
    def run(exchange: Exchange, body: bytes) -> None:
        exchange.start(200, ())
        exchange.handler = Pinging(exchange)

    bench = Bench(run)
    bench.request()
    for _ in range(20):
        for _ in range(40):
            bench.now += 0.25
            bench.server.tick()
        if answers:
            bench.swap()
    assert bench.pipe.aborted is not answers


def world_batch(body: bytes) -> tuple[World, Sent]:
    """A batch of which this has come."""
    world = World()
    head = {"content-type": "application/x-ndjson"}
    exchange = world.ask("/topics", head, method="POST")
    assert exchange.body_reader is not None
    exchange.body_reader.feed(body)
    return world, exchange


def test_a_line_that_stands_still_ends_its_batch() -> None:
    _, exchange = world_batch(b'{"topic": "a", ')
    handler = exchange.handler
    assert exchange.alarm and handler is not None
    for _ in range(3):
        handler.timeout()
        assert exchange.body_reader is not None
        exchange.body_reader.feed(b" ")
    assert not exchange.body
    handler.timeout()
    handler.timeout()
    assert b'"status":408' in exchange.body
    assert exchange.finished and exchange.closed


def test_a_batch_may_be_silent_between_lines() -> None:
    _, exchange = world_batch(b'{"topic": "a", "data": 1}\n')
    assert not exchange.alarm and exchange.handler is not None
    for _ in range(5):
        exchange.handler.timeout()
    assert not exchange.finished


def test_a_message_that_stands_still_ends_its_websocket() -> None:
    world = World()
    exchange = world.ask("/topics/a?way=websocket", HANDSHAKE, tunnels=True)
    session = exchange.handler
    assert isinstance(session, Session)
    for turn in range(10):
        begun = (
            ws_frame(TEXT, b"x", fin=False)
            if turn == 0
            else ws_frame(CONTINUATION, b"x", fin=False)
        )
        session.feed(begun + ws_frame(PONG))
        session.timeout()
    assert not session.closing
    for _ in range(3):
        assert not session.closing
        session.feed(ws_frame(PONG))
        session.timeout()
    assert session.closing


def test_uploads_that_end_with_their_connection_reopen_no_window() -> None:
    bench = Bench(lambda exchange, body: None, Body.WHOLE)
    for stream in [bench.request(end=False) for _ in range(3)]:
        bench.client.send_data(stream, b"x" * 100)
    data = bench.client.data_to_send()
    # Nothing is given back for these: the window of a body that may still grow is reopened later.
    bench.connection.data_received(data)
    for exchange in bench.connection.streams.values():
        exchange.unacknowledged += 1
    before = len(bench.pipe.sent)
    bench.connection.connection_lost(None)
    assert len(bench.pipe.sent) == before and bench.connection.uploads.size == 0
