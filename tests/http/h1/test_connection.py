"""The rules of a connection, over a socket that the test plays."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexcast.settings import Settings
from tests.support.fakes import Wire, World, post, put

KEEP = b"GET /topics/s HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture
def world() -> World:
    world = World()
    put(world.hub, "s", b"value")
    return world


def answers(out: bytes) -> list[tuple[int, bytes]]:
    """Status and body of each answer, read by Content-Length."""
    found = []
    while out:
        head, _, out = out.partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        status = int(lines[0].split()[1])
        fields = dict(line.lower().split(b": ", 1) for line in lines[1:])
        if b"chunked" in fields.get(b"transfer-encoding", b""):
            body, _, out = out.partition(b"0\r\n\r\n")
            found.append((status, body))
            continue
        size = 0 if status == 304 else int(fields.get(b"content-length", b"0"))
        found.append((status, out[:size]))
        out = out[size:]
    return found


def test_one_request_and_the_next(world: World) -> None:
    wire = world.connect()
    for _ in range(3):
        wire.send(KEEP)
    assert answers(wire.take()) == [(200, b"value")] * 3
    assert not wire.closing and world.counters.requests == 3


@given(st.lists(st.integers(0, 2000), max_size=8), st.integers(1, 5))
def test_pipelined_requests_are_answered_in_order_in_any_split(cuts: list[int], count: int) -> None:
    world = World()
    data = b""
    for n in range(count):
        body = b"%d" % n
        data += b"POST /topics/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%b" % (
            len(body), body)  # fmt: skip
        data += b"GET /topics/a HTTP/1.1\r\nHost: localhost\r\n\r\n"
    wire = world.connect()
    places = sorted({c % len(data) for c in cuts} | {0, len(data)})
    for begin, end in itertools.pairwise(places):
        wire.send(data[begin:end])
    got = answers(wire.take())
    assert [s for s, _ in got] == [201, 200] * count
    assert [b for _, b in got[1::2]] == [b"%d" % n for n in range(count)]
    assert world.hub.head == count


def test_a_request_behind_a_held_one_waits(world: World) -> None:
    wire = world.connect()
    held = b"GET /topics/a?wait=30 HTTP/1.1\r\nHost: localhost\r\n\r\n"
    wire.send(held + KEEP)
    assert wire.out == b"" and not wire.reading
    post(world.hub, "a", b"news")
    world.soon.all()
    assert answers(wire.take()) == [(200, b"news"), (200, b"value")]
    assert wire.reading


def test_a_connection_that_says_close(world: World) -> None:
    wire = world.connect()
    wire.send(b"GET /topics/s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert b"Connection: close" in wire.out and wire.closing


@pytest.mark.parametrize("keep", [True, False])
def test_an_old_client(world: World, keep: bool) -> None:
    wire = world.connect()
    wire.send(b"GET /topics/s HTTP/1.0\r\n" + b"Connection: keep-alive\r\n" * keep + b"\r\n")
    assert wire.closing is not keep
    assert (b"Connection: keep-alive" in wire.out) is keep


def test_a_refusal_comes_after_what_was_asked_before(world: World) -> None:
    wire = world.connect()
    wire.send(KEEP + KEEP + b"GARBAGE\r\n\r\n" + KEEP)
    statuses = [status for status, _ in answers(bytes(wire.out))]
    assert statuses[:2] == [200, 200] and len(statuses) == 3 and statuses[2] >= 400
    assert wire.ended, "no more answers, but what the client still sends is read for a while"
    world.pass_time(5)
    assert wire.gone


# Deadlines


def test_an_idle_connection_is_closed(world: World) -> None:
    wire = world.connect()
    wire.send(KEEP)
    world.pass_time(74)
    assert not wire.closing
    world.pass_time(2)
    assert wire.gone and not world.server.connections


def test_a_head_that_does_not_end_is_408_however_slowly_it_comes(world: World) -> None:
    wire = world.connect()
    for byte in b"GET /topics/s HTTP/1.1\r\n":
        if wire.closing or wire.ended:
            break
        wire.send(bytes([byte]))
        world.pass_time(1)
    assert [s for s, _ in answers(bytes(wire.out))] == [408]
    world.pass_time(5)
    assert wire.gone


def test_a_connection_that_says_nothing_is_closed(world: World) -> None:
    wire = world.connect()
    world.pass_time(80)
    assert wire.gone


def test_a_body_that_does_not_end(world: World) -> None:
    wire = world.connect()
    wire.send(b"POST /topics/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nab")
    world.pass_time(62)
    assert [s for s, _ in answers(bytes(wire.out))] == [408] and world.hub.head == 1


def test_a_head_begun_behind_a_held_request_has_a_deadline_too(world: World) -> None:
    """The next request is begun, and never ended, while a long poll is held."""
    wire = world.connect()
    wire.send(b"GET /topics/a?wait=5 HTTP/1.1\r\nHost: localhost\r\n\r\n")
    wire.send(b"GET /top")
    world.pass_time(6)
    assert [s for s, _ in answers(bytes(wire.out))] == [404]
    world.pass_time(120)
    assert wire.gone, "half a request keeps the connection for ever"


def test_the_time_until_a_connection_is_idle_begins_with_its_last_answer(world: World) -> None:
    wire = world.connect()
    wire.send(b"GET /topics/a?wait=90 HTTP/1.1\r\nHost: localhost\r\n\r\n")
    world.pass_time(12)
    post(world.hub, "a", b"1")
    world.soon.all()
    world.pass_time(76)
    assert wire.gone, "the deadline of the held request is not the idle connection's"


# A client that does not read


def test_requests_wait_while_the_socket_is_full(world: World) -> None:
    put(world.hub, "big", b"x" * 50_000)
    wire = world.connect()
    wire.stop_taking()
    get = b"GET /topics/big HTTP/1.1\r\nHost: localhost\r\n\r\n"
    wire.send(get * 100)
    assert len(wire.out) < 200_000 and not wire.reading
    for _ in range(200):
        wire.take()
        wire.stop_taking()
    assert [s for s, _ in answers(wire.take())] == [200] * 100


def chunks(out: bytes) -> bytes:
    """The payload of a chunked body."""
    body = b""
    while out:
        size, _, out = out.partition(b"\r\n")
        body += out[: int(size, 16)]
        out = out[int(size, 16) + 2 :]
    return body


def test_a_subscriber_whose_socket_is_full_costs_no_memory(world: World) -> None:
    wire = world.connect()
    wire.send(b"GET /topics/a HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n")
    world.soon.all()
    wire.stop_taking()
    for _ in range(400):
        post(world.hub, "a", b"x" * 10_000)
        world.soon.all()
    assert wire.unsent < 65_536 + 2 * 10_500
    for _ in range(100):
        wire.take()
        wire.stop_taking()
        world.soon.all()
    body = chunks(bytes(wire.out).partition(b"\r\n\r\n")[2])
    assert body.count(b"data: xxx") == 400


@pytest.mark.parametrize("way", ["sse", "websocket"])
def test_a_socket_that_fills_with_the_head_of_a_stream(world: World, way: str) -> None:
    """Behind a great answer a few bytes are left; the stream must know that it lags at once."""
    upgrade = (
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    )
    target = f"GET /topics/a?since=earliest&way={way} HTTP/1.1\r\nHost: localhost\r\n"
    stream = (target + (upgrade if way == "websocket" else "") + "\r\n").encode()
    for _ in range(100):
        post(world.hub, "a", b"x" * 30_000)
    put(world.hub, "big", b"x" * 65_000)
    wire = world.connect()
    wire.stop_taking()
    wire.send(b"GET /topics/big HTTP/1.1\r\nHost: localhost\r\n\r\n")
    wire.high = wire.unsent + 10  # the head alone is more
    assert not wire.full
    wire.send(stream)
    world.soon.all()
    for _ in range(100):
        post(world.hub, "a", b"x" * 30_000)
        world.soon.all()
    assert wire.unsent < 400_000, "a client that never reads has the whole backlog in its socket"


# The end of a connection


def test_a_client_that_goes(world: World) -> None:
    wire = world.connect()
    wire.send(b"GET /topics/a?way=sse HTTP/1.1\r\nHost: localhost\r\n\r\n")
    world.soon.all()
    assert (
        world.counters.ways["sse"].clients == 1 and sum(world.feeds.interested("a").values()) == 1
    )
    wire.drop()
    assert world.counters.ways["sse"].clients == 0 and world.feeds.interested("a") == {}
    assert not world.server.connections
    assert world.counters.connections == 0 and len(world.server.timers) == 0
    post(world.hub, "a")
    world.soon.all()


def test_half_a_publish_publishes_nothing(world: World) -> None:
    wire = world.connect()
    wire.send(b"POST /topics/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nab")
    assert not wire.connection.eof_received()
    wire.drop()
    assert world.hub.head == 1


def test_a_client_that_sends_no_more_still_gets_its_answer(world: World) -> None:
    wire = world.connect()
    wire.send(
        b"POST /topics HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\n"
        b"Content-Length: 24\r\n\r\n" + b'{"topic":"a","data":"1"}'
    )
    world.soon.all()
    assert answers(bytes(wire.out))[0][0] == 200 and world.hub.head == 2


def test_a_drain_ends_what_waits_and_closes_what_is_idle(world: World) -> None:
    idle, held, stream = world.connect(), world.connect(), world.connect()
    idle.send(KEEP)
    held.send(b"GET /topics/a?since=now&wait=60 HTTP/1.1\r\nHost: localhost\r\n\r\n")
    stream.send(b"GET /topics/a?way=sse HTTP/1.1\r\nHost: localhost\r\n\r\n")
    world.soon.all()
    world.context.draining = world.server.draining = True
    for wire in (idle, held, stream):
        wire.connection.drain()
    world.soon.all()
    status, body = answers(bytes(held.out))[0]
    assert status == 200 and json.loads(body)["records"] == []
    assert b"retry: 1000" in stream.out and stream.out.endswith(b"0\r\n\r\n")
    assert idle.gone and held.gone and stream.gone


def test_a_connection_that_comes_while_the_server_drains(world: World) -> None:
    """It was accepted before the listener closed: it must not keep the server from its end."""
    world.context.draining = world.server.draining = True
    wire = Wire(world)
    wire.send(KEEP)
    assert b"Connection: close" in wire.out and wire.closing


def test_a_fault_of_ours_is_this_clients_answer_only(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(draft: object, before: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(world.hub, "_judge", broken)
    wire = world.connect()
    wire.send(b"POST /topics/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\n1" + KEEP)
    assert [s for s, _ in answers(bytes(wire.out))] == [500, 200]
    assert "ZeroDivisionError" in caplog.text


def test_the_same_bytes_are_read_once(world: World) -> None:
    wire = world.connect()
    wire.send(KEEP)
    assert world.server.heads.find(KEEP) is not None
    put(world.hub, "s", b"other")
    wire.send(KEEP)
    assert answers(wire.take())[-1] == (200, b"other")
    assert world.server.heads.find(b"POST /topics/a HTTP/1.1\r\nHost: localhost\r\n\r\n") is None


def test_clients_that_differ_in_name_only_say_the_same(world: World) -> None:
    line = b"GET /topics/s?since=now HTTP/1.1\r\n"
    for name in (b"one", b"two"):
        world.connect().send(KEEP[:-2] + b"User-Agent: " + name + b"\r\n\r\n")
    world.connect().send(line + b"Host: localhost\r\nUser-Agent: one\r\n\r\n")
    # Never sent in these words, but each part of it was.
    assert world.server.heads.find(line + b"Host: localhost\r\nUser-Agent: two\r\n\r\n") is not None
    assert world.server.heads.find(line + b"Host: localhost\r\nAccept: */*\r\n\r\n") is None


def test_a_host_in_the_request_line_vouches_for_no_header(world: World) -> None:
    strange = b"\r\nHost: strange.example\r\n\r\n"
    wire = world.connect()
    wire.send(b"GET http://localhost/topics/s HTTP/1.1" + strange)
    wire.send(KEEP)
    assert [s for s, _ in answers(wire.take())] == [200, 200]
    wire.send(b"GET /topics/s HTTP/1.1" + strange)
    assert [s for s, _ in answers(wire.take())][2:] == [421]


def test_nothing_is_kept_of_a_request_that_is_being_answered(world: World) -> None:
    wire = world.connect()
    wire.send(KEEP.replace(b"/s", b"/s?way=sse"))
    assert wire.connection.exchange is not None
    assert wire.connection.queue is None and wire.connection.exchange.request.headers == {}


@given(st.lists(st.binary(max_size=80) | st.just(KEEP), max_size=6))
def test_no_bytes_raise_anything_or_are_answered_after_the_end(pieces: list[bytes]) -> None:
    world = World(Settings())
    wire = world.connect()
    for piece in pieces:
        if piece and not wire.closing:
            wire.send(piece)
            world.soon.all()
    world.pass_time(100)
    assert wire.gone and world.hub.head == 0
