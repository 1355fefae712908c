"""`rate=N` (protocol 3): at most N flushes a second, everything folded, nothing reordered."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from typing import Any

import pytest

from tests.support.harness import Server, Sse, Ws, ask, get, path, publish, put, unique
from tests.support.wire import seq

JSON = {"Content-Type": "application/json"}


def value(n: int) -> str:
    return json.dumps({"n": n, "pad": "x" * 50})


async def test_a_state_is_folded_to_the_newest_and_paced(server: Server) -> None:
    topic = unique()
    await put(server, topic, value(0), fields=JSON)
    async with await Sse.open(server, path(topic) + "?rate=4&delta=1&format=json") as sse:
        assert (await sse.record()).json()["op"] == "put"
        began = time.monotonic()
        times, records = [], []

        async def follow() -> None:
            while not records or records[-1]["data"]["n"] != 40:
                records.append((await sse.record()).json())
                times.append(time.monotonic() - began)

        reading = asyncio.create_task(follow())
        for n in range(1, 41):
            await put(server, topic, value(n), fields=JSON)
            await asyncio.sleep(0.02)
        published = time.monotonic() - began
        await asyncio.wait_for(reading, 5)
    assert 2 <= len(records) <= 4 * (published + 0.3) + 1, (len(records), published)
    # Written at least a quarter of a second apart; what the test reads may come a little later.
    assert all(b - a > 0.15 for a, b in itertools.pairwise(times)), times
    assert all(r["op"] == "patch" for r in records)
    bases = [r["base"] for r in records[1:]]
    assert bases == [r["id"] for r in records[:-1]], "each is against the one sent before"


async def test_every_stream_record_comes_in_order_among_the_states(server: Server) -> None:
    stem = unique()
    await put(server, f"{stem}/state", value(0), fields=JSON)
    async with await Sse.open(server, f"/topics?topic={stem}/**&rate=5&delta=1") as sse:
        await sse.record()
        posted = []
        for n in range(30):
            posted.append(await publish(server, f"{stem}/stream", str(n)))
            last = await put(server, f"{stem}/state", value(n + 1), fields=JSON)
        got: list[dict[str, Any]] = []
        while not got or got[-1]["id"] != last:
            got.append((await sse.record()).json())
    assert [seq(r["id"]) for r in got] == sorted(seq(r["id"]) for r in got)
    assert [r["id"] for r in got if r["op"] == "post"] == posted
    states = [r for r in got if r["op"] != "post"]
    assert len(states) < 15
    assert states[-1]["data"] == {"n": 30}


async def test_a_first_change_after_a_quiet_time_is_not_held_back(server: Server) -> None:
    topic = unique()
    async with await Sse.open(server, path(topic) + "?rate=0.1") as sse:
        await sse.event()
        began = time.monotonic()
        await publish(server, topic, "one")
        assert (await sse.record()).data == "one"
        assert time.monotonic() - began < 2


async def test_one_that_comes_between_two_flushes_gets_nothing_twice(server: Server) -> None:
    topic = unique()
    async with await Sse.open(server, path(topic) + "?rate=2") as first:
        await first.event()
        await publish(server, topic, "a")
        assert (await first.record()).data == "a"
        await publish(server, topic, "b")
        async with await Sse.open(server, path(topic) + "?rate=2&last=10") as late:
            assert [(await late.record()).data for _ in "ab"] == ["a", "b"]
            await publish(server, topic, "c")
            assert (await late.record()).data == "c"
            assert [(await first.record()).data for _ in "bc"] == ["b", "c"]
            await publish(server, topic, "d")
            assert (await first.record()).data == (await late.record()).data == "d"


async def test_an_ended_stream_ends(server: Server) -> None:
    topic = unique()
    async with await Sse.open(server, path(topic) + "?rate=10") as sse:
        await sse.event()
        await publish(server, topic, "a")
        await publish(server, topic, "b", query="?end=1")
        assert [(await sse.record()).data for _ in "ab"] == ["a", "b"]
        await sse.end()


async def test_websocket_subscriptions_are_paced(server: Server) -> None:
    one, two = unique(), unique()
    async with await Ws.open(server, "/topics", protocol="hexcast.v1") as ws:
        await ws.say({"subscribe": [one], "rate": 4, "ref": 1})
        await ws.hear()
        begun = time.monotonic()
        for n in range(20):
            await put(server, one, str(n))
        got = []
        while not got or got[-1] != "19":
            got.append((await ws.hear())["data"])
        # The first at once, then four a second: on a slow machine the puts alone take a while.
        assert len(got) <= 2 + 4 * (time.monotonic() - begun) and len(got) < 20
        # A second subscription while the first one waits for its flush: nothing comes twice.
        await publish(server, two, "before")
        await put(server, one, "20")
        await put(server, one, "21")
        await ws.say({"subscribe": [two], "last": 5, "ref": 2})
        heard: list[Any] = []
        while not {"before", "21"} <= {m.get("data") for m in heard}:
            heard.append(await ws.hear())
        await publish(server, two, "after")
        while heard[-1].get("data") != "after":
            heard.append(await ws.hear())
    said = [m["data"] for m in heard if "data" in m]
    assert len(said) == len(set(said)), said


async def test_long_polls_are_paced(server: Server) -> None:
    topic = unique()
    start = (await get(server, path(topic) + "?since=now")).json()["cursor"]
    done = False

    async def publisher() -> None:
        n = 0
        while not done:
            await publish(server, topic, str(n))
            n += 1
            await asyncio.sleep(0.02)

    task = asyncio.create_task(publisher())
    cursor, got, answers = start, [], 0
    began = time.monotonic()
    while time.monotonic() - began < 2:
        batch = (await get(server, path(topic) + f"?since={cursor}&wait=10&rate=4")).json()
        assert seq(batch["cursor"]) > seq(cursor)
        cursor = batch["cursor"]
        got += [int(r["data"]) for r in batch["records"]]
        answers += 1
    done = True
    await task
    assert got == list(range(len(got)))
    assert answers <= 4 * (time.monotonic() - began) + 2


@pytest.mark.parametrize("rate", ["0", "-3", "nonsense", "1e99", "nan"])
async def test_any_rate_is_clamped_to_one_that_can_be(server: Server, rate: str) -> None:
    topic = unique()
    async with await Sse.open(server, path(topic) + f"?rate={rate}") as sse:
        await sse.event()
        answer = await ask(server, "POST", path(topic), {}, b"x")
        assert answer.status == 201
        assert (await sse.record()).data == "x"
