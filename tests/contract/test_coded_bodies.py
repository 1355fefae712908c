"""Publishes whose bodies are compressed (protocol 2)."""

from __future__ import annotations

import asyncio
import gzip
import json
import sys
import time

import pytest

from tests.support.harness import Conn, Server, ask, get, path, problem, request_bytes, unique

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

ENCODE = {"gzip": gzip.compress, "zstd": zstd.compress}
CODINGS = sorted(ENCODE)
NDJSON = {"Content-Type": "application/x-ndjson"}


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_what_is_published_is_what_was_coded(
    server: Server, method: str, coding: str
) -> None:
    topic = unique()
    head = {"Content-Type": "application/json", "Content-Encoding": coding}
    answer = await ask(server, method, path(topic), head, ENCODE[coding](b'{"n": 1}'))
    assert answer.status == 201
    value = await get(server, path(topic))
    assert (value.body, value["content-type"]) == (b'{"n": 1}', "application/json")
    assert "content-encoding" not in value


@pytest.mark.parametrize("coding", CODINGS)
async def test_without_a_type_it_is_the_decoded_body_that_decides(
    server: Server, coding: str
) -> None:
    topic = unique()
    await ask(server, "PUT", path(topic), {"Content-Encoding": coding}, ENCODE[coding](b"[1]"))
    assert (await get(server, path(topic)))["content-type"] == "application/json"


@pytest.mark.parametrize("coding", CODINGS)
async def test_a_patch_may_be_coded(server: Server, coding: str) -> None:
    topic = unique()
    head = {"Content-Type": "application/merge-patch+json", "Content-Encoding": coding}
    await ask(server, "PATCH", path(topic), head, ENCODE[coding](b'{"a": 1}'))
    assert json.loads((await get(server, path(topic))).body) == {"a": 1}


@pytest.mark.parametrize("coding", ["br", "deflate", "gzip, gzip", "aws-chunked"])
@pytest.mark.parametrize("where", ["topic", "batch"])
async def test_any_other_coding_is_refused(server: Server, coding: str, where: str) -> None:
    topic = unique()
    target = path(topic) if where == "topic" else "/topics"
    answer = await ask(server, "POST", target, {**NDJSON, "Content-Encoding": coding}, b"x")
    problem(answer, 415)
    assert answer.head.tokens("accept-encoding") == {"gzip", "zstd"}
    assert (await get(server, path(topic))).status == 404


@pytest.mark.parametrize("coding", CODINGS)
async def test_a_body_that_is_not_what_it_says(server: Server, coding: str) -> None:
    topic = unique()
    whole = ENCODE[coding](b"whole")
    for body in (b"plain", whole[:-1], whole + b"!"):
        problem(await ask(server, "POST", path(topic), {"Content-Encoding": coding}, body), 400)
    assert (await get(server, path(topic))).status == 404


@pytest.mark.parametrize("coding", CODINGS)
async def test_the_limit_is_of_the_decoded_body(coding: str) -> None:
    with Server("--body-limit", "2000") as small:
        topic = unique()
        for size, status in ((2000, 201), (2001, 413), (10**8, 413)):
            body = ENCODE[coding](b"x" * size)
            if len(body) <= 2000:
                head = {"Content-Encoding": coding}
                assert (await ask(small, "POST", path(topic), head, body)).status == status
        assert len((await get(small, path(topic))).body) == 2000


@pytest.mark.parametrize("coding", CODINGS)
async def test_a_batch_may_be_coded(server: Server, coding: str) -> None:
    topic = unique()
    lines = b"".join(
        json.dumps({"topic": topic, "data": f"{n} " + "." * 100}).encode() + b"\n"
        for n in range(3_000)
    )
    answer = await ask(
        server, "POST", "/topics", {**NDJSON, "Content-Encoding": coding}, ENCODE[coding](lines)
    )
    assert len([line for line in answer.lines() if "id" in line]) == 3_000
    records = (await get(server, f"{path(topic)}?since=earliest&limit=1000")).json()["records"]
    assert [r["data"].split()[0] for r in records] == [str(n) for n in range(1_000)]


@pytest.mark.parametrize("coding", CODINGS)
async def test_a_line_is_answered_before_the_coded_body_ends(server: Server, coding: str) -> None:
    """A client that flushes its coder after each line is answered line by line."""
    topic = unique()
    units = [ENCODE[coding](json.dumps({"topic": topic, "data": n}).encode() + b"\n")
             for n in range(3)]  # fmt: skip
    async with await Conn.open(server) as conn:
        head = {**NDJSON, "Content-Encoding": coding, "Transfer-Encoding": "chunked"}
        await conn.send(request_bytes(server, "POST", "/topics", head))
        for place, unit in enumerate(units):
            await conn.send(b"%x\r\n%b\r\n" % (len(unit), unit))
            if not place:
                assert (await conn.head()).status == 200
            assert "id" in json.loads(await conn.content())


@pytest.mark.parametrize("coding", CODINGS)
async def test_a_coded_batch_that_is_cut_short_says_so(server: Server, coding: str) -> None:
    topic = unique()
    body = ENCODE[coding](json.dumps({"topic": topic, "data": 1}).encode() + b"\n")
    answer = await ask(
        server, "POST", "/topics", {**NDJSON, "Content-Encoding": coding}, body + body[:-1]
    )
    told = answer.lines()
    assert "id" in told[0] and told[-1]["error"]["status"] == 400


@pytest.mark.parametrize("coding", CODINGS)
async def test_a_bomb_in_a_batch_holds_nobody_up(server: Server, coding: str) -> None:
    bomb = ENCODE[coding](b"\n" * (100 * 2**20))
    head = {**NDJSON, "Content-Encoding": coding, "Content-Length": str(len(bomb))}
    async with await Conn.open(server) as conn:
        await conn.send(request_bytes(server, "POST", "/topics", head) + bomb)
        waits = []
        for _ in range(20):
            began = time.monotonic()
            assert (await get(server, "/healthz")).status == 200
            waits.append(time.monotonic() - began)
            await asyncio.sleep(0)
        assert sorted(waits)[10] < 0.25, waits
        assert (await conn.head()).status == 200
