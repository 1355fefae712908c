"""Subscriptions against the real server: what comes, over every way, and where it goes on."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any, get_args

import pytest

from hexcast.client.backoff import Backoff
from hexcast.client.client import Client
from hexcast.client.encoding import Message
from hexcast.client.fallback import WayChoice
from hexcast.client.messages import Gap, Record
from hexcast.client.retry import Connected, Lost, Notice
from hexcast.client.subscription import Subscription
from hexcast.client.ways.base import WayName

from .servers import CuttingProxy, ServerProcess

WHOLE_WAYS: list[WayName] = ["sse", "websocket", "long-poll", "poll", "push"]
"""The ways that bring every record; `refresh` shows the newest only."""

WAYS: list[WayName] = [*WHOLE_WAYS, "refresh"]


def test_all_ways_are_tested() -> None:
    assert set(WAYS) == set(get_args(WayName))


def follow(client: Client, *topics: str, way: WayChoice, **more: Any) -> Subscription:
    return client.subscribe(
        *topics, way=way, every=0.02, backoff=Backoff(base=0.01, cap=0.05), **more
    )


async def take(subscription: Subscription, count: int) -> list[Record]:
    async with asyncio.timeout(20):
        items = [await anext(subscription) for _ in range(count)]
    assert not [item for item in items if isinstance(item, Gap)]
    return [item for item in items if isinstance(item, Record)]


async def post(client: Client, topic: str, *values: Any) -> None:
    for value in values:
        await client.publish(topic, value)


def data(records: list[Record]) -> list[Any]:
    return [record.data for record in records]


@pytest.mark.parametrize("way", WHOLE_WAYS)
async def test_what_is_held_and_then_what_comes(client: Client, topic: str, way: WayName) -> None:
    await post(client, topic, 1, "two", b"\0\3", {"four": [4]})
    notices: list[Notice] = []
    async with follow(client, topic, way=way, since="earliest", listener=notices.append) as items:
        records = await take(items, 4)
        await client.publish(topic, "five", event="e", end=False)
        records += await take(items, 1)
        assert items.way == way
        assert items.cursor == records[-1].id
    assert data(records) == [1, "two", b"\0\3", {"four": [4]}, "five"]
    assert {(record.topic, record.op) for record in records} == {(topic, "post")}
    assert records[-1].event == "e"
    assert all(record.time and record.type and record.raw for record in records)
    assert notices == [Connected(way)]


@pytest.mark.parametrize("way", WHOLE_WAYS)
async def test_a_stream_begins_from_now(client: Client, topic: str, way: WayName) -> None:
    await post(client, topic, "old")
    connected = asyncio.Event()
    async with follow(client, topic, way=way, listener=lambda _: connected.set()) as items:
        first = asyncio.create_task(take(items, 1))
        await connected.wait()
        await post(client, topic, "new")
        assert data(await first) == ["new"]


@pytest.mark.parametrize("way", WHOLE_WAYS)
async def test_last(client: Client, topic: str, way: WayName) -> None:
    await post(client, topic, *range(10))
    async with follow(client, topic, way=way, last=3) as items:
        assert data(await take(items, 3)) == [7, 8, 9]
        await post(client, topic, 10)
        assert data(await take(items, 1)) == [10]


@pytest.mark.parametrize("way", WAYS)
async def test_a_state_comes_first_and_then_its_changes(
    client: Client, topic: str, way: WayName
) -> None:
    await client.publish(topic, "<one>\n", op="put")
    async with follow(client, topic, way=way) as items:
        assert data(await take(items, 1)) == ["<one>\n"]
        for value in ("two", "three"):
            published = await client.publish(topic, value, op="put")
            (record,) = await take(items, 1)
            assert (record.data, record.id, record.topic) == (value, published.id, topic)


@pytest.mark.parametrize("way", WAYS)
async def test_patterns_and_several_topics(
    own_server: Callable[..., ServerProcess], way: WayName
) -> None:
    async with Client(own_server().url) as client:
        for n, topic in enumerate(("a/b", "a/c", "d", "e"), start=1):
            await client.publish(topic, n, op="put")
        async with follow(client, "a/*", "d", way=way) as items:
            records = await take(items, 3)
            await client.publish("e", 5, op="put")
            await client.publish("a/new", 6, op="put")
            records += await take(items, 1)
    assert [record.topic for record in records] == ["a/b", "a/c", "d", "a/new"]
    assert [int(record.data) for record in records] == [1, 2, 3, 6]


@pytest.mark.parametrize("way", WHOLE_WAYS)
async def test_more_than_one_batch(client: Client, topic: str, way: WayName) -> None:
    async def many() -> Any:
        for n in range(2500):
            yield Message(topic, n)

    async for _ in client.publish_many(many()):
        pass
    async with follow(client, topic, way=way, since="earliest") as items:
        assert data(await take(items, 2500)) == list(range(2500))


@pytest.mark.parametrize("way", WHOLE_WAYS)
async def test_a_delete_is_told(client: Client, topic: str, way: WayName) -> None:
    await client.publish(topic, 1, op="put")
    async with follow(client, topic, way=way) as items:
        await take(items, 1)
        await client.publish(topic, op="delete")
        (record,) = await take(items, 1)
    assert (record.op, record.data) == ("delete", None)


@pytest.mark.parametrize("way", WHOLE_WAYS)
async def test_the_end_ends_it(client: Client, topic: str, way: WayName) -> None:
    await post(client, topic, 1)
    notices: list[Notice] = []
    async with follow(client, topic, way=way, since="earliest", listener=notices.append) as items:
        await take(items, 1)
        await client.publish(topic, 2, end=True)
        assert data(await take(items, 1)) == [2]
        async with asyncio.timeout(5):
            assert [item async for item in items] == []
        cursor = items.cursor
    assert not [notice for notice in notices if isinstance(notice, Lost)]
    async with follow(client, topic, way=way, since=cursor) as items, asyncio.timeout(5):
        assert [item async for item in items] == []  # still at its end
    await post(client, topic, 3)  # which begins it again
    async with follow(client, topic, way=way, since=cursor) as items:
        assert data(await take(items, 1)) == [3]


@pytest.mark.parametrize("way", WHOLE_WAYS)
async def test_a_gap_is_told_before_what_is_held(
    own_server: Callable[..., ServerProcess], way: WayName
) -> None:
    server = own_server("--hold-records", "5")
    async with Client(server.url) as client:
        first = await client.publish("t", 0)
        await post(client, "t", *range(1, 20))
        async with follow(client, "t", way=way, since=first.id) as items:
            gap = await anext(items)
            assert isinstance(gap, Gap)
            assert (gap.after, gap.topics) == (first.id, ("t",))
            assert gap.raw
            assert data(await take(items, 5)) == [15, 16, 17, 18, 19]


@pytest.mark.parametrize("way", WHOLE_WAYS)
async def test_cuts_lose_nothing_and_double_nothing(
    client: Client, proxy: CuttingProxy, topic: str, way: WayName
) -> None:
    count, chance = 600, random.Random(11)

    async def paced() -> Any:
        for n in range(count):
            if n % 5 == 0:
                await asyncio.sleep(0.005)
            yield Message(topic, n)

    async def publish() -> None:
        async for ack in client.publish_many(paced()):
            assert ack.error is None

    await post(client, topic, "begun")
    async with Client(proxy.url) as behind, follow(behind, topic, way=way, last=1) as items:
        await take(items, 1)
        publishing = asyncio.create_task(publish())
        for n in range(count):
            assert data(await take(items, 1)) == [n]
            if chance.random() < 0.05:
                proxy.cut()
        await publishing
    assert proxy.connections > 10


async def test_one_cursor_over_changing_ways(client: Client, topic: str) -> None:
    """Several streams and states, followed by one cursor over a random way at a time."""
    chance = random.Random(5)
    streams = [f"{topic}/stream/{n}" for n in range(3)]
    states = [f"{topic}/state/{n}" for n in range(3)]
    begun = await client.publish(f"{topic}/begun", 0, op="put")
    count = 600

    async def mixed() -> Any:
        for n in range(count):
            if n % 4 == 0:
                await asyncio.sleep(0.002)
            yield Message(streams[n % 3], n)
            yield Message(states[n % 3], n, op="put")

    async def publish() -> None:
        async for ack in client.publish_many(mixed()):
            assert ack.error is None

    publishing = asyncio.create_task(publish())
    cursor: str | None = begun.id
    got: list[Record] = []
    visits = 0
    newest = dict.fromkeys(states, -1)
    async with asyncio.timeout(30):
        while len([r for r in got if r.op == "post"]) < count or min(newest.values()) < count - 3:
            way = chance.choice(WHOLE_WAYS)
            async with follow(client, f"{topic}/**", way=way, since=cursor) as items:
                for _ in range(chance.randint(1, 40)):
                    try:
                        async with asyncio.timeout(0.3):
                            item = await anext(items)
                    except TimeoutError:
                        break
                    assert isinstance(item, Record)
                    got.append(item)
                    if item.op == "put":
                        newest[item.topic] = item.data
                cursor = items.cursor
            visits += 1
    await publishing
    for place, stream in enumerate(streams):
        assert [r.data for r in got if r.topic == stream] == list(range(place, count, 3))
    assert newest == {state: count - 3 + place for place, state in enumerate(states)}
    places = [int(record.id.rpartition("-")[2]) for record in got]
    assert places == sorted(set(places))
    assert visits > 20


async def test_refresh_does_not_move_the_cursor(client: Client, topic: str) -> None:
    await post(client, topic, 1, 2, 3)
    first = await anext(follow_all := follow(client, topic, way="sse", since="earliest"))
    await follow_all.aclose()
    assert isinstance(first, Record)
    async with follow(client, topic, way="refresh", since=first.id) as items:
        assert data(await take(items, 1)) == ["3"]
        assert items.cursor == first.id
    async with follow(client, topic, way="sse", since=items.cursor) as items:
        assert data(await take(items, 2)) == [2, 3]


async def test_refresh_waits_for_a_topic_that_begins_later(client: Client, topic: str) -> None:
    connected = asyncio.Event()
    async with follow(client, topic, way="refresh", listener=lambda _: connected.set()) as items:
        first = asyncio.create_task(take(items, 1))
        await connected.wait()
        await client.publish(topic, "here", op="put")
        assert data(await first) == ["here"]


@pytest.mark.parametrize("way", WHOLE_WAYS)
async def test_a_restarted_server_is_found_again_and_says_what_is_lost(
    own_server: Callable[..., ServerProcess], way: WayName
) -> None:
    """The log is in memory, so a restart begins another epoch: a gap, then what is there."""
    server = own_server()
    notices: list[Notice] = []
    async with Client(server.url) as client:
        await post(client, "t", "before")
        async with follow(client, "t", way=way, since="earliest", listener=notices.append) as items:
            assert data(await take(items, 1)) == ["before"]
            waiting = asyncio.create_task(anext(items))  # type: ignore[arg-type]  # an awaitable
            await asyncio.to_thread(server.stop)
            await asyncio.to_thread(server.start)
            await post(client, "t", "after")
            async with asyncio.timeout(20):
                gap = await waiting
                record = await anext(items)
    assert isinstance(gap, Gap)
    assert gap.topics == ("t",)
    assert isinstance(record, Record)
    assert record.data == "after"
    assert [notice for notice in notices if isinstance(notice, Lost)]


@pytest.mark.parametrize("way", [*WHOLE_WAYS, "refresh", "auto"])
async def test_leaving_in_the_middle_leaves_nothing_behind(
    client: Client, topic: str, way: WayChoice
) -> None:
    await client.publish(topic, 1, op="put")
    async with follow(client, topic, way=way) as items:
        await take(items, 1)
    with pytest.raises(StopAsyncIteration):
        await anext(items)


async def test_auto_takes_sse(client: Client, topic: str) -> None:
    await client.publish(topic, 1, op="put")
    async with client.subscribe(topic) as items:
        await anext(items)
        assert items.way == "sse"
