"""Publishers of numbered records: one for each topic, so that its order is known."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable

from tests.support.harness import Conn, Server, path, request_bytes

ALPHABET = "abc xyz 0189 \u00e9\u00fc\u4e16\U0001f40d \n \n{}\"'<&>\\"


def payload(chance: random.Random, number: int, size: int) -> str:
    """`n=NUMBER;` and then text of many sorts, of some length."""
    length = chance.choice([0, 5, 40, size])
    return f"n={number};" + "".join(chance.choices(ALPHABET, k=min(length, 60))) * (
        length // 60 + 1
    )


async def rest(
    count: int, stop: Callable[[], bool], ahead: Callable[[int], bool], pause: float
) -> None:
    """Sleep a while, and on while this topic is ahead of the clients: a busy machine slows both."""
    await asyncio.sleep(pause)
    while ahead(count) and not stop():  # noqa: ASYNC110  # paces a load, waits for no event
        await asyncio.sleep(0.02)


async def by_request(
    server: Server, topic: str, method: str, chance: random.Random, ids: list[str],
    stop: Callable[[], bool], ahead: Callable[[int], bool], *, pause: float, size: int,
) -> None:  # fmt: skip
    """Bursts of POST or PUT on one connection, pipelined; `ids` gets each acknowledged id."""
    async with await Conn.open(server) as conn:
        while not stop():
            burst = chance.randint(1, 8)
            for number in range(len(ids), len(ids) + burst):
                body = payload(chance, number, size).encode()
                conn.write(
                    request_bytes(
                        server,
                        method,
                        path(topic),
                        {"Content-Type": "text/plain; charset=utf-8"},
                        body,
                    )
                )
            for _ in range(burst):
                answer = await conn.answer(method)
                assert answer.status in (200, 201), (answer.status, answer.body)
                ids.append(answer.json()["id"])
            await rest(len(ids), stop, ahead, chance.uniform(0, 2 * pause))


async def by_batch(
    server: Server, topic: str, op: str, chance: random.Random, ids: list[str],
    stop: Callable[[], bool], ahead: Callable[[int], bool], *, pause: float, size: int,
) -> None:  # fmt: skip
    """One long NDJSON request, lines in and ids out as they come."""
    async with await Conn.open(server) as conn:
        fields = {"Content-Type": "application/x-ndjson", "Transfer-Encoding": "chunked"}
        conn.write(request_bytes(server, "POST", "/topics", fields))
        begun = False
        half = b""
        while not stop():
            burst = chance.randint(1, 12)
            lines = b"".join(
                json.dumps({"topic": topic, "op": op, "data": payload(chance, n, size)}).encode()
                + b"\n"
                for n in range(len(ids), len(ids) + burst)
            )
            await conn.send(b"%x\r\n%b\r\n" % (len(lines), lines))
            if not begun:
                assert (await conn.head()).status == 200
                begun = True
            wanted = len(ids) + burst
            while len(ids) < wanted:
                *told, half = (half + await conn.content()).split(b"\n")
                ids += [json.loads(line)["id"] for line in told]
            await rest(len(ids), stop, ahead, chance.uniform(0, 2 * pause))
        await conn.send(b"0\r\n\r\n")
        assert not await conn.content()
