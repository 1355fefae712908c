"""The WebSocket subprotocol `hexcast.v1` (protocol 4)."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from tests.support.harness import (
    Server,
    Ws,
    WsClosed,
    ask,
    get,
    path,
    problem,
    publish,
    put,
    unique,
)
from tests.support.wire import BINARY, ID, TEXT, seq

V1 = "hexcast.v1"


async def opened(server: Server, target: str = "/topics") -> Ws:
    return await Ws.open(server, target, protocol=V1)


async def told(ws: Ws, message: Any) -> Any:
    """Say something with a `ref`, and wait for its own answer, past any records."""
    await ws.say(message)
    while True:
        answer = await ws.hear()
        if answer.get("ok") == message["ref"] or answer.get("ref") == message["ref"]:
            return answer


async def test_open_on_a_topic_is_subscribed_at_once(server: Server) -> None:
    topic = unique()
    value = await put(server, topic, "x")
    async with await opened(server, path(topic)) as ws:
        record = await ws.hear()
        assert (record["id"], record["topic"], record["op"]) == (value, topic, "put")
        assert record["data"] == "x"
        changed = await put(server, topic, "y")
        assert (await ws.hear())["id"] == changed


async def test_open_on_topics_is_subscribed_to_nothing(server: Server) -> None:
    async with await opened(server) as ws:
        await publish(server, unique(), "not for it")
        await ws.say({"ping": 1})
        assert await ws.hear() == {"pong": 1}


async def test_open_on_topics_with_topic(server: Server) -> None:
    stem = unique()
    first = await publish(server, f"{stem}/a", "1")
    async with await opened(
        server, f"/topics?topic={stem}/a&topic={stem}/b/*&since=earliest"
    ) as ws:
        assert (await ws.hear())["id"] == first
        second = await publish(server, f"{stem}/b/c", "2")
        assert (await ws.hear())["id"] == second


async def test_subscribe_replays_then_says_ok(server: Server) -> None:
    topic = unique()
    ids = [await publish(server, topic, f"{n}") for n in range(5)]
    async with await opened(server) as ws:
        await ws.say({"subscribe": [topic], "since": ids[1], "ref": "s1"})
        assert [(await ws.hear())["id"] for _ in range(3)] == ids[2:]
        ok = await ws.hear()
        assert ok["ok"] == "s1"
        assert seq(ok["cursor"]) >= seq(ids[-1])
        live = await publish(server, topic, "live")
        assert (await ws.hear())["id"] == live
    async with await opened(server, f"{path(topic)}?since={ok['cursor']}") as ws:
        assert (await ws.hear())["id"] == live, "the cursor of the ok is one to come back with"


async def test_subscribe_starts_like_a_url(server: Server) -> None:
    state, stream = unique(), unique()
    value = await put(server, state, "x")
    ids = [await publish(server, stream, f"{n}") for n in range(4)]
    async with await opened(server) as ws:
        await ws.say({"subscribe": [state], "ref": 1})
        assert (await ws.hear())["id"] == value
        assert (await ws.hear())["ok"] == 1
        await ws.say({"subscribe": [stream], "last": 2, "ref": 2})
        assert [(await ws.hear())["id"] for _ in range(2)] == ids[2:]
        assert (await ws.hear())["ok"] == 2
    async with await opened(server) as ws:
        await ws.say({"subscribe": [stream], "ref": 3})
        assert (await ws.hear())["ok"] == 3, "a stream starts from now"
    async with await opened(server) as ws:
        await ws.say({"subscribe": [state, stream], "since": "earliest", "ref": 4})
        assert [(await ws.hear())["id"] for _ in range(5)] == [value, *ids]
        assert (await ws.hear())["ok"] == 4


async def test_without_ref_there_is_no_ok(server: Server) -> None:
    topic = unique()
    async with await opened(server) as ws:
        await ws.say({"subscribe": [topic]})
        await ws.say({"publish": topic, "data": "x"})
        record = await ws.hear()
        assert (record["topic"], record["data"]) == (topic, "x")
        await ws.say({"unsubscribe": [topic]})
        await ws.say({"ping": 1})
        assert await ws.hear() == {"pong": 1}


@pytest.mark.parametrize("ref", ["a", 1, 0, "", 2**40, "x" * 60])
async def test_refs_come_back_as_they_were(server: Server, ref: Any) -> None:
    async with await opened(server) as ws:
        await ws.say({"subscribe": [unique()], "ref": ref})
        ok = await ws.hear()
        assert ok["ok"] == ref
        assert ID.fullmatch(ok["cursor"])


async def test_patterns(server: Server) -> None:
    stem = unique()
    async with await opened(server) as ws:
        await told(ws, {"subscribe": [f"{stem}/*/x", f"{stem}/b/**"], "ref": 1})
        first = await publish(server, f"{stem}/a/x", "1")
        await publish(server, f"{stem}/a/y", "no")
        second = await publish(server, f"{stem}/b/c/d", "2")
        assert [(await ws.hear())["id"] for _ in range(2)] == [first, second]


async def test_overlapping_subscriptions_deliver_once(server: Server) -> None:
    stem = unique()
    async with await opened(server) as ws:
        await told(ws, {"subscribe": [f"{stem}/a"], "ref": 1})
        await told(ws, {"subscribe": [f"{stem}/*"], "ref": 2})
        await told(ws, {"subscribe": [f"{stem}/a", f"{stem}/**"], "ref": 3})
        ids = [await publish(server, f"{stem}/a", f"{n}") for n in range(5)]
        assert [(await ws.hear())["id"] for _ in ids] == ids
        await told(ws, {"unsubscribe": [f"{stem}/*"], "ref": 4})
        more = await publish(server, f"{stem}/a", "still")
        assert (await ws.hear())["id"] == more


async def test_unsubscribe(server: Server) -> None:
    one, two = unique(), unique()
    async with await opened(server) as ws:
        await told(ws, {"subscribe": [one, two], "ref": 1})
        assert (await told(ws, {"unsubscribe": [one], "ref": 2}))["ok"] == 2
        await publish(server, one, "no")
        wanted = await publish(server, two, "yes")
        assert (await ws.hear())["id"] == wanted


async def test_two_subscriptions_each_in_order(server: Server) -> None:
    one, two = unique(), unique()
    async with await opened(server) as ws:
        ids = {one: [], two: []}
        for n in range(50):
            topic = (one, two)[n % 2]
            ids[topic].append(await publish(server, topic, f"{n}"))
            if n == 10:
                await ws.say({"subscribe": [one], "since": "earliest", "ref": 1})
            if n == 30:
                await ws.say({"subscribe": [two], "since": "earliest", "ref": 2})
        seen: dict[str, list[str]] = {one: [], two: []}
        while sum(map(len, seen.values())) < 50:
            message = await ws.hear()
            if "topic" in message:
                seen[message["topic"]].append(message["id"])
    assert seen == ids


async def test_records_of_other_subscriptions_wait_for_a_replay(server: Server) -> None:
    """Between the first replayed record and its ok nothing else may come."""
    busy, replayed = unique(), unique()
    line = json.dumps({"topic": replayed, "data": "x" * 500}).encode() + b"\n"
    fields = {"Content-Type": "application/x-ndjson"}
    await ask(server, "POST", "/topics?ack=last", fields, line * 4000, seconds=20)
    async with await opened(server) as ws:
        await told(ws, {"subscribe": [busy], "ref": 1})
        await ws.say({"subscribe": [replayed], "since": "earliest", "ref": 2})
        assert (await ws.hear())["topic"] == replayed
        sent = [await publish(server, busy, f"{n}") for n in range(20)]
        count = 1
        while (message := await ws.hear()).get("ok") != 2:
            assert message["topic"] == replayed
            count += 1
        assert count == 4000
        assert [(await ws.hear())["id"] for _ in sent] == sent


@pytest.mark.parametrize(
    ("data", "type_", "kept"),
    [
        ("words", None, b"words"),
        ({"a": 1}, None, b'{"a":1}'),
        ({"base64": "/wA="}, None, b"\xff\x00"),
        ("<b>", "text/html", b"<b>"),
    ],
)
async def test_publish(server: Server, data: Any, type_: str | None, kept: bytes) -> None:
    topic = unique()
    async with await opened(server) as ws:
        message = {"publish": topic, "data": data, "ref": 7}
        ok = await told(ws, {**message, **({"type": type_} if type_ else {})})
        assert ok["ok"] == 7
        answer = await get(server, f"{path(topic)}?id={ok['id']}")
        assert answer.body.replace(b" ", b"") == kept
        if type_:
            assert answer["content-type"] == type_


async def test_publish_every_op(server: Server) -> None:
    topic = unique()
    async with await opened(server, path(topic)) as ws:
        ok = await told(ws, {"publish": topic, "op": "put", "data": 1, "event": "e", "ref": 1})
        same = await told(ws, {"publish": topic, "op": "put", "data": 1, "event": "e", "ref": 2})
        assert same["id"] == ok["id"]
        gone = await told(ws, {"publish": topic, "op": "delete", "ref": 3})
        assert seq(gone["id"]) > seq(ok["id"])
    problem(await get(server, path(topic)), 404)


async def test_ones_own_record_comes_like_any_other(server: Server) -> None:
    topic = unique()
    async with await opened(server, path(topic)) as ws:
        await ws.say({"publish": topic, "data": "x", "ref": 1})
        first, second = await ws.hear(), await ws.hear()
        record, ok = (first, second) if "topic" in first else (second, first)
        assert record["id"] == ok["id"]


async def test_a_key_is_good_over_every_way_of_publishing(server: Server) -> None:
    topic = unique()
    async with await opened(server) as ws:
        ok = await told(ws, {"publish": topic, "data": "once", "key": "k", "ref": 1})
        again = await told(ws, {"publish": topic, "data": "once", "key": "k", "ref": 2})
        assert again["id"] == ok["id"]
        other = await told(ws, {"publish": topic, "data": "else", "key": "k", "ref": 3})
        assert other["error"]["status"] == 422
    assert len((await get(server, f"{path(topic)}?since=earliest")).json()["records"]) == 1


@pytest.mark.parametrize(
    ("message", "status"),
    [
        ({"subscribe": ["a//b"]}, 400),
        ({"subscribe": ["a*b"]}, 400),
        ({"subscribe": [5]}, 400),
        ({"subscribe": "not-a-list"}, 400),
        ({"subscribe": ["x"], "since": "what"}, 400),
        ({"publish": "a/*", "data": 1}, 400),
        ({"publish": "x"}, 400),
        ({"publish": "x", "data": 1, "op": "smash"}, 400),
        ({"publish": "x", "data": 1, "event": "open"}, 400),
        ({"publish": "x", "data": {}, "op": "patch", "type": "text/plain"}, 415),
        ({"publish": "never-was-either", "op": "delete"}, 404),
        ({"what": "is this"}, 400),
        ({}, 400),
    ],
)
async def test_errors_leave_the_connection_open(
    server: Server, message: dict[str, Any], status: int
) -> None:
    topic = unique()
    async with await opened(server) as ws:
        await ws.say({**message, "ref": "r"})
        answer = await ws.hear()
        assert answer["error"]["status"] == status, answer
        assert answer["error"]["title"] and answer["error"]["detail"]
        assert answer["ref"] == "r"
        assert (await told(ws, {"subscribe": [topic], "ref": 1}))["ok"] == 1
        record_id = await publish(server, topic, "x")
        assert (await ws.hear())["id"] == record_id


@pytest.mark.parametrize("text", [b"not json", b"[]", b"5", b'"x"', b"null", b"[" * 5000])
async def test_what_is_no_message(server: Server, text: bytes) -> None:
    async with await opened(server) as ws:
        await ws.send(TEXT, text)
        answer = await ws.hear()
        assert answer["error"]["status"] == 400
        assert "ref" not in answer


async def test_a_binary_message(server: Server) -> None:
    """JSON text messages only: an error or 1003, and never a publish."""
    topic = unique()
    async with await opened(server) as ws:
        await ws.send(BINARY, json.dumps({"publish": topic, "data": 1}).encode())
        try:
            answer = await ws.hear()
        except WsClosed as closed:
            assert closed.code == 1003
        else:
            assert answer["error"]["status"] in (400, 415)
    problem(await get(server, path(topic)), 404)


async def test_gap_and_delete(server: Server) -> None:
    topic = unique()
    await publish(server, topic, "x")
    async with await opened(server) as ws:
        await ws.say({"subscribe": [topic], "since": "zzz9-4", "ref": 1})
        gap = (await ws.hear())["gap"]
        assert (gap["after"], gap["topics"]) == ("zzz9-4", [topic])
        assert (await ws.hear())["data"] == "x"
        assert (await ws.hear())["ok"] == 1
        gone = (await ask(server, "DELETE", path(topic))).json()["id"]
        record = await ws.hear()
        assert (record["id"], record["op"], record["topic"]) == (gone, "delete", topic)


async def test_the_wire_is_json_whatever_the_payload(server: Server) -> None:
    topic = unique()
    async with await opened(server, f"{path(topic)}?format=raw") as ws:
        await publish(server, topic, b"\xff", fields={"Content-Type": "image/x"})
        record = await ws.hear()
        assert record["data"] == {"base64": base64.b64encode(b"\xff").decode()}
        assert record["type"] == "image/x"


async def test_an_ended_topic(server: Server) -> None:
    topic = unique()
    async with await opened(server, path(topic)) as ws:
        await publish(server, topic, "bye", query="?end=1")
        record = await ws.hear()
        assert (record["data"], record["end"]) == ("bye", True)
        assert await ws.closed() == 1000


async def test_a_late_subscribe_after_many_others(server: Server) -> None:
    stem = unique()
    async with await opened(server) as ws:
        for n in range(200):
            await ws.say({"subscribe": [f"{stem}/{n}"]})
        assert (await told(ws, {"subscribe": [f"{stem}/last"], "ref": "z"}))["ok"] == "z"
        ids = [await publish(server, f"{stem}/{n}", "x") for n in range(0, 200, 20)]
        assert [(await ws.hear())["id"] for _ in ids] == ids


async def test_overlapping_subscriptions_with_last_deliver_once(server: Server) -> None:
    stem = unique()
    ids = [await publish(server, f"{stem}/{name}", f"{n}") for n in range(3) for name in "ab"]
    got: list[str] = []
    async with await opened(server) as ws:
        for ref, (name, start) in enumerate([
            (f"{stem}/*", {"last": 1}), (f"{stem}/a", {"last": 2}),
            (f"{stem}/**", {"since": "earliest"}), (f"{stem}/b", {"since": ids[0]}),
        ], start=1):  # fmt: skip
            await ws.say({"subscribe": [name], **start, "ref": ref})
            while (message := await ws.hear()).get("ok") != ref:
                got.append(message["id"])
    assert got == [ids[4], ids[5], ids[2], ids[0], ids[1], ids[3]]


@pytest.mark.parametrize("place", ["earliest", "last"])
async def test_a_topic_that_has_ended_is_replayed_then_ok_then_closed(
    server: Server, place: str
) -> None:
    topic = unique()
    await publish(server, topic, "1")
    last = (await ask(server, "POST", path(topic) + "?end=1", {}, "2")).json()["id"]
    async with await opened(server) as ws:
        since = last if place == "last" else place
        assert await told(ws, {"subscribe": [topic], "since": since, "ref": 1}) == {
            "ok": 1, "cursor": last,
        }  # fmt: skip
        with pytest.raises(WsClosed) as closed:
            await ws.hear()
        assert closed.value.code == 1000


async def test_the_end_of_one_topic_is_not_the_end_of_the_others(server: Server) -> None:
    over, other = unique(), unique()
    await ask(server, "POST", path(over) + "?end=1", {}, "last")
    async with await opened(server) as ws:
        await told(ws, {"subscribe": [other], "ref": 1})
        await ws.say({"subscribe": [over], "since": "earliest", "ref": 2})
        assert (await ws.hear())["data"] == "last"
        assert (await ws.hear())["ok"] == 2
        await publish(server, other, "goes on")
        assert (await ws.hear())["data"] == "goes on"


async def test_a_message_says_one_thing(server: Server) -> None:
    topic = unique()
    async with await opened(server) as ws:
        answer = await told(ws, {"subscribe": [topic], "publish": topic, "data": 1, "ref": 8})
        assert answer["error"]["status"] == 400
    problem(await get(server, path(topic)), 404)
