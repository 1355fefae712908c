"""Deltas (protocol 3): only the part that changed, with the value that it applies to."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import pytest

from tests.support.harness import Server, Sse, Ws, ask, get, path, publish, put, unique
from tests.support.wire import BINARY, seq

JSON = {"Content-Type": "application/json"}
MERGE = {"Content-Type": "application/merge-patch+json"}
TEXT = {"Content-Type": "text/plain; charset=utf-8"}


def members(**changed: int) -> str:
    return json.dumps({f"member-{n}": n for n in range(20)} | changed)


async def set_json(server: Server, topic: str, text: str, query: str = "") -> str:
    return await put(server, topic, text, fields=JSON, query=query)


async def add(server: Server, topic: str, text: str) -> str:
    answer = await ask(server, "PATCH", path(topic) + "?op=append", TEXT, text)
    assert answer.status in (200, 201), answer.body
    return str(answer.json()["id"])


class Followed:
    """Records in json format over one way, as they come."""

    def __init__(self, server: Server, way: str, query: str, **more: Any) -> None:
        self.server, self.way, self.query, self.more = server, way, query, more
        self.records = self._records()

    async def next(self) -> dict[str, Any]:
        return await anext(self.records)

    async def _records(self) -> AsyncIterator[dict[str, Any]]:
        server, query = self.server, f"{self.query}&delta=1&format=json"
        if self.way == "sse":
            async with await Sse.open(server, f"/topics?{query}") as sse:
                while True:
                    yield (await sse.record()).json()
        elif self.way in ("websocket", "hexcast.v1"):
            protocol = "hexcast.v1" if self.way == "hexcast.v1" else ""
            async with await Ws.open(server, f"/topics?{query}", protocol=protocol) as ws:
                while True:
                    yield await ws.hear()
        else:
            since = ""
            wait = "&wait=20" if self.way == "long-poll" else "&way=poll"
            for _ in range(500):
                batch = (await get(server, f"/topics?{query}{wait}{since}")).json()
                for record in batch["records"]:
                    yield record
                since = f"&since={batch['cursor']}"
            raise AssertionError("nothing came")


WAYS = ("sse", "websocket", "hexcast.v1", "long-poll", "poll")


@pytest.mark.parametrize("way", WAYS)
async def test_a_put_of_the_whole_comes_as_what_changed(server: Server, way: str) -> None:
    topic = unique()
    first = await set_json(server, topic, members())
    client = Followed(server, way, f"topic={topic}")
    full = await client.next()
    assert (full["op"], full["id"], full["data"]) == ("put", first, json.loads(members()))
    second = await set_json(server, topic, members(**{"member-7": 70}))
    change = await client.next()
    assert (change["op"], change["id"], change["base"]) == ("patch", second, first)
    assert change["data"] == {"member-7": 70}
    assert change["type"] == "application/json"
    await ask(server, "PATCH", path(topic), MERGE, '{"new":{"x":1.50}}')
    change = await client.next()
    assert (change["op"], change["base"], change["data"]) == ("patch", second, {"new": {"x": 1.5}})
    await client.records.aclose()


@pytest.mark.parametrize("way", WAYS)
async def test_text_comes_as_what_was_added(server: Server, way: str) -> None:
    topic = unique()
    await add(server, topic, "Once ")
    first = await add(server, topic, "upon ")
    client = Followed(server, way, f"topic={topic}")
    full = await client.next()
    assert (full["op"], full["data"]) == ("put", "Once upon ")
    second = await add(server, topic, "a tïme\n")
    change = await client.next()
    assert (change["op"], change["data"]) == ("append", "a tïme\n")
    assert (change["base"], change["id"]) == (first, second)
    await put(server, topic, "Once upon a tïme\nthere", fields=TEXT)
    assert (await client.next())["data"] == "there"
    await put(server, topic, "Another", fields=TEXT)
    full = await client.next()
    assert (full["op"], full["data"]) == ("put", "Another")
    await client.records.aclose()


@pytest.mark.parametrize("way", WAYS)
async def test_what_a_delta_cannot_say_comes_whole(server: Server, way: str) -> None:
    topic = unique()
    await set_json(server, topic, members())
    client = Followed(server, way, f"topic={topic}")
    await client.next()

    async def then(text: str) -> None:
        await set_json(server, topic, text)
        record = await client.next()
        assert (record["op"], record["data"]) == ("put", json.loads(text))
        assert "base" not in record

    await then(json.dumps({"null": None} | json.loads(members())))
    await then('{"a":{"b":[1,null]}}')
    await then("[1,2,3]")
    await then("[1,2]")
    await put(server, topic, "text", fields=TEXT)
    assert (await client.next())["data"] == "text"
    await then('{"n":1}')
    await then('{"n":2}')  # not smaller
    await client.records.aclose()


async def test_raw_events_name_what_they_are(server: Server) -> None:
    topic, words = unique(), unique()
    await set_json(server, topic, members())
    await add(server, words, "a\n")
    async with (
        await Sse.open(server, path(topic) + "?delta=1") as values,
        await Sse.open(server, path(words) + "?delta=1") as texts,
    ):
        assert json.loads((await values.record()).data or "") == json.loads(members())
        second = await set_json(server, topic, members(**{"member-1": 10}))
        event = await values.record()
        assert (event.event, event.data) == ("hexcast:patch", '{"member-1":10}')
        assert event.id == second
        await set_json(server, topic, members(), query="?event=named")
        event = await values.record()
        assert event.event == "named", "an event has one name only, so the value is whole"
        assert json.loads(event.data or "") == json.loads(members())
        assert (await texts.record()).data == "a\n"
        await add(server, words, "b\n\nc")
        event = await texts.record()
        assert (event.event, event.data) == ("hexcast:append", "b\n\nc")
        await add(server, words, "\r")
        event = await texts.record()
        assert event.event == "hexcast:record"
        assert (event.json()["op"], event.json()["data"]) == ("append", "\r")


async def test_raw_messages_have_the_json_form_for_changes_alone(server: Server) -> None:
    topic = unique()
    await set_json(server, topic, members())
    async with await Ws.open(server, path(topic) + "?delta=1") as ws:
        assert json.loads(await ws.message()) == json.loads(members())
        await set_json(server, topic, members(**{"member-1": 10}))
        record = json.loads(await ws.message())
        assert (record["op"], record["data"]) == ("patch", {"member-1": 10})


async def test_octets_are_never_cut(server: Server) -> None:
    topic = unique()
    fields = {"Content-Type": "application/octet-stream"}
    await put(server, topic, b"\xff\xfe", fields=fields)
    async with await Ws.open(server, path(topic) + "?delta=1") as ws:
        await ws.message()
        await put(server, topic, b"\xff\xfe\x00", fields=fields)
        frame = await ws.frame()
        assert (frame.opcode, frame.payload) == (BINARY, b"\xff\xfe\x00")


async def test_a_return_with_a_cursor_folds_what_happened_into_one(server: Server) -> None:
    topic, words = unique(), unique()
    first = await set_json(server, topic, members())
    begun = await add(server, words, "a")
    for n in range(5):
        last = await set_json(server, topic, members(**{f"member-{n}": 100 + n, "member-9": n}))
        await add(server, words, str(n))
    expected = {"member-4": 104, "member-9": 4}
    target = f"/topics?topic={topic}&topic={words}&delta=1&since={begun}"
    batch = (await get(server, target)).json()
    one, two = batch["records"]
    assert (one["id"], one["op"], one["base"]) == (last, "patch", first)
    assert one["data"] == expected
    assert (two["op"], two["data"], two["base"]) == ("append", "01234", begun)
    async with await Sse.open(server, target) as sse:
        assert (await sse.record()).json()["data"] == expected
        assert (await sse.record()).json()["data"] == "01234"
    async with await Ws.open(server, "/topics", protocol="hexcast.v1") as ws:
        await ws.say({"subscribe": [topic], "since": begun, "delta": True, "ref": 1})
        assert (await ws.hear())["data"] == expected
        await ws.hear()
        await set_json(server, topic, members())
        assert (await ws.hear())["op"] == "patch"


async def test_who_begins_with_now_gets_the_first_change_whole(server: Server) -> None:
    topic, query = unique(), "delta=1&format=json&since=now"
    await set_json(server, topic, members())
    async with await Sse.open(server, path(topic) + f"?{query}") as sse:
        await sse.event()
        await set_json(server, topic, members(a=1))
        first = (await sse.record()).json()
        assert (first["op"], first["data"]) == ("put", json.loads(members(a=1)))
        async with await Sse.open(server, path(topic) + f"?{query}") as late:
            await late.event()
            await set_json(server, topic, members(a=2))
            assert (await late.record()).json()["op"] == "put"
            assert (await sse.record()).json()["data"]["a"] == 2
            last = await set_json(server, topic, members(a=3))
            assert (await late.record()).json()["data"] == {"a": 3}
            assert (await sse.record()).json()["data"] == {"a": 3}
    # EventSource repeats its URL beside the cursor that it has reached.
    await set_json(server, topic, members(a=4))
    async with await Sse.open(server, path(topic) + f"?{query}", {"Last-Event-ID": last}) as sse:
        assert (await sse.record()).json()["op"] == "put"
    async with await Ws.open(server, "/topics", protocol="hexcast.v1") as ws:
        await ws.say({"subscribe": [topic], "since": "now", "delta": True, "ref": 1})
        await ws.hear()
        await set_json(server, topic, members(a=5))
        assert (await ws.hear())["op"] == "put"
        await set_json(server, topic, members(a=6))
        assert (await ws.hear())["op"] == "patch"


async def test_a_deleted_state_begins_again_whole(server: Server) -> None:
    topic = unique()
    await set_json(server, topic, members())
    client = Followed(server, "sse", f"topic={topic}")
    await client.next()
    await ask(server, "DELETE", path(topic))
    assert (await client.next())["op"] == "delete"
    await set_json(server, topic, members(a=1))
    assert (await client.next())["op"] == "put"
    await client.records.aclose()


async def test_streams_and_states_mixed_under_a_pattern(server: Server) -> None:
    stem = unique()
    await set_json(server, f"{stem}/state", members())
    client = Followed(server, "sse", f"topic={quote(stem)}/**")
    await client.next()
    posted = await publish(server, f"{stem}/stream", members())
    changed = await set_json(server, f"{stem}/state", members(a=1))
    one, two = await client.next(), await client.next()
    assert (one["id"], one["op"]) == (posted, "post")
    assert (two["id"], two["op"], two["data"]) == (changed, "patch", {"a": 1})
    await client.records.aclose()


async def test_only_the_subscriptions_that_asked_get_deltas(server: Server) -> None:
    one, two = unique(), unique()
    for topic in (one, two):
        await set_json(server, topic, members())
    async with await Ws.open(server, "/topics", protocol="hexcast.v1") as ws:
        await ws.say({"subscribe": [one], "delta": True, "ref": 1})
        assert (await ws.hear())["topic"] == one
        assert "ok" in await ws.hear()
        await ws.say({"subscribe": [two], "ref": 2})
        assert (await ws.hear())["topic"] == two
        assert "ok" in await ws.hear()
        for topic, op in ((one, "patch"), (two, "put")):
            await set_json(server, topic, members(a=1))
            record = await ws.hear()
            assert (record["topic"], record["op"]) == (topic, op)


async def test_a_batch_cut_in_the_middle_is_no_place_to_patch_from(server: Server) -> None:
    """T1, T2, S1, T3: who was cut after S1 was never sent T2, though it is older."""
    state, stream = unique(), unique()
    first = await set_json(server, state, members())
    await set_json(server, state, members(a=2))
    await publish(server, stream, "one")
    last = await set_json(server, state, members(a=3, b=1))
    target = f"/topics?topic={state}&topic={stream}&delta=1&since={first}&limit=1"
    batch = (await get(server, target)).json()
    assert [r["topic"] for r in batch["records"]] == [stream]
    assert batch["more"]
    target = f"/topics?topic={state}&topic={stream}&delta=1&since={batch['cursor']}"
    (record,) = (await get(server, target)).json()["records"]
    assert record["id"] == last
    assert (record["op"], record["data"]) == ("put", json.loads(members(a=3, b=1)))


async def test_the_value_of_then_is_served_for_a_while(server: Server) -> None:
    topic = unique()
    first = await set_json(server, topic, '{"n":1}')
    second = await set_json(server, topic, '{"n":2}')
    assert (await get(server, path(topic) + f"?id={first}")).body == b'{"n":1}'
    assert (await get(server, path(topic) + f"?id={second}")).body == b'{"n":2}'
    assert seq(second) > seq(first)
