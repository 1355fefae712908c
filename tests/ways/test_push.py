"""Server push: promised before it is told of, what a client refuses, where it falls back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from h2.errors import ErrorCodes
from h2.settings import SettingCodes

from tests.support.h2wire import H2Client, Stream
from tests.support.harness import Server, ask, get, path, publish, put, seeded, unique


def told(stream: Stream) -> list[dict[str, Any]]:
    """The complete lines."""
    return [json.loads(line) for line in stream.data.split(b"\n")[:-1]]


async def open_push(client: H2Client, topic: str, query: str = "") -> int:
    stream = await client.request("GET", path(topic) + "?way=push" + query)
    await client.until(lambda: client.streams[stream].head, "the head")
    head = client.streams[stream].head
    assert head[":status"] == "200"
    assert head["hexcast-way"] == "push"
    assert head["content-type"] == "application/x-ndjson"
    assert "hexcast-cursor" in head
    return stream


async def lines(client: H2Client, stream: int, count: int) -> list[dict[str, Any]]:
    await client.until(lambda: len(told(client.streams[stream])) >= count, f"{count} lines")
    return told(client.streams[stream])


async def test_each_record_is_promised_then_told_and_pushed(server: Server) -> None:
    topic = unique("deep/é")
    async with await H2Client.open(server) as client:
        stream = await open_push(client, topic)
        ids = [await publish(server, topic, f"r{n}", query="?event=tick") for n in range(3)]
        found = await lines(client, stream, 3)
        target = path(topic)
        assert found == [
            {"id": id, "topic": topic, "op": "post", "path": f"{target}?id={id}", "pushed": True}
            for id in ids
        ]
        promises = client.streams[stream].promises
        assert [p for _, p in promises] == [line["path"] for line in found]
        for n, (pushed, target) in enumerate(promises):
            answer = await client.answer(pushed)
            assert answer.data == f"r{n}".encode()
            assert answer.head["etag"] == f'"{ids[n]}"'
            assert answer.head["content-type"].startswith("text/plain")
            assert answer.head["content-security-policy"] == "sandbox"
            assert (await get(server, target)).body == answer.data
        order = [entry for entry in client.order if entry[0] == "promise" or entry[1] == stream]
        assert [kind for kind, _ in order] == ["head", *["promise", "data"] * 3]


async def test_a_delete_is_told_and_not_pushed(server: Server) -> None:
    topic = unique()
    async with await H2Client.open(server) as client:
        await publish(server, topic, "x")
        stream = await open_push(client, topic, "&last=1")
        await ask(server, "DELETE", path(topic))
        first, second = await lines(client, stream, 2)
        assert first["pushed"] is True
        assert (second["op"], second["pushed"]) == ("delete", False)
        assert len(client.streams[stream].promises) == 1


async def test_patterns_states_and_resume(server: Server) -> None:
    stem = unique()
    async with await H2Client.open(server) as client:
        first = await put(server, f"{stem}/state", "one")
        stream = await client.request("GET", f"/topics/{stem}/**?way=push")
        await lines(client, stream, 1)
        post = await publish(server, f"{stem}/chat/a", "hi")
        found = await lines(client, stream, 2)
        assert [(r["id"], r["op"]) for r in found] == [(first, "put"), (post, "post")]
        second = await put(server, f"{stem}/state", "two")
        names = f"/topics?topic={stem}/state&topic={stem}/chat/*&way=push&since={post}"
        again = await client.request("GET", names)
        assert [r["id"] for r in await lines(client, again, 1)] == [second]


async def test_ends_with_its_topic(server: Server) -> None:
    topic = unique()
    async with await H2Client.open(server) as client:
        stream = await open_push(client, topic)
        last = await publish(server, topic, "bye", query="?end=1")
        answer = await client.answer(stream)
        assert answer.ended
        assert [r["id"] for r in told(answer)] == [last]
        again = await client.ask("GET", path(topic) + f"?way=push&since={last}")
        assert again.status == 204


async def test_an_unknown_cursor_gets_a_gap_line(server: Server) -> None:
    topic = unique()
    id = await publish(server, topic, "x")
    async with await H2Client.open(server) as client:
        stream = await open_push(client, topic, "&since=other-7")
        found = await lines(client, stream, 2)
        assert found[0]["gap"]["after"] == "other-7"
        assert found[1]["id"] == id


@pytest.mark.parametrize(
    ("setting", "reason"),
    [(SettingCodes.ENABLE_PUSH, "push-off"), (SettingCodes.MAX_CONCURRENT_STREAMS, "no-streams")],
)
async def test_falls_back_to_sse(server: Server, setting: SettingCodes, reason: str) -> None:
    topic = unique()
    async with await H2Client.open(server, settings={setting: 0}) as client:
        stream = await client.request("GET", path(topic) + "?way=push")
        await client.until(lambda: client.streams[stream].data, "the stream's begin")
        head = client.streams[stream].head
        assert head["hexcast-way"] == "sse"
        assert head["hexcast-fallback"] == reason
        assert head["content-type"].startswith("text/event-stream")
        assert not client.streams[stream].promises


async def test_push_switched_off_on_the_way(server: Server) -> None:
    topic = unique()
    async with await H2Client.open(server) as client:
        stream = await open_push(client, topic)
        await publish(server, topic, "a")
        await lines(client, stream, 1)
        client.h2.update_settings({SettingCodes.ENABLE_PUSH: 0})
        await client.flush()
        assert (await client.ask("GET", "/healthz")).status == 200  # the settings are in force
        await publish(server, topic, "b")
        found = await lines(client, stream, 2)
        assert [r["pushed"] for r in found] == [True, False]
        assert len(client.streams[stream].promises) == 1


async def test_records_beyond_the_streams_allowed_are_told_alone(server: Server) -> None:
    """A push that waits for its window takes one of the client's streams."""
    topic = unique()
    small = {SettingCodes.INITIAL_WINDOW_SIZE: 400, SettingCodes.MAX_CONCURRENT_STREAMS: 2}
    async with await H2Client.open(server, settings=small) as client:
        stream = await client.request("GET", path(topic) + "?way=push", ())
        client.h2.increment_flow_control_window(2**20, stream)
        await client.flush()
        for _ in range(4):
            await publish(server, topic, "x" * 1000)
        found = await lines(client, stream, 4)
        assert [r["pushed"] for r in found] == [True, True, False, False]
        for pushed, _ in client.streams[stream].promises:
            client.h2.increment_flow_control_window(5000, pushed)
        await client.flush()
        for pushed, _ in client.streams[stream].promises:
            assert (await client.answer(pushed)).data == b"x" * 1000
        await publish(server, topic, "room again")
        assert (await lines(client, stream, 5))[4]["pushed"] is True


