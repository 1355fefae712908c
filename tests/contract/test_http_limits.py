"""Input that must not be taken (protocol 7, RFC 9112): a clear error or a clean close, and nothing
half-published."""

from __future__ import annotations

import json

import pytest

from tests.support.harness import Conn, Server, ask, get, path, problem, put, request_bytes, unique
from tests.support.wire import WireError, parse_head

TEXT = {"Content-Type": "text/plain; charset=utf-8"}
HOST = b"Host: localhost\r\n"


async def refused(server: Server, data: bytes, *statuses: int) -> int:
    """Send bytes; demand one error of `statuses` (or, where given 0, a close) and the end."""
    async with await Conn.open(server) as conn:
        conn.write(data)
        rest = await conn.eof(seconds=5)
    if not rest:
        assert 0 in statuses, "closed without a word"
        return 0
    block, found, body = rest.partition(b"\r\n\r\n")
    if not found:
        raise WireError(f"not an answer: {rest[:200]!r}")
    head = parse_head(block)
    assert head.status in statuses, rest[:500]
    assert "close" in head.tokens("connection"), "it closes, and says so"
    if head.get("content-type") == "application/problem+json":
        assert json.loads(body[: int(head.get("content-length"))])["status"] == head.status
    else:
        raise AssertionError(f"an error without a problem body: {rest[:300]!r}")
    return head.status


# --- sizes ----------------------------------------------------------------------------------------


async def test_request_line(server: Server) -> None:
    fits = b"GET /topics/x?pad=%b HTTP/1.1\r\n" % (b"y" * (8192 - 40))
    assert len(fits) <= 8192
    async with await Conn.open(server) as conn:
        await conn.send(fits + HOST + b"\r\n")
        assert (await conn.answer()).status == 404
    long = b"GET /topics/x?pad=%b HTTP/1.1\r\n" % (b"y" * 8300)
    await refused(server, long + HOST + b"\r\n", 414)


async def test_request_line_without_end(server: Server) -> None:
    """It must be refused while it comes."""
    await refused(server, b"GET /topics/" + b"x" * 9000, 414)


async def test_a_long_method(server: Server) -> None:
    await refused(server, b"A" * 20_000, 400, 414, 501)


async def test_header_fields(server: Server) -> None:
    line = b"GET /healthz HTTP/1.1\r\n"
    fits = b"X-Pad: %b\r\n" % (b"y" * 15_000)
    async with await Conn.open(server) as conn:
        await conn.send(line + HOST + fits + b"\r\n")
        assert (await conn.answer()).status == 200
    await refused(server, line + HOST + b"X-Pad: %b\r\n\r\n" % (b"y" * 17_000), 431)
    await refused(server, line + HOST + b"X-Pad: " + b"y" * 18_000, 431)
    await refused(server, line + HOST + b"X-%b: 1\r\n\r\n" % (b"n" * 17_000), 431)
    await refused(server, line + HOST + b"A: b\r\n" * 4000 + b"\r\n", 431)
    await refused(server, line + HOST + b"A: b\r\n" * 4000, 431)


async def test_a_request_line_and_fields_each_at_their_limit(server: Server) -> None:
    line = b"GET /topics/x?pad=%b HTTP/1.1\r\n" % (b"y" * 8100)
    async with await Conn.open(server) as conn:
        await conn.send(line + HOST + b"X-Pad: %b\r\n\r\n" % (b"y" * 16_000))
        assert (await conn.answer()).status == 404


async def test_trailers_without_end(server: Server) -> None:
    topic = unique()
    head = request_bytes(server, "PUT", path(topic), {**TEXT, "Transfer-Encoding": "chunked"})
    await refused(server, head + b"1\r\nx\r\n0\r\n" + b"A: b\r\n" * 10_000, 400, 431)
    problem(await get(server, path(topic)), 404)


