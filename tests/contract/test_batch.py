"""Batches (protocol 2): NDJSON streamed in, an answer for each line streamed out."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from tests.support.harness import (
    Conn,
    Server,
    ask,
    get,
    path,
    problem,
    publish,
    put,
    request_bytes,
    unique,
)
from tests.support.wire import Answer, seq

NDJSON = {"Content-Type": "application/x-ndjson"}


def lines(*objects: Any) -> bytes:
    return b"".join(json.dumps(item).encode() + b"\n" for item in objects)


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


async def batch(server: Server, *objects: Any, query: str = "") -> Answer:
    return await ask(server, "POST", "/topics" + query, NDJSON, lines(*objects))


async def held(server: Server, topic: str) -> list[dict[str, Any]]:
    records = (await get(server, f"{path(topic)}?since=earliest&limit=1000")).json()["records"]
    return list(records)


async def test_a_line_for_each_line(server: Server) -> None:
    stream, state = unique(), unique()
    answer = await batch(
        server,
        {"topic": stream, "data": "one"},
        {"topic": stream, "data": {"n": 2}, "op": "post", "event": "tick"},
        {"topic": state, "data": [1, 2], "op": "put"},
    )
    assert answer.status == 200
    assert answer["content-type"].split(";")[0] == "application/x-ndjson"
    ids = [line["id"] for line in answer.lines()]
    assert [seq(i) for i in ids] == sorted({seq(i) for i in ids})
    assert len(ids) == 3
    first, second = await held(server, stream)
    assert (first["id"], first["op"], first["data"]) == (ids[0], "post", "one")
    assert first["type"].startswith("text/plain")
    assert (second["data"], second["event"]) == ({"n": 2}, "tick")
    assert json.loads((await get(server, path(state))).body) == [1, 2]


async def test_ack_last_answers_one_line(server: Server) -> None:
    topic = unique()
    objects = [{"topic": topic, "data": n} for n in range(500)]
    answer = await batch(server, *objects, query="?ack=last")
    (told,) = answer.lines()
    records = await held(server, topic)
    assert [record["data"] for record in records] == list(range(500))
    assert told["id"] == records[-1]["id"]


async def test_a_line_is_answered_before_the_next_is_sent(server: Server) -> None:
    topic = unique()
    async with await Conn.open(server) as conn:
        await conn.send(
            request_bytes(server, "POST", "/topics", {**NDJSON, "Transfer-Encoding": "chunked"})
        )
        got = b""
        for number in range(5):
            await conn.send(chunk(lines({"topic": topic, "data": number})))
            if number == 0:
                head = await conn.head()
                assert (head.status, head.get("transfer-encoding")) == (200, "chunked")
            while got.count(b"\n") <= number:
                got += await conn.content()
            assert len(await held(server, topic)) == number + 1
        await conn.send(b"0\r\n\r\n")
        while part := await conn.content():
            got += part
    ids = [json.loads(line)["id"] for line in got.splitlines()]
    assert [record["id"] for record in await held(server, topic)] == ids


async def test_a_line_cut_over_many_chunks(server: Server) -> None:
    topic = unique()
    data = lines({"topic": topic, "data": "caf\u00e9 \U0001f40d"}, {"topic": topic, "data": 2})
    async with await Conn.open(server) as conn:
        await conn.send(
            request_bytes(server, "POST", "/topics", {**NDJSON, "Transfer-Encoding": "chunked"})
        )
        for at in range(len(data)):
            await conn.send(chunk(data[at : at + 1]))
        await conn.send(b"0\r\n\r\n")
        answer = await conn.answer("POST")
    assert len(answer.lines()) == 2
    assert [r["data"] for r in await held(server, topic)] == ["caf\u00e9 \U0001f40d", 2]


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"{not json", 400),
        (b"[]", 400),
        (b"17", 400),
        (b"{}", 400),
        (b'{"topic": "x"}', 400),
        (b'{"data": 1}', 400),
        (b'{"topic": 5, "data": 1}', 400),
        (b'{"topic": "", "data": 1}', 400),
        (b'{"topic": "a//b", "data": 1}', 400),
        (b'{"topic": "a/*", "data": 1}', 400),
        (b'{"topic": "x", "data": 1, "op": "smash"}', 400),
        (b'{"topic": "x", "data": 1, "event": "hexcast:gap"}', 400),
        (b'{"topic": "x", "data": {"base64": "!!"}}', 400),
        (b'{"topic": "x", "data": "\xff"}', 400),
        (b'{"topic": "x", "data": {"a": 1}, "op": "patch", "type": "text/plain"}', 415),
        (b'{"topic": "x", "data": 5, "op": "append"}', 400),
        (b'{"topic": "x", "op": "patch"}', 400),
        (b'{"topic": "never-was", "op": "delete"}', 404),
    ],
)
async def test_a_bad_line_is_answered_and_the_rest_goes_on(
    server: Server, line: bytes, status: int
) -> None:
    topic = unique()
    body = lines({"topic": topic, "data": 1}) + line + b"\n" + lines({"topic": topic, "data": 2})
    answer = await ask(server, "POST", "/topics", NDJSON, body)
    assert answer.status == 200
    first, bad, last = answer.lines()
    assert set(bad) == {"error"}
    assert bad["error"]["status"] == status, bad
    assert bad["error"]["title"] and bad["error"]["detail"]
    assert [r["id"] for r in await held(server, topic)] == [first["id"], last["id"]]


async def test_the_wrong_kind_in_a_batch(server: Server) -> None:
    stream, state = unique(), unique()
    await publish(server, stream, "x")
    await put(server, state, "x")
    answer = await batch(
        server,
        {"topic": stream, "data": 1, "op": "put"},
        {"topic": state, "data": 1},
        {"topic": state, "data": 1, "op": "put"},
    )
    bad, worse, good = answer.lines()
    assert (bad["error"]["status"], worse["error"]["status"]) == (409, 409)
    assert "id" in good


async def test_delete_in_a_batch(server: Server) -> None:
    topic = unique()
    await publish(server, topic, "x")
    answer = await batch(
        server, {"topic": topic, "op": "delete"}, {"topic": topic, "op": "put", "data": 1}
    )
    assert [list(line) for line in answer.lines()] == [["id"], ["id"]]
    assert (await get(server, path(topic))).body == b"1"


async def test_data_without_a_type(server: Server) -> None:
    text, octets, json_value, two = unique(), unique(), unique(), unique()
    blob = bytes(range(256))
    encoded = {"base64": base64.b64encode(blob).decode()}
    await batch(
        server,
        {"topic": text, "data": "words"},
        {"topic": octets, "data": encoded},
        {"topic": json_value, "data": None},
        {"topic": two, "data": {**encoded, "more": 1}},
    )
    value = await get(server, path(text))
    assert (value["content-type"], value.body) == ("text/plain; charset=utf-8", b"words")
    value = await get(server, path(octets))
    assert (value["content-type"], value.body) == ("application/octet-stream", blob)
    value = await get(server, path(json_value))
    assert (value["content-type"], value.body) == ("application/json", b"null")
    value = await get(server, path(two))
    assert value["content-type"] == "application/json"
    assert value.json() == {**encoded, "more": 1}


async def test_data_with_a_type(server: Server) -> None:
    html, blob = unique(), unique()
    await batch(
        server,
        {"topic": html, "data": "<b>x</b>", "type": "text/html"},
        {"topic": blob, "data": {"base64": "iVBORw=="}, "type": "image/png"},
    )
    value = await get(server, path(html))
    assert (value["content-type"], value.body) == ("text/html", b"<b>x</b>")
    value = await get(server, path(blob))
    assert (value["content-type"], value.body) == ("image/png", b"\x89PNG")


async def test_keys_in_a_batch(server: Server) -> None:
    topic = unique()
    line = {"topic": topic, "data": "once", "key": "k"}
    first, again, other = (await batch(server, line, line, {**line, "data": "else"})).lines()
    assert first == again
    assert other["error"]["status"] == 422
    assert len(await held(server, topic)) == 1
    by_post = await ask(
        server, "POST", path(topic),
        {"Content-Type": "text/plain; charset=utf-8", "Idempotency-Key": "k"}, "once",
    )  # fmt: skip
    assert by_post.json()["id"] == first["id"], "one key, whichever way it was published"


async def test_end_in_a_batch(server: Server) -> None:
    topic = unique()
    (told,) = (await batch(server, {"topic": topic, "data": "bye", "end": True})).lines()
    fields = {"Accept": "text/event-stream", "Last-Event-ID": told["id"]}
    assert (await get(server, path(topic), fields)).status == 204
    assert (await held(server, topic))[0]["end"] is True


async def test_only_complete_lines_publish(server: Server) -> None:
    topic, half = unique(), unique()
    async with await Conn.open(server) as conn:
        await conn.send(
            request_bytes(server, "POST", "/topics", {**NDJSON, "Transfer-Encoding": "chunked"})
        )
        whole = lines({"topic": topic, "data": 1})
        await conn.send(chunk(whole + lines({"topic": half, "data": "never"})[:-1]))
        await conn.head()
        assert b'"id"' in await conn.content()
        conn.writer.write_eof()
        await conn.eof()  # the server has seen the cut, and is through with it
    assert len(await held(server, topic)) == 1
    problem(await get(server, path(half)), 404)


async def test_a_broken_chunk_publishes_no_half_line(server: Server) -> None:
    topic = unique()
    async with await Conn.open(server) as conn:
        head = request_bytes(server, "POST", "/topics", {**NDJSON, "Transfer-Encoding": "chunked"})
        line = lines({"topic": topic, "data": 1})
        await conn.send(head + chunk(line) + chunk(line[:-1]) + b"zz\r\n" + chunk(b"\n"))
        await conn.eof()
    assert len(await held(server, topic)) <= 1


async def test_a_last_line_without_its_newline_is_not_lost_silently(server: Server) -> None:
    topic = unique()
    body = lines({"topic": topic, "data": 1}, {"topic": topic, "data": 2})[:-1]
    told = (await ask(server, "POST", "/topics", NDJSON, body)).lines()
    assert len(told) == 2, "published or refused, it gets an answer"
    published = [line["id"] for line in told if "id" in line]
    assert [record["id"] for record in await held(server, topic)] == published


async def test_the_limit_is_for_each_line() -> None:
    with Server("--body-limit", "2000") as small:
        topic = unique()
        fits = {"topic": topic, "data": "x" * 1500}
        answer = await batch(small, *[fits] * 20)
        assert all("id" in line for line in answer.lines()), "the sum has no limit"
        long = lines({"topic": topic, "data": "y" * 3000})
        answer = await ask(small, "POST", "/topics", NDJSON, lines(fits) + long + lines(fits))
        told = answer.lines()
        assert "id" in told[0]
        assert told[1]["error"]["status"] == 413
        records = await held(small, topic)
        assert len(records) == 21 + sum("id" in line for line in told[2:])
        assert not any(record["data"].startswith("y") for record in records)
        # A line without end must be refused while it comes, not gathered.
        async with await Conn.open(small) as conn:
            head = {**NDJSON, "Transfer-Encoding": "chunked"}
            await conn.send(request_bytes(small, "POST", "/topics", head))
            await conn.send(chunk(b'{"topic": "t", "data": "' + b"z" * 5000))
            first = await conn.head()
            if first.status == 200:
                assert json.loads(await conn.content())["error"]["status"] == 413
            else:
                assert first.status == 413


async def test_other_types_and_methods_on_the_collection(server: Server) -> None:
    answer = await ask(server, "POST", "/topics", {"Content-Type": "application/json"}, b"[]")
    problem(answer, 415)
    for method in ("PUT", "DELETE"):
        answer = await ask(server, method, "/topics", NDJSON, b"")
        problem(answer, 405)
        assert {"get", "post"} <= answer.head.tokens("allow")


async def test_an_empty_batch(server: Server) -> None:
    answer = await ask(server, "POST", "/topics", NDJSON, b"")
    assert (answer.status, answer.body) == (200, b"")


async def test_a_large_batch_with_answers_read_late(server: Server) -> None:
    """Neither side's buffers may deadlock: the answers are read only once all has been sent."""
    topic = unique()
    objects = [{"topic": topic, "data": n} for n in range(5000)]
    answer = await ask(server, "POST", "/topics", NDJSON, lines(*objects), seconds=20)
    ids = [seq(line["id"]) for line in answer.lines()]
    assert len(ids) == 5000
    assert ids == sorted(set(ids))


