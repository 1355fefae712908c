"""Where a client starts, and what it is told when records are gone (protocol 3)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.harness import Server, Sse, Ws, ask, get, path, publish, put, unique
from tests.support.wire import seq

HOLD = 20


@pytest.fixture(scope="module")
def tight() -> Iterator[Server]:
    """A server that holds few records of a stream."""
    with Server("--hold-records", str(HOLD)) as running:
        yield running


async def replay(
    server: Server, way: str, topics: list[str], since: str, count: int
) -> list[dict[str, Any]]:
    """What a client is told first, over one way, in json format: gaps and `count` records."""
    target = "/topics?" + "&".join(f"topic={topic}" for topic in topics) + f"&since={since}"
    told: list[dict[str, Any]] = []

    def enough() -> bool:
        return sum("gap" not in item for item in told) >= count

    if way in ("poll", "long-poll"):
        answer = await get(server, f"{target}&way={way}&limit=1000")
        batch = answer.json()
        told = [*([{"gap": batch["gap"]}] if batch["gap"] else []), *batch["records"]]
    elif way == "sse":
        async with await Sse.open(server, target) as sse:
            while not enough():
                event = await sse.record()
                if event.event == "hexcast:gap":
                    assert event.id is None, "a gap is no place to come back to"
                    told.append({"gap": event.json()})
                else:
                    assert event.event is None
                    told.append(event.json())
    else:
        protocol = "hexcast.v1" if way == "hexcast.v1" else ""
        async with await Ws.open(server, target, protocol=protocol) as ws:
            while not enough():
                told.append(await ws.hear())
    return told


WAYS = ["poll", "long-poll", "sse", "websocket", "hexcast.v1"]


@pytest.mark.parametrize("way", WAYS)
async def test_a_gap_covers_what_is_gone(tight: Server, way: str) -> None:
    lossy, whole, state = unique(), unique(), unique()
    start = await publish(tight, lossy, "start")
    await put(tight, state, "old")
    kept_whole = [await publish(tight, whole, "w") for _ in range(3)]
    ids = [await publish(tight, lossy, f"{n}") for n in range(2 * HOLD)]
    value = await put(tight, state, "new")
    told = await replay(tight, way, [lossy, whole, state], start, HOLD + 4)
    gap = told[0]["gap"]
    assert all("gap" not in item for item in told[1:])
    assert gap["after"] == start
    assert gap["topics"] == [lossy], "the whole stream lost nothing, and states have no gaps"
    held, gone = ids[-HOLD:], ids[:-HOLD]
    assert all(seq(gap["after"]) < seq(i) < seq(gap["before"]) for i in gone)
    assert seq(gap["before"]) <= seq(held[0])
    expected = sorted([*kept_whole, *held, value], key=seq)
    assert [record["id"] for record in told[1:]] == expected


@pytest.mark.parametrize("way", WAYS)
async def test_no_gap_where_nothing_is_gone(tight: Server, way: str) -> None:
    topic = unique()
    start = await publish(tight, topic, "start")
    ids = [await publish(tight, topic, f"{n}") for n in range(HOLD)]
    told = await replay(tight, way, [topic], start, HOLD)
    assert [record.get("id") for record in told] == ids


@pytest.mark.parametrize("way", WAYS)
async def test_earliest_is_all_that_is_held_and_no_gap(tight: Server, way: str) -> None:
    topic, state = unique(), unique()
    value = await put(tight, state, "x")
    ids = [await publish(tight, topic, f"{n}") for n in range(HOLD + 5)]
    told = await replay(tight, way, [topic, state], "earliest", HOLD + 1)
    assert [record.get("id") for record in told] == [value, *ids[5:]]


@pytest.mark.parametrize("way", WAYS)
async def test_the_place_before_the_first(tight: Server, way: str) -> None:
    topic = unique()
    ids = [await publish(tight, topic, f"{n}") for n in range(HOLD + 1)]
    epoch = ids[0].rpartition("-")[0]
    told = await replay(tight, way, [topic], f"{epoch}-0", HOLD)
    gap = told[0]["gap"]
    assert (gap["after"], gap["topics"]) == (f"{epoch}-0", [topic])
    assert seq(ids[0]) < seq(gap["before"]) <= seq(ids[1])
    assert [record["id"] for record in told[1:]] == ids[1:]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("cursor", ["zzzz9-3", "zzzz9-0", "{epoch}-99999999999", "z-" + "9" * 18])
async def test_an_unknown_place_is_a_gap_and_then_everything_held(
    tight: Server, way: str, cursor: str
) -> None:
    stream, state = unique(), unique()
    ids = [await publish(tight, stream, f"{n}") for n in range(3)]
    value = await put(tight, state, "x")
    since = cursor.format(epoch=value.rpartition("-")[0])
    told = await replay(tight, way, [stream, state], since, 4)
    assert told[0]["gap"]["after"] == since
    assert told[0]["gap"]["topics"] == [stream]
    assert [record["id"] for record in told[1:]] == [*ids, value]


async def test_a_malformed_last_event_id_is_an_unknown_epoch(tight: Server) -> None:
    topic = unique()
    record_id = await publish(tight, topic, "x")
    for nonsense in ("what", "K-1", "k-01", "1043", "k-", "earliest-1"):
        async with await Sse.open(tight, path(topic), {"Last-Event-ID": nonsense}) as sse:
            event = await sse.record()
            assert event.event == "hexcast:gap", nonsense
            assert event.json()["topics"] == [topic]
            assert (await sse.record()).id == record_id


async def test_after_a_gap_the_cursor_is_good(tight: Server) -> None:
    """Gap, then some records, then a cut: no second gap for the same loss."""
    topic = unique()
    start = await publish(tight, topic, "start")
    ids = [await publish(tight, topic, f"{n}") for n in range(HOLD + 7)]
    async with await Sse.open(tight, path(topic), {"Last-Event-ID": start}) as sse:
        assert (await sse.record()).event == "hexcast:gap"
        seen = [(await sse.record()).id for _ in range(3)]
    assert seen == ids[7:10]
    async with await Sse.open(tight, path(topic), {"Last-Event-ID": seen[-1] or ""}) as sse:
        assert (await sse.record()).id == ids[10]


@pytest.mark.parametrize("way", WAYS)
async def test_a_gap_with_nothing_left_is_still_told(way: str) -> None:
    """Everything after the cursor has grown too old: the loss must not pass in silence."""
    with Server("--hold-seconds", "1") as forgetful:
        topic, other = unique(), unique()
        start = await publish(forgetful, topic, "start")
        await publish(forgetful, topic, "lost")
        for _ in range(100):
            batch = (await get(forgetful, f"{path(topic)}?since=earliest")).json()
            if not batch["records"]:
                break
            await get(forgetful, f"{path(unique())}?wait=1")
        else:
            raise AssertionError("a record is held for longer than --hold-seconds")
        live = await put(forgetful, other, "live")
        told = await replay(forgetful, way, [topic, other], start, 1)
        assert told[0]["gap"]["topics"] == [topic]
        assert told[1]["id"] == live


async def test_hold_bytes() -> None:
    with Server("--hold-bytes", "10000") as small:
        topic = unique()
        start = await publish(small, topic, "start")
        ids = [await publish(small, topic, "x" * 1000) for _ in range(30)]
        told = await replay(small, "poll", [topic], start, 1)
        assert told[0]["gap"]["topics"] == [topic]
        kept = [record["id"] for record in told[1:]]
        assert kept == ids[-len(kept) :]
        assert 5 <= len(kept) <= 10


async def test_hold_total() -> None:
    """All topics together are bounded too, and what is dropped is told."""
    with Server("--hold-total", "200000") as small:
        topics = [unique() for _ in range(50)]
        start = (await get(small, f"{path(topics[0])}?since=now")).json()["cursor"]
        lines = b"".join(
            json.dumps({"topic": topic, "data": "x" * 1000}).encode() + b"\n"
            for _ in range(20)
            for topic in topics
        )
        fields = {"Content-Type": "application/x-ndjson"}
        answer = await ask(small, "POST", "/topics", fields, lines)
        ids = {line["id"] for line in answer.lines()}
        assert len(ids) == 1000
        first = (await get(small, f"/topics/**?since={start}&limit=1000")).json()
        kept = {record["id"] for record in first["records"]}
        assert 0 < len(kept) <= 200
        gap = first["gap"]
        assert all(seq(gap["after"]) < seq(i) < seq(gap["before"]) for i in ids - kept)
        assert set(gap["topics"]) <= set(topics)


async def test_a_stream_that_was_deleted_is_not_a_gap(tight: Server) -> None:
    """The delete itself says that all is gone."""
    topic = unique()
    start = await publish(tight, topic, "1")
    await publish(tight, topic, "2")
    gone = (await ask(tight, "DELETE", path(topic))).json()["id"]
    again = await publish(tight, topic, "3")
    async with await Sse.open(tight, f"{path(topic)}?format=json&since={start}") as sse:
        events = [await sse.record()]
        while events[-1].id != again:
            events.append(await sse.record())
    ids = [event.id for event in events if event.id]
    assert ids == [gone, again]


async def test_cursors_are_good_over_every_way(server: Server) -> None:
    topic = unique()
    ids = [await publish(server, topic, f"{n}") for n in range(12)]
    start = (await get(server, f"{path(topic)}?since=earliest&limit=1")).json()["cursor"]
    seen = [ids[0]]
    for way in (*WAYS, *reversed(WAYS)):
        told = await replay(server, way, [topic], start, len(ids) - len(seen))
        assert [r["id"] for r in told] == ids[len(seen) :], way
        seen.append(told[0]["id"])
        start = seen[-1]


async def test_a_restarted_memory_log_is_a_new_epoch() -> None:
    first = Server()
    with first:
        topic = unique()
        old = [await publish(first, topic, f"{n}") for n in range(5)]
    with Server(port=first.port) as second:
        new = await publish(second, topic, "new")
        assert new.rpartition("-")[0] != old[0].rpartition("-")[0]
        told = await replay(second, "sse", [topic], old[-1], 1)
        assert told[0]["gap"]["topics"] == [topic]
        assert told[0]["gap"]["after"] == old[-1]
        assert told[1]["id"] == new