async def test_a_refused_promise_costs_that_record_alone(server: Server) -> None:
    topic = unique()
    async with await H2Client.open(
        server, settings={SettingCodes.INITIAL_WINDOW_SIZE: 400}
    ) as client:
        stream = await client.request("GET", path(topic) + "?way=push")
        client.h2.increment_flow_control_window(2**20, stream)
        await client.flush()
        for n in range(300):
            await publish(server, topic, f"{n:04}" + "x" * 1000)
            await client.until(lambda n=n: len(client.streams[stream].promises) > n, f"promise {n}")
            client.h2.reset_stream(client.streams[stream].promises[n][0], ErrorCodes.CANCEL)
            await client.flush()
        found = await lines(client, stream, 300)
        assert all(line["pushed"] for line in found)
        assert not client.streams[stream].over


async def test_goaway_of_the_client_ends_pushing_and_not_telling(server: Server) -> None:
    topic = unique()
    async with await H2Client.open(server) as client:
        stream = await open_push(client, topic)
        await client.raw(b"\0\0\x08\x07\0\0\0\0\0" + b"\0\0\0\0" + b"\0\0\0\0")
        while (await get(server, "/metrics")).status != 200:
            continue
        await publish(server, topic, "x")
        assert (await lines(client, stream, 1))[0]["pushed"] is False


async def test_a_client_that_takes_nothing_pushed_lags_and_then_has_all(server: Server) -> None:
    topic = unique()
    chance = seeded("lags")
    async with await H2Client.open(
        server, settings={SettingCodes.INITIAL_WINDOW_SIZE: 1000}
    ) as client:
        stream = await client.request("GET", path(topic) + "?way=push")
        client.h2.increment_flow_control_window(2**20, stream)
        await client.flush()
        payloads = [bytes([65 + n % 26]) * chance.randrange(1, 4000) for n in range(60)]
        ids = [await publish(server, topic, p) for p in payloads]
        taken: set[int] = set()
        while len(told(client.streams[stream])) < len(ids):
            for pushed, _ in client.streams[stream].promises:
                if pushed not in taken and not client.streams[pushed].over:
                    taken.add(pushed)
                    client.h2.increment_flow_control_window(10_000, pushed)
            await client.flush()
            await client.turn()
        found = told(client.streams[stream])
        assert [line["id"] for line in found] == ids
        for pushed, target in client.streams[stream].promises:
            if pushed not in taken and not client.streams[pushed].over:
                client.h2.increment_flow_control_window(10_000, pushed)
                await client.flush()
            answer = await client.answer(pushed)
            assert answer.data == payloads[ids.index(target.partition("?id=")[2])]