@pytest.mark.parametrize("size", [1_048_600, 1_200_000, 3_000_000])
@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("ack", ["", "?ack=last"])
async def test_a_line_that_is_too_long_is_the_only_one_refused(
    server: Server, size: int, chunked: bool, ack: str
) -> None:
    topic = unique()
    sent = lines({"topic": topic, "data": 1}, {"topic": topic, "data": "x" * size})
    sent += lines(*({"topic": topic, "data": n} for n in (2, 3, 4)))
    async with await Conn.open(server) as conn:
        if chunked:
            fields = {**NDJSON, "Transfer-Encoding": "chunked"}
            await conn.send(request_bytes(server, "POST", "/topics" + ack, fields))
            for place in range(0, len(sent), 50_000):
                await conn.send(chunk(sent[place : place + 50_000]))
            await conn.send(chunk(b""))
        else:
            await conn.send(request_bytes(server, "POST", "/topics" + ack, NDJSON, sent))
        answer = await conn.answer("POST")
    told = answer.lines()
    if ack:
        assert (told[-1]["published"], told[-1]["refused"]) == (4, 1)
    else:
        assert [line.get("error", {}).get("status", 0) for line in told] == [0, 413, 0, 0, 0]
    assert [record["data"] for record in await held(server, topic)] == [1, 2, 3, 4]
