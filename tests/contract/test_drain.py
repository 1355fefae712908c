"""A stop is clean (protocol 5.6): a hundred clients on each way, some of which never read."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import time
from contextlib import AsyncExitStack

import pytest

from tests.support.harness import (
    Conn,
    Server,
    Sse,
    Ws,
    ask,
    get,
    path,
    publish,
    put,
    request_bytes,
    unique,
    upgrade_fields,
)
from tests.support.wire import CLOSE, ID, WsParser, seq

EACH = 100
DEAF = 20
TEXT = {"Content-Type": "text/plain; charset=utf-8"}


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
async def test_a_hundred_clients_on_each_way(sig: signal.Signals) -> None:
    server = Server("--drain", "5")
    async with AsyncExitStack() as stack:
        stack.enter_context(server)
        topic, quiet, loud = unique(), unique(), unique()
        cursor = await publish(server, topic, "x")
        value = await put(server, quiet, "x")

        polls = [await stack.enter_async_context(await Conn.open(server)) for _ in range(EACH)]
        for n, conn in enumerate(polls):
            if n % 2:
                await conn.send(
                    request_bytes(server, "GET", f"{path(topic)}?since={cursor}&wait=60")
                )
            else:
                fields = {"If-None-Match": f'"{value}"'}
                await conn.send(request_bytes(server, "GET", f"{path(quiet)}?wait=60", fields))
        streams = [
            await stack.enter_async_context(await Sse.open(server, path(topic)))
            for _ in range(EACH)
        ]
        sockets = [
            await stack.enter_async_context(
                await Ws.open(server, path(topic), protocol="hexcast.v1" if n % 2 else "")
            )
            for n in range(EACH)
        ]
        idle = [await stack.enter_async_context(await Conn.open(server)) for _ in range(EACH)]
        for n, conn in enumerate(idle):
            target = f"{path(topic)}?way={'refresh' if n % 2 else 'poll'}"
            assert (await conn.ask(server, "GET", target)).status == 200
        for n in range(DEAF * 3):
            conn = await stack.enter_async_context(await Conn.open(server, rcvbuf=2048))
            if n % 3 == 0:
                target = f"{path(loud)}?way=sse"
                await conn.send(request_bytes(server, "GET", target))
            elif n % 3 == 1:
                fields = upgrade_fields("dGhlIHNhbXBsZSBub25jZQ==")
                await conn.send(request_bytes(server, "GET", path(loud), fields))
            else:
                await conn.send(
                    request_bytes(server, "GET", f"{path(loud)}?since=earliest&wait=60")
                )
            conn.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a ReadTransport too
        assert (await get(server, "/healthz")).status == 200
        for _ in range(60):
            await publish(server, loud, b"y" * 100_000)
        newest = await publish(server, unique(), "z")
        for sse in streams:
            await sse.event()

        stopping = asyncio.create_task(asyncio.to_thread(server.stop, sig, 9.0))
        for n, conn in enumerate(polls):
            answer = await conn.answer()
            if n % 2:
                told = answer.json()
                assert (answer.status, told["records"]) == (200, [])
                assert seq(told["cursor"]) >= seq(newest)
            else:
                assert (answer.status, answer["etag"]) == (304, f'"{value}"')
            assert "close" in answer.head.tokens("connection")
        for sse in streams:
            blocks = len(sse.blocks)
            await sse.end()
            assert any(block.retry is not None for block in sse.blocks[blocks:]), (
                "retry: at the end"
            )
        for ws in sockets:
            assert await ws.closed() == 1012
        for conn in idle:
            assert await conn.eof() == b""
        took = await stopping
        assert took < 9


async def test_with_no_clients_it_is_quick() -> None:
    server = Server()
    with server:
        await publish(server, unique(), "x")
        assert server.stop() < 3


async def test_with_clients_that_leave_it_does_not_wait_for_the_deadline() -> None:
    server = Server("--drain", "10")
    with server:
        topic = unique()
        async with (
            await Sse.open(server, path(topic)) as sse,
            await Ws.open(server, path(topic)) as ws,
            await Conn.open(server) as idle,
        ):
            await idle.ask(server, "GET", "/healthz")
            began = time.monotonic()
            stopping = asyncio.create_task(asyncio.to_thread(server.stop))
            await sse.end()
            assert await ws.closed() == 1012
            await stopping
            assert time.monotonic() - began < 4


async def test_a_request_in_hand_is_finished() -> None:
    """Its body is still coming when the signal does."""
    server = Server("--drain", "5")
    with server:
        topic = unique()
        async with await Conn.open(server) as conn, await Sse.open(server, path(unique())) as sse:
            whole = request_bytes(server, "POST", path(topic), TEXT, b"x" * 1000)
            await conn.send(whole[:-500])
            await get(server, "/healthz")
            stopping = asyncio.create_task(asyncio.to_thread(server.stop))
            await sse.end()  # so the drain has begun
            await conn.send(whole[-500:])
            answer = await conn.answer("POST")
            assert answer.status == 201
            assert ID.fullmatch(answer.json()["id"])
            await stopping


async def test_a_request_that_never_ends_does_not_hold_it_up() -> None:
    server = Server("--drain", "2")
    with server:
        async with (
            await Conn.open(server) as half,
            await Conn.open(server) as batch,
            await Conn.open(server),
        ):
            await half.send(
                request_bytes(server, "PUT", path(unique()), {"Content-Length": "10"}) + b"x"
            )
            fields = {"Content-Type": "application/x-ndjson", "Transfer-Encoding": "chunked"}
            await batch.send(request_bytes(server, "POST", "/topics", fields))
            await get(server, "/healthz")
            assert server.stop(within=6) < 5


async def test_a_batch_in_flight_keeps_what_it_acknowledged() -> None:
    """Every line that got its id was published; the answer ends within the deadline."""
    server = Server("--drain", "3")
    with server:
        topic = unique()
        async with await Conn.open(server) as conn, await Sse.open(server, path(topic)) as sse:
            fields = {"Content-Type": "application/x-ndjson", "Transfer-Encoding": "chunked"}
            await conn.send(request_bytes(server, "POST", "/topics", fields))
            line = json.dumps({"topic": topic, "data": "x"}).encode() + b"\n"
            block = line * 50
            await conn.send(b"%x\r\n%b\r\n" % (len(block), block))
            await conn.head()
            acknowledged = b""
            while acknowledged.count(b"\n") < 50:
                acknowledged += await conn.content()
            stopping = asyncio.create_task(asyncio.to_thread(server.stop, signal.SIGTERM, 8.0))
            ids = []
            async with asyncio.timeout(10):
                while (event := await sse.block()) is not None:
                    if event.data is not None and event.event is None:
                        ids.append(event.id)
            assert [json.loads(part)["id"] for part in acknowledged.splitlines()[:50]] == ids[:50]
            await stopping


async def test_no_new_connections_while_it_drains() -> None:
    server = Server("--drain", "3")
    with server:
        topic = unique()
        async with (
            await Conn.open(server, rcvbuf=2048) as deaf,
            await Sse.open(server, path(unique())) as sse,
        ):
            await deaf.send(request_bytes(server, "GET", f"{path(topic)}?way=sse"))
            deaf.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a ReadTransport too
            await get(server, "/healthz")
            for _ in range(60):
                await publish(server, topic, b"y" * 100_000)
            stopping = asyncio.create_task(asyncio.to_thread(server.stop))
            await sse.end()
            try:
                answer = await ask(server, "PUT", path(unique()), TEXT, "x")
            except (OSError, EOFError):
                pass
            else:
                assert answer.status == 503, "or not answered at all"
                assert "retry-after" in answer
            await stopping


async def test_a_second_signal_does_no_harm() -> None:
    server = Server("--drain", "3")
    with server:
        async with await Sse.open(server, path(unique())) as sse, await Conn.open(server) as half:
            await half.send(b"GET /healthz HTTP/1.1\r\n")
            await get(server, "/healthz")
            assert server.process is not None
            server.process.send_signal(signal.SIGTERM)
            await sse.end()
            if server.alive():
                server.stop(signal.SIGTERM, 6)


def test_a_drained_server_leaves_its_port() -> None:
    first = Server()
    with first:
        pass
    with Server(port=first.port) as second:
        assert second.alive()


def test_a_websocket_client_that_ignores_the_close() -> None:
    """It reads, but neither answers the close frame nor goes away."""
    server = Server("--drain", "2")
    with server, socket.create_connection((server.host, server.port), 10) as sock:
        fields = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
                  "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}  # fmt: skip
        sock.sendall(request_bytes(server, "GET", "/topics/x", fields))
        head = b""
        while b"\r\n\r\n" not in head:
            head += sock.recv(65536)
        assert server.stop(within=6) < 5
        data = head.partition(b"\r\n\r\n")[2]
        try:
            while more := sock.recv(65536):
                data += more
        except ConnectionError:
            pass
        closes = [f for f in WsParser().feed(data) if f.opcode == CLOSE]
        assert [int.from_bytes(f.payload[:2], "big") for f in closes] == [1012]