async def test_a_chunk_extension_without_end(server: Server) -> None:
    topic = unique()
    head = request_bytes(server, "PUT", path(topic), {**TEXT, "Transfer-Encoding": "chunked"})
    async with await Conn.open(server) as conn:
        conn.write(head + b"1;" + b"x" * 4_000_000 + b"\r\nx\r\n0\r\n\r\n")
        assert (await conn.head()).status in (400, 413, 431), "RFC 9112 section 7.1.1"


@pytest.mark.parametrize("length", ["1048577", "99999999999", "9" * 19, "9" * 30])
async def test_a_declared_body_over_the_limit(server: Server, length: str) -> None:
    topic = unique()
    head = request_bytes(server, "PUT", path(topic), {**TEXT, "Content-Length": length})
    status = await refused(server, head, 413, 400)
    assert status == 413 or len(length) >= 19
    problem(await get(server, path(topic)), 404)


async def test_a_chunked_body_over_the_limit(server: Server) -> None:
    topic = unique()
    head = request_bytes(server, "PUT", path(topic), {**TEXT, "Transfer-Encoding": "chunked"})
    chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    await refused(server, head + chunk * 17, 413)
    await refused(server, head + b"fffffff\r\n" + b"x" * 2_000_000, 413)
    problem(await get(server, path(topic)), 404)


async def test_the_answer_arrives_though_the_body_goes_on(server: Server) -> None:
    """A reset would destroy the 413 on its way to a client that still writes."""
    head = request_bytes(server, "PUT", path(unique()), {**TEXT, "Content-Length": "8000000"})
    async with await Conn.open(server) as conn:
        conn.write(head + b"x" * 3_000_000)
        assert (await conn.head()).status == 413


# --- framing --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fields",
    [
        b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 1\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 11\r\n",
        b"Content-Length: 1\r\nContent-Length: 2\r\n",
        b"Content-Length: 1, 2\r\n",
        b"Content-Length: -1\r\n",
        b"Content-Length: +1\r\n",
        b"Content-Length: 0x1\r\n",
        b"Content-Length: 1 1\r\n",
        b"Content-Length: \r\n",
        b"Content-Length: one\r\n",
        b"Transfer-Encoding: gzip\r\n",
        b"Transfer-Encoding: chunked, gzip\r\n",
        b"Transfer-Encoding: gzip, chunked\r\n",
        b"Transfer-Encoding: xchunked\r\n",
        b"Transfer-Encoding: chunked, chunked\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding : chunked\r\n",
        b"Transfer-Encoding: \x0bchunked\r\n",
    ],
)
async def test_ambiguous_framing(server: Server, fields: bytes) -> None:
    """What two parsers may read in two ways is how requests are smuggled."""
    topic = unique()
    head = b"PUT %b HTTP/1.1\r\n" % path(topic).encode() + HOST + fields + b"\r\n"
    await refused(server, head + b"1\r\nx\r\n0\r\n\r\n", 400, 501, 411, 0)
    problem(await get(server, path(topic)), 404)


@pytest.mark.parametrize(
    "body",
    [
        b"zz\r\nxx\r\n0\r\n\r\n",
        b"-1\r\nx\r\n0\r\n\r\n",
        b"0x1\r\nx\r\n0\r\n\r\n",
        b"+1\r\nx\r\n0\r\n\r\n",
        b"1 \x00\r\nx\r\n0\r\n\r\n",
        b"\r\nx\r\n0\r\n\r\n",
        b"ffffffffffffffffff\r\nx\r\n0\r\n\r\n",
        b"10000000000000001\r\nx\r\n0\r\n\r\n",
        b"1\r\nxy\r\n0\r\n\r\n",
        b"1\r\nxx0\r\n\r\n",
        b"3\r\nxyz0\r\n\r\n",
        b"1\nx\n0\n\n",
    ],
)
async def test_bad_chunks(server: Server, body: bytes) -> None:
    topic = unique()
    head = request_bytes(server, "PUT", path(topic), {**TEXT, "Transfer-Encoding": "chunked"})
    await refused(server, head + body, 400, 413, 0)
    problem(await get(server, path(topic)), 404)


