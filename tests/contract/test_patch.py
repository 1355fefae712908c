"""Changing a state in part (protocol 2): merge patch, JSON patch, append."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tests.support.harness import Server, Sse, Ws, ask, get, path, problem, publish, put, unique
from tests.support.wire import Answer, seq

MERGE = {"Content-Type": "application/merge-patch+json"}
PATCH = {"Content-Type": "application/json-patch+json"}
TEXT = {"Content-Type": "text/plain; charset=utf-8"}
JSON = {"Content-Type": "application/json"}


async def merge(server: Server, topic: str, patch: str, **more: Any) -> Answer:
    return await ask(server, "PATCH", path(topic), {**MERGE, **more}, patch)


async def test_a_merge_patch_changes_what_it_names(server: Server) -> None:
    topic = unique()
    first = await put(server, topic, '{ "a": 1.0, "b": {"c": 1e3, "d": [1]} }', fields=JSON)
    told = await merge(server, topic, '{"b":{"c":12345678901234567890.10},"e":"é","a":null}')
    assert told.status == 200
    assert seq(told.json()["id"]) > seq(first)
    assert told.json()["changed"] is True
    assert told["etag"] == f'"{told.json()["id"]}"'
    assert "location" not in told
    value = await get(server, path(topic))
    assert value.body == '{"b":{"c":12345678901234567890.10,"d":[1]},"e":"é"}'.encode()
    assert value["content-type"] == "application/json"


async def test_a_merge_patch_of_nothing_begins_from_an_empty_object(server: Server) -> None:
    topic = unique()
    told = await merge(server, topic, '{"a":1,"b":null}')
    assert told.status == 201
    assert told["location"] == f"{path(topic)}?id={told.json()['id']}"
    assert (await get(server, path(topic))).body == b'{"a":1}'
    problem(await ask(server, "POST", path(topic), TEXT, "x"), 409)


async def test_a_put_is_given_back_byte_for_byte_until_it_is_patched(server: Server) -> None:
    topic = unique()
    text = b'{ "b" : 1.50 ,\n "a" : [ 1 , 2 ] }'
    first = await put(server, topic, text, fields=JSON)
    same = await merge(server, topic, '{"b":1.50}')
    assert (same.status, same.json()) == (200, {"id": first, "topic": topic, "changed": False})
    assert (await get(server, path(topic))).body == text
    assert (await merge(server, topic, '{"b":1.5}')).json()["changed"] is True
    assert (await get(server, path(topic))).body == b'{"b":1.5,"a":[1,2]}'


async def test_a_json_patch_is_applied_wholly_or_not_at_all(server: Server) -> None:
    topic = unique()
    await put(server, topic, '{"list":[1,2],"n":1}', fields=JSON)

    async def patch(*operations: dict[str, Any]) -> Answer:
        return await ask(server, "PATCH", path(topic), PATCH, json.dumps(operations))

    done = await patch(
        {"op": "test", "path": "/n", "value": 1.0}, {"op": "add", "path": "/list/-", "value": 3}
    )
    assert done.status == 200
    assert (await get(server, path(topic))).body == b'{"list":[1,2,3],"n":1}'
    add = {"op": "add", "path": "/x", "value": 1}
    problem(await patch(add, {"op": "test", "path": "/n", "value": 2}), 409)
    problem(await patch(add, {"op": "remove", "path": "/nowhere"}), 409)
    assert "at operation 1" in problem(await patch(add, {"op": "smash", "path": ""}), 400)["detail"]
    assert (await get(server, path(topic))).body == b'{"list":[1,2,3],"n":1}'


async def test_text_is_appended(server: Server) -> None:
    topic = unique()
    for status, piece in ((201, "Once"), (200, " upon a tïme"), (200, "\n")):
        answer = await ask(server, "PATCH", path(topic) + "?op=append", TEXT, piece)
        assert answer.status == status
    value = await get(server, path(topic))
    assert value.body == "Once upon a tïme\n".encode()
    assert value["content-type"] == "text/plain; charset=utf-8"
    nothing = await ask(server, "PATCH", path(topic) + "?op=append", TEXT, "")
    assert nothing.json() == {"id": answer.json()["id"], "topic": topic, "changed": False}


@pytest.mark.parametrize("piece", ["12", '{"a":1}', "null"])
async def test_what_looks_like_json_is_appended_as_text(server: Server, piece: str) -> None:
    topic = unique()
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    for fields in (form, {}, JSON):
        await ask(server, "PATCH", path(topic) + "?op=append", fields, piece)
    value = await get(server, path(topic))
    assert (value.body.decode(), value["content-type"]) == (piece * 3, "text/plain; charset=utf-8")


async def test_other_types_are_refused_with_what_is_accepted(server: Server) -> None:
    for fields in (JSON, TEXT, {}, {"Content-Type": "application/x-www-form-urlencoded"}):
        answer = await ask(server, "PATCH", path(unique()), fields, "{}")
        problem(answer, 415)
        assert answer["accept-patch"].split(", ") == [
            "application/merge-patch+json", "application/json-patch+json"
        ]  # fmt: skip


async def test_what_cannot_be_patched(server: Server) -> None:
    text, stream, octets = unique(), unique(), unique()
    await put(server, text, "words")
    await publish(server, stream, "post")
    await put(server, octets, b"\xff\0", fields={"Content-Type": "application/octet-stream"})
    problem(await merge(server, text, "{}"), 409)
    problem(await merge(server, octets, "{}"), 409)
    assert "stream" in problem(await merge(server, stream, "{}"), 409)["detail"]
    problem(await ask(server, "PATCH", path(octets) + "?op=append", TEXT, "x"), 409)
    value = unique()
    await put(server, value, "{}", fields=JSON)
    problem(await ask(server, "PATCH", path(value) + "?op=append", TEXT, "x"), 409)
    problem(await ask(server, "PATCH", path(text) + "?op=append", TEXT, b"\xff"), 400)
    problem(await ask(server, "PATCH", path(text) + "?op=smash", TEXT, "x"), 400)


@pytest.mark.parametrize(
    ("patch", "status", "where"),
    [
        ('{"a":1,}', 400, "line 1, column 8"),
        ('{"a":NaN}', 400, "column 6"),
        ("[" * 70 + "]" * 70, 413, "64 deep"),
        ("[" + "0," * 100_001 + "0]", 413, "100000"),
        ('"\\ud800"', 400, "surrogate"),
        (b'{"a":"\xff"}', 400, "UTF-8"),
    ],
)
async def test_malformed_and_oversized_patches_are_named(
    server: Server, patch: str | bytes, status: int, where: str
) -> None:
    topic = unique()
    await put(server, topic, '{"a":0}', fields=JSON)
    answer = await ask(server, "PATCH", path(topic), MERGE, patch)
    assert where in problem(answer, status)["detail"]
    assert (await get(server, path(topic))).body == b'{"a":0}'


async def test_a_value_cannot_outgrow_the_limit(server: Server) -> None:
    topic = unique()
    await put(server, topic, "x" * 700_000)
    more = await ask(server, "PATCH", path(topic) + "?op=append", TEXT, "y" * 700_000)
    problem(more, 413)
    assert len((await get(server, path(topic))).body) == 700_000


async def test_strange_keys_are_only_data(server: Server) -> None:
    topic = unique()
    await merge(server, topic, '{"__proto__":{"x":1},"constructor":{"prototype":2},"":3}')
    await merge(server, topic, '{"__proto__":{"y":2},"":null}')
    expected = b'{"__proto__":{"x":1,"y":2},"constructor":{"prototype":2}}'
    assert (await get(server, path(topic))).body == expected


async def test_concurrent_patches_both_survive(server: Server) -> None:
    topic = unique()
    await put(server, topic, "{}", fields=JSON)
    answers = await asyncio.gather(*(merge(server, topic, f'{{"k{n}":{n}}}') for n in range(20)))
    assert all(a.status == 200 for a in answers)
    assert json.loads((await get(server, path(topic))).body) == {f"k{n}": n for n in range(20)}


async def test_of_two_that_asked_for_the_same_version_one_gets_412(server: Server) -> None:
    topic = unique()
    first = await put(server, topic, '{"n":0}', fields=JSON)
    fields = {"If-Match": f'"{first}"'}
    answers = await asyncio.gather(
        *(merge(server, topic, f'{{"n":{n}}}', **fields) for n in (1, 2))
    )
    assert sorted(a.status for a in answers) == [200, 412]
    won, lost = sorted(answers, key=lambda a: a.status)
    assert lost["etag"] == won["etag"]


async def test_an_idempotency_key_covers_a_patch(server: Server) -> None:
    topic = unique()

    async def append(text: str) -> Answer:
        fields = {**TEXT, "Idempotency-Key": "k"}
        return await ask(server, "PATCH", path(topic) + "?op=append", fields, text)

    first = await append("a")
    await ask(server, "PATCH", path(topic) + "?op=append", TEXT, "b")
    again = await append("a")
    assert (again.status, again.json()) == (first.status, first.json())
    assert (await get(server, path(topic))).body == b"ab"
    problem(await append("c"), 422)


async def test_a_batch_patches_and_appends(server: Server) -> None:
    topic, words = unique(), unique()
    lines = [
        {"topic": topic, "op": "patch", "data": {"a": 1}},
        {"topic": topic, "op": "patch", "data": {"b": 2}, "type": "application/merge-patch+json"},
        {"topic": topic, "op": "patch", "type": "application/json-patch+json",
         "data": [{"op": "remove", "path": "/a"}]},
        {"topic": words, "op": "append", "data": "x"},
        {"topic": words, "op": "append", "data": "y"},
        {"topic": words, "op": "append", "data": 1},
    ]  # fmt: skip
    body = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    answer = await ask(server, "POST", "/topics", {"Content-Type": "application/x-ndjson"}, body)
    assert ["id" in line for line in answer.lines()] == [True] * 5 + [False]
    assert (await get(server, path(topic))).body == b'{"b":2}'
    assert (await get(server, path(words))).body == b"xy"


async def test_a_websocket_patches(server: Server) -> None:
    topic = unique()
    async with await Ws.open(server, "/topics", protocol="hexcast.v1") as ws:
        await ws.say({"publish": topic, "op": "patch", "data": {"a": [1]}, "ref": 1})
        assert (await ws.hear())["ok"] == 1
        await ws.say({"publish": topic, "op": "post", "data": 1, "ref": 2})
        assert (await ws.hear())["error"]["status"] == 409
    assert (await get(server, path(topic))).body == b'{"a":[1]}'


async def test_subscribers_without_delta_get_the_full_value_as_a_put(server: Server) -> None:
    topic = unique()
    await put(server, topic, '{"a":1,"b":2}', fields=JSON)
    async with await Sse.open(server, path(topic) + "?format=json") as sse:
        await sse.record()
        done = await merge(server, topic, '{"b":3}')
        record = (await sse.record()).json()
    assert record["id"] == done.json()["id"]
    assert (record["op"], record["data"]) == ("put", {"a": 1, "b": 3})
    assert "base" not in record


async def test_a_patch_may_have_an_event_and_an_end(server: Server) -> None:
    topic = unique()
    await put(server, topic, '{"a":1}', fields=JSON)
    async with await Sse.open(server, path(topic)) as sse:
        await sse.record()
        await ask(server, "PATCH", path(topic) + "?event=done&end=1", MERGE, '{"a":2}')
        event = await sse.record()
        assert (event.event, event.data) == ("done", '{"a":2}')
        await sse.end()
