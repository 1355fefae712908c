"""No one pays for the slow (protocol 5.4): clients that never read cost others neither time nor
memory."""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from contextlib import AsyncExitStack

from tests.support.harness import (
    Conn,
    Server,
    Sse,
    Ws,
    ask,
    path,
    publish,
    request_bytes,
    unique,
    upgrade_fields,
)

MEBIBYTE = 2**20
DEAF = 40
FLOOD = 10_000
SIZE = 4_000


async def latency(server: Server, topic: str, sse: Sse, ws: Ws, rounds: int) -> float:
    """The median time from a publish to its arrival at both of two clients that read."""
    took = []
    async with await Conn.open(server) as conn:
        for n in range(rounds):
            body = b"beat %d" % n
            began = time.perf_counter()
            conn.write(
                request_bytes(server, "POST", path(topic), {"Content-Type": "text/plain"}, body)
            )
            assert (await sse.record()).data == body.decode()
            assert await ws.message() == body.decode()
            took.append(time.perf_counter() - began)
            assert (await conn.answer("POST")).status == 201
    return statistics.median(took)


async def flood(server: Server, topic: str, count: int) -> None:
    """Publish `count` records of SIZE bytes as fast as they are taken."""
    line = json.dumps({"topic": topic, "data": "y" * SIZE}).encode() + b"\n"
    fields = {"Content-Type": "application/x-ndjson"}
    for _ in range(count // 500):
        answer = await ask(server, "POST", "/topics?ack=last", fields, line * 500, seconds=30)
        assert "id" in answer.lines()[-1]


async def deaf(server: Server, topic: str, n: int) -> Conn:
    """A client that asks and then never reads a byte."""
    conn = await Conn.open(server, rcvbuf=2048)
    fields = upgrade_fields("dGhlIHNhbXBsZSBub25jZQ==", "hexcast.v1" if n % 4 == 3 else "")
    if n % 2:
        await conn.send(request_bytes(server, "GET", path(topic), fields))
    else:
        await conn.send(request_bytes(server, "GET", f"{path(topic)}?way=sse"))
    conn.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a ReadTransport too
    return conn


async def test_clients_that_never_read() -> None:
    """A tight hold, so that the log itself is full, and of one size, before memory is measured."""
    with Server("--hold-records", "500", "--hold-bytes", str(2 * MEBIBYTE)) as server:
        beat, loud = unique("beat"), unique("loud")
        async with AsyncExitStack() as stack:
            sse = await stack.enter_async_context(await Sse.open(server, path(beat)))
            ws = await stack.enter_async_context(await Ws.open(server, path(beat)))
            await flood(server, loud, 2000)
            calm = await latency(server, beat, sse, ws, 200)
            full = server.rss()
            for n in range(DEAF):
                await stack.enter_async_context(await deaf(server, loud, n))
            await publish(server, loud, "x")  # answered once they are all in
            flooding = asyncio.create_task(flood(server, loud, FLOOD))
            await latency(server, beat, sse, ws, 50)
            await flooding
            grown = server.rss() - full
            clogged = await latency(server, beat, sse, ws, 200)
            print(
                f"latency {calm * 1e3:.2f} ms, with {DEAF} clients that do not read "
                f"{clogged * 1e3:.2f} ms; memory grew by {grown / MEBIBYTE:.1f} MiB "
                f"over {FLOOD * SIZE / MEBIBYTE:.0f} MiB published"
            )
            assert clogged < 4 * calm + 0.005
            # Buffered for each of them it would be 1,500 MiB; buffered once, 38.
            assert grown < 20 * MEBIBYTE


async def test_a_slow_reader_gets_every_record_that_is_held_and_the_newest_state() -> None:
    """It lags in the log: streams in full, states folded, no copy kept for it."""
    with Server() as server:
        stem = unique("slow")
        stream, state = f"{stem}/stream", f"{stem}/state"
        async with await Sse.open(server, f"/topics/{stem}/*", rcvbuf=2048) as sse:
            await sse.event()
            lines = b"".join(
                json.dumps({"topic": topic, "op": op, "data": f"{n} " + "z" * 2000}).encode()
                + b"\n"
                for n in range(3000)
                for topic, op in ((stream, "post"), (state, "put"))
            )
            fields = {"Content-Type": "application/x-ndjson"}
            await ask(server, "POST", "/topics?ack=last", fields, lines, seconds=30)
            posts, puts, ids = [], [], []
            while not (posts and puts and posts[-1] == puts[-1] == 2999):
                record = (await sse.record(seconds=20)).json()
                number = int(record["data"].partition(" ")[0])
                (posts if record["topic"] == stream else puts).append(number)
                ids.append(int(record["id"].rpartition("-")[2]))
        assert posts == list(range(3000))
        assert puts == sorted(set(puts))
        assert ids == sorted(set(ids))
        assert len(puts) < 2500, "the state's changes were not folded"
