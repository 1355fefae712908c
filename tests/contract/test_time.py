"""What time does (protocol 3): heartbeats, pings, deadlines. All waits run side by side."""

from __future__ import annotations

import asyncio
import json
import time

import pytest

from tests.support.harness import (
    Conn,
    Server,
    Sse,
    Ws,
    path,
    problem,
    publish,
    request_bytes,
    unique,
)
from tests.support.wire import CLOSE, PING, PONG, seq


async def heartbeat(server: Server) -> None:
    """An idle event stream says something at least every 15 s."""
    async with await Sse.open(server, path(unique())) as sse:
        await sse.event()
        began = time.monotonic()
        data = await sse.conn.content(seconds=17)
        assert data
        assert time.monotonic() - began < 16.5


async def moved_cursor(server: Server) -> None:
    """With a heartbeat a quiet client is told how far the log has moved, and can return there."""
    topic = unique()
    async with await Sse.open(server, path(topic)) as sse:
        start = await sse.event()
        elsewhere = await publish(server, unique(), "x")
        event = await sse.event(seconds=17)
    assert event.event == "hexcast:cursor"
    assert event.data
    assert event.id is not None and start.id is not None
    assert seq(event.id) >= seq(elsewhere) > seq(start.id)
    missed = await publish(server, topic, "missed")
    async with await Sse.open(server, path(topic), {"Last-Event-ID": event.id}) as sse:
        assert (await sse.record()).id == missed


async def moved_cursor_v1(server: Server) -> None:
    """The subprotocol tells it now and then too."""
    async with await Ws.open(server, path(unique()), protocol="hexcast.v1") as ws:
        elsewhere = await publish(server, unique(), "x")
        async with asyncio.timeout(32):
            while True:
                message = json.loads(await ws.message(seconds=31))
                if list(message) == ["cursor"] and seq(message["cursor"]) >= seq(elsewhere):
                    return


async def pinged(server: Server) -> None:
    """A ping at least every 25 s; a client that answers stays."""
    async with await Ws.open(server, path(unique())) as ws:
        began = time.monotonic()
        frame = await ws.frame(seconds=27)
        assert frame.opcode == PING
        assert time.monotonic() - began < 26.5
        await ws.send(PONG, frame.payload)
        await ws.send(PING, b"still there?")
        assert (await ws.frame()).payload == b"still there?"


async def silent_headers(server: Server) -> None:
    """A request that does not come to its end within 10 s: 408."""
    async with await Conn.open(server) as conn:
        began = time.monotonic()
        await conn.send(b"GET /healthz HTTP/1.1\r\nHost: loc")
        answer = await conn.answer(seconds=13)
        problem(answer, 408)
        assert "close" in answer.head.tokens("connection")
        assert await conn.eof() == b""
        assert 9 < time.monotonic() - began < 13


async def dripping_headers(server: Server) -> None:
    """Nor does a byte now and then keep it open."""
    async with await Conn.open(server) as conn:
        began = time.monotonic()
        reading = asyncio.create_task(conn.head(seconds=14))
        request = request_bytes(server, "GET", "/healthz", {"X-Pad": "y" * 200})
        for byte in request:
            if reading.done():
                break
            conn.write(bytes([byte]))
            await asyncio.wait([reading], timeout=0.5)
        head = await reading
        assert head.status == 408
        assert time.monotonic() - began < 13


async def silent_second_request(server: Server) -> None:
    """The deadline holds for every request of a connection, from its first byte."""
    async with await Conn.open(server) as conn:
        await conn.ask(server, "GET", "/healthz")
        await conn.send(b"G")
        assert (await conn.answer(seconds=13)).status == 408


async def connected_and_silent(server: Server) -> None:
    """A connection on which nothing ever comes does not stay for ever; 408 or a bare close."""
    async with await Conn.open(server) as conn:
        rest = await conn.eof(seconds=28)
        assert rest == b"" or rest.startswith(b"HTTP/1.1 408 ")


async def dripping_body(server: Server) -> None:
    """A body may be slow, if it comes."""
    topic = unique()
    async with await Conn.open(server) as conn:
        await conn.send(request_bytes(server, "PUT", path(topic), {"Content-Length": "24"}))
        answer = asyncio.create_task(conn.answer("PUT", seconds=20))
        for _ in range(24):
            conn.write(b"x")
            await asyncio.wait([answer], timeout=0.5)
        assert (await answer).status == 201


async def test_heartbeats_pings_and_deadlines(server: Server) -> None:
    async with asyncio.TaskGroup() as together:
        for part in (
            heartbeat, moved_cursor, moved_cursor_v1, pinged, silent_headers, dripping_headers,
            silent_second_request, dripping_body,
        ):  # fmt: skip
            together.create_task(part(server), name=part.__name__)


async def unanswered_ping(server: Server) -> None:
    async with await Ws.open(server, path(unique())) as ws:
        frame = await ws.frame(seconds=27)
        assert frame.opcode == PING
        while (frame := await ws.frame(seconds=60)).opcode == PING:
            continue
        assert frame.opcode == CLOSE
        await ws.conn.eof()


async def idle_keep_alive(server: Server) -> None:
    async with await Conn.open(server) as conn:
        await conn.ask(server, "GET", "/healthz")
        began = time.monotonic()
        assert await conn.eof(seconds=85) == b""
        assert 70 < time.monotonic() - began < 82


async def longest_wait(server: Server) -> None:
    async with await Conn.open(server) as conn:
        began = time.monotonic()
        target = f"{path(unique())}?wait=100000&since=now"
        answer = await conn.ask(server, "GET", target, seconds=95)
        assert answer.json()["records"] == []
        assert 88 < time.monotonic() - began < 93


@pytest.mark.long
async def test_what_takes_more_than_a_minute(server: Server) -> None:
    """A pong that never comes, an idle connection (75 s), the longest wait (90 s)."""
    async with asyncio.TaskGroup() as together:
        for part in (unanswered_ping, idle_keep_alive, longest_wait, connected_and_silent):
            together.create_task(part(server), name=part.__name__)