@pytest.mark.parametrize(
    "request_",
    [
        b"\x00\x00\x00\x00\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x55" * 60,
        b"GET\r\n\r\n",
        b"GET /healthz\r\n\r\n",
        b"GET /healthz HTTP/1.1 \r\nHost: localhost\r\n\r\n",
        b"GET /health z HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /healthz HTTX/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /healthz HTTP/9.9\r\nHost: localhost\r\n\r\n",
        b"GET /healthz HTTP/1.10\r\nHost: localhost\r\n\r\n",
        b"GET healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /a\x00b HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /\x01 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"G\x00T / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: a\x00b\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX\x00: a\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX Y: a\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX : a\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n: a\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nno colon\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: a\r\n folded\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: a\rb\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: localhost, evil.example\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: local host\r\n\r\n",
    ],
)  # fmt: skip
async def test_requests_that_are_none(server: Server, request_: bytes) -> None:
    await refused(server, request_, 400, 421, 501, 505, 0)


async def test_an_error_ends_the_pipeline(server: Server) -> None:
    """What follows a request that cannot be framed is not read as a request."""
    topic = unique()
    good = request_bytes(server, "PUT", path(topic), TEXT, b"smuggled")
    bad = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX Y: a\r\n\r\n"
    await refused(server, bad + good, 400)
    problem(await get(server, path(topic)), 404)


async def test_requests_before_the_bad_one_are_answered(server: Server) -> None:
    async with await Conn.open(server) as conn:
        await conn.send(request_bytes(server, "GET", "/healthz") * 3 + b"GET / HTTP/9.9\r\n\r\n")
        for _ in range(3):
            assert (await conn.answer()).status == 200
        assert (await conn.answer()).status in (400, 505)
        assert await conn.eof() == b""


@pytest.mark.parametrize("query", ["topic=%FF", "topic=a%00b"])
async def test_bad_utf8_in_a_query(server: Server, query: str) -> None:
    problem(await get(server, f"/topics?{query}"), 400)


async def test_raw_bytes_in_a_target(server: Server) -> None:
    """Unescaped UTF-8 is not HTTP, but curl sends it: a topic of that name, or 400."""
    async with await Conn.open(server) as conn:
        await conn.send(
            "PUT /topics/gr\u00fcn-x HTTP/1.1\r\n".encode() + HOST + b"Content-Length: 1\r\n\r\nx"
        )
        answer = await conn.answer("PUT")
    if answer.status in (200, 201):
        assert answer.json()["topic"] == "gr\u00fcn-x"
    else:
        problem(answer, 400)
    async with await Conn.open(server) as conn:
        await conn.send(b"GET /topics/\xff\xfe HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert (await conn.answer()).status == 400


@pytest.mark.parametrize(
    ("query", "status"),
    [("limit=1e3", {200, 400}), ("limit=", {200, 400}), ("limit=9" + "9" * 400, {200, 400}),
     ("last=-1", {200}), ("wait=99999999999999999999999&way=poll", {200}),
     ("wait=nan&way=poll", {200, 400}),
     ("every=inf&way=refresh", {200, 400}), ("since=k-" + "9" * 300, {200, 400})],
)  # fmt: skip
async def test_numbers_beyond_all_measure(server: Server, query: str, status: set[int]) -> None:
    topic = unique()
    await put(server, topic, "x")
    answer = await get(server, f"{path(topic)}?{query}")
    assert answer.status in status
    if answer.status != 200:
        problem(answer, answer.status)


async def test_a_great_many_parameters(server: Server) -> None:
    topic = unique()
    await put(server, topic, "x")
    answer = await get(server, f"{path(topic)}?" + "&".join(f"a{n}={n}" for n in range(700)))
    assert answer.status == 200, "unknown parameters are ignored"


async def test_errors_say_what_to_do(server: Server) -> None:
    told = problem(await ask(server, "PUT", "/topics/a//b", TEXT, "x"), 400)
    assert "segment" in told["detail"].lower() or "empty" in told["detail"].lower()
