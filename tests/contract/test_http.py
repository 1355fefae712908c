"""HTTP/1.1 as RFC 9110 and RFC 9112 have it: connections, framing, methods."""

from __future__ import annotations

import asyncio
import json
from email.utils import parsedate_to_datetime
from urllib.parse import quote

import pytest

from tests.support.harness import (
    Conn,
    Server,
    Sse,
    ask,
    deadline,
    get,
    path,
    problem,
    publish,
    put,
    request_bytes,
    unique,
)

TEXT = {"Content-Type": "text/plain; charset=utf-8"}


async def test_keep_alive(server: Server) -> None:
    topic = unique()
    async with await Conn.open(server) as conn:
        for n in range(20):
            answer = await conn.ask(server, "PUT", path(topic), TEXT, b"%d" % n)
            assert answer.status in (200, 201)
            assert (await conn.ask(server, "GET", path(topic))).body == b"%d" % n
            assert (await conn.ask(server, "HEAD", path(topic))).status == 200
            assert (await conn.ask(server, "GET", path(unique()))).status == 404
            assert (await conn.ask(server, "GET", f"{path(topic)}?way=what")).status == 400
            assert "close" not in answer.head.tokens("connection")


async def test_connection_close(server: Server) -> None:
    topic = unique()
    async with await Conn.open(server) as conn:
        answer = await conn.ask(server, "PUT", path(topic), {**TEXT, "Connection": "close"}, b"x")
        assert answer.status == 201
        assert "close" in answer.head.tokens("connection")
        assert await conn.eof() == b""


async def test_connection_close_in_a_list(server: Server) -> None:
    async with await Conn.open(server) as conn:
        fields = {"Connection": "TE, Close", "TE": "trailers"}
        assert (await conn.ask(server, "GET", "/healthz", fields)).status == 200
        assert await conn.eof() == b""


async def test_answers_have_a_date(server: Server) -> None:
    """RFC 9110 section 6.6.1."""
    for answer in (
        await get(server, "/healthz"),
        await get(server, path(unique())),
        await ask(server, "PUT", path(unique()), TEXT, "x"),
    ):
        assert parsedate_to_datetime(answer["date"]).tzinfo is not None
    async with await Sse.open(server, path(unique())) as sse:
        assert "date" in sse.head


async def test_pipelining(server: Server) -> None:
    topic = unique()
    requests = b""
    for n in range(50):
        requests += request_bytes(server, "POST", path(topic), TEXT, b"%d" % n)
        requests += request_bytes(server, "GET", path(topic))
        requests += request_bytes(server, "HEAD", path(topic))
    async with await Conn.open(server) as conn:
        await conn.send(requests)
        for n in range(50):
            assert (await conn.answer("POST")).status == 201
            assert (await conn.answer("GET")).body == b"%d" % n
            assert (await conn.answer("HEAD")).body == b""


async def test_pipelining_behind_a_held_poll(server: Server) -> None:
    """Answers come in the order of the requests, so those behind a held one wait with it."""
    topic = unique()
    cursor = (await get(server, f"{path(topic)}?since=now")).json()["cursor"]
    async with await Conn.open(server) as conn:
        await conn.send(
            request_bytes(server, "GET", f"{path(topic)}?since={cursor}&wait=30")
            + request_bytes(server, "GET", "/healthz")
            + request_bytes(server, "GET", path(topic))
        )
        record_id = await publish(server, topic, "x")
        held = await conn.answer()
        assert [r["id"] for r in held.json()["records"]] == [record_id]
        assert (await conn.answer()).status == 200
        assert (await conn.answer()).body == b"x"


async def test_pipelining_behind_a_publish_to_its_own_held_poll(server: Server) -> None:
    """The held poll is never answered by what stands behind it; time answers it."""
    topic = unique()
    async with await Conn.open(server) as conn:
        await conn.send(
            request_bytes(server, "GET", f"{path(topic)}?wait=1")
            + request_bytes(server, "PUT", path(topic), TEXT, b"x")
        )
        first, second = await conn.answer(), await conn.answer("PUT")
    assert second.status == 201
    assert first.status in (200, 404)


async def test_pipelining_behind_an_event_stream(server: Server) -> None:
    """The stream never ends, so nothing behind it is ever answered, and nothing breaks."""
    topic = unique()
    async with await Conn.open(server) as conn:
        fields = {"Accept": "text/event-stream"}
        await conn.send(
            request_bytes(server, "GET", path(topic), fields)
            + request_bytes(server, "GET", "/healthz") * 10
        )
        assert (await conn.head()).get("content-type").startswith("text/event-stream")
        await publish(server, topic, "x")
        data = b""
        while b"data: x" not in data:
            data += await conn.content()
        assert b"HTTP/1.1" not in data


async def test_a_pipelined_flood_that_is_not_read_is_held_back(server: Server) -> None:
    """The server stops reading when its answers are not taken, so the sender comes to a stop."""
    topic = unique()
    await put(server, topic, b"x" * 20_000)
    before = server.rss()
    async with await Conn.open(server, rcvbuf=4096) as conn:
        block = request_bytes(server, "GET", path(topic)) * 500
        sent = 0
        try:
            while sent < 400 * len(block):
                conn.write(block)
                async with asyncio.timeout(1.5):
                    await conn.writer.drain()
                sent += len(block)
        except TimeoutError:
            pass
        assert sent < 400 * len(block), "it took 200,000 requests whose answers nobody reads"
        assert server.rss() - before < 60 * 2**20
        assert (await get(server, path(topic))).status == 200, "others are served meanwhile"


async def test_chunked_in(server: Server) -> None:
    topic = unique()
    async with await Conn.open(server) as conn:
        await conn.send(
            request_bytes(server, "PUT", path(topic), {**TEXT, "Transfer-Encoding": "chunked"})
            + b'5;name="value"\r\nhello\r\n'
        )
        await conn.send(b"0001\r\n \r\n5\r\nworld\r\n")
        await conn.send(b"0\r\nSome-Trailer: x\r\n\r\n")
        assert (await conn.answer("PUT")).status == 201
        assert (await conn.ask(server, "GET", path(topic))).body == b"hello world"


async def test_chunked_out_is_whole_at_the_end(server: Server) -> None:
    """A stream's answer is chunked, and its end is marked, so that a cut can be told from it."""
    topic = unique()
    async with await Sse.open(server, path(topic)) as sse:
        assert sse.head.get("transfer-encoding") == "chunked"
        await publish(server, topic, "x", query="?end=1")
        assert (await sse.record()).data == "x"
        await sse.end()


async def test_http_1_0(server: Server) -> None:
    topic = unique()
    await put(server, topic, "x")
    async with await Conn.open(server) as conn:
        await conn.send(f"GET {path(topic)} HTTP/1.0\r\n\r\n".encode())
        answer = await conn.answer()
        assert (answer.status, answer.body) == (200, b"x")
        assert await conn.eof() == b""


async def test_http_1_0_event_stream(server: Server) -> None:
    topic = unique()
    await put(server, topic, "x")
    async with await Conn.open(server) as conn:
        await conn.send(f"GET {path(topic)}?way=sse HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
        head = await conn.head()
        assert "transfer-encoding" not in head and "content-length" not in head
        data = b""
        while b"data: x\n" not in data:
            data += await conn.content()


async def test_http_1_0_publish_and_upgrade(server: Server) -> None:
    topic = unique()
    async with await Conn.open(server) as conn:
        await conn.send(f"PUT {path(topic)} HTTP/1.0\r\nContent-Length: 1\r\n\r\nx".encode())
        assert (await conn.answer("PUT")).status == 201
    async with await Conn.open(server) as conn:
        await conn.send(
            f"GET {path(topic)} HTTP/1.0\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            "Sec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        assert (await conn.head()).status != 101, "RFC 9110 section 7.8: ignored in HTTP/1.0"


async def test_expect_100_continue(server: Server) -> None:
    topic = unique()
    async with await Conn.open(server) as conn:
        fields = {**TEXT, "Expect": "100-continue", "Content-Length": "5"}
        await conn.send(request_bytes(server, "PUT", path(topic), fields))
        assert (await conn.head()).status == 100
        await conn.send(b"hello")
        assert (await conn.answer("PUT")).status == 201
        assert (await conn.ask(server, "GET", path(topic))).body == b"hello"


async def test_expect_of_a_body_that_is_too_large(server: Server) -> None:
    async with await Conn.open(server) as conn:
        fields = {**TEXT, "Expect": "100-continue", "Content-Length": "999999999"}
        await conn.send(request_bytes(server, "PUT", path(unique()), fields))
        head = await conn.head()
        assert head.status == 413, "refused before the body is sent"


async def test_expect_with_the_body_sent_at_once(server: Server) -> None:
    topic = unique()
    async with await Conn.open(server) as conn:
        fields = {**TEXT, "Expect": "100-continue"}
        answer = await conn.ask(server, "PUT", path(topic), fields, b"hello")
        assert answer.status == 201


async def test_expect_in_a_streamed_batch(server: Server) -> None:
    topic = unique()
    async with await Conn.open(server) as conn:
        fields = {"Content-Type": "application/x-ndjson", "Expect": "100-continue",
                  "Transfer-Encoding": "chunked"}  # fmt: skip
        await conn.send(request_bytes(server, "POST", "/topics", fields))
        assert (await conn.head()).status == 100
        line = json.dumps({"topic": topic, "data": 1}).encode() + b"\n"
        await conn.send(b"%x\r\n%b\r\n0\r\n\r\n" % (len(line), line))
        assert len((await conn.answer("POST")).lines()) == 1


async def test_an_unknown_expectation(server: Server) -> None:
    answer = await ask(server, "PUT", path(unique()), {**TEXT, "Expect": "miracles"}, "x")
    assert answer.status in (201, 417), "RFC 9110 section 10.1.1"


@pytest.mark.parametrize(
    ("target", "methods"),
    [
        ("/topics/some", {"get", "head", "post", "put", "patch", "delete", "options"}),
        ("/topics", {"get", "head", "post", "options"}),
        ("/healthz", {"get", "head", "options"}),
        ("*", set()),
    ],
)
async def test_options(server: Server, target: str, methods: set[str]) -> None:
    async with await Conn.open(server) as conn:
        answer = await conn.ask(server, "OPTIONS", target)
        assert answer.status in (200, 204)
        assert methods <= answer.head.tokens("allow")
        assert (await conn.ask(server, "GET", "/healthz")).status == 200


@pytest.mark.parametrize("target", ["/healthz", "/readyz", "/metrics", "/"])
async def test_methods_that_a_resource_does_not_have(server: Server, target: str) -> None:
    answer = await ask(server, "DELETE", target)
    problem(answer, 405)
    assert {"get", "head"} <= answer.head.tokens("allow")


@pytest.mark.parametrize("method", ["TRACE", "PROPFIND", "LINK", "BREW", "get", "X"])
async def test_methods_that_are_not_known(server: Server, method: str) -> None:
    topic = unique()
    async with await Conn.open(server) as conn:
        await conn.send(request_bytes(server, method, path(topic)))
        answer = await conn.answer(method)
    assert answer.status in (400, 405, 501)
    problem(answer, answer.status)
    if answer.status == 405:
        assert {"get", "put", "post"} <= answer.head.tokens("allow")


async def test_connect(server: Server) -> None:
    async with await Conn.open(server) as conn:
        await conn.send(b"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost:80\r\n\r\n")
        assert (await conn.head()).status in (400, 405, 421, 501)


async def test_bodies_where_none_is_expected(server: Server) -> None:
    """A GET with a body keeps the connection in step."""
    topic = unique()
    await put(server, topic, "x")
    async with await Conn.open(server) as conn:
        for _ in range(3):
            answer = await conn.ask(
                server, "GET", path(topic), {}, b"GET /nothing HTTP/1.1\r\n\r\n"
            )
            assert (answer.status, answer.body) == (200, b"x")


async def test_field_names_and_values_in_odd_shapes(server: Server) -> None:
    topic = unique()
    async with await Conn.open(server) as conn:
        await conn.send(
            b"PUT %b HTTP/1.1\r\nhOsT:localhost\r\nCONTENT-length:   1  \r\n"
            b"content-TYPE:\ttext/plain\t\r\n"
            b"X-Empty:\r\nX-Latin: \xe9\r\n\r\nx" % path(topic).encode()
        )
        assert (await conn.answer("PUT")).status == 201


async def test_empty_lines_before_a_request(server: Server) -> None:
    """RFC 9112 section 2.2: at least one should be passed over."""
    async with await Conn.open(server) as conn:
        await conn.send(b"\r\n" + request_bytes(server, "GET", "/healthz"))
        assert (await conn.answer()).status == 200


async def test_byte_at_a_time(server: Server) -> None:
    topic = unique()
    request = request_bytes(server, "PUT", path(topic), TEXT, b"hello")
    chunked = request_bytes(server, "POST", "/topics", {
        "Content-Type": "application/x-ndjson", "Transfer-Encoding": "chunked",
    }) + b'19;x=y\r\n{"topic": "b-a-t", "data"\r\n5\r\n: 1}\n\r\n0\r\n\r\n'  # fmt: skip
    async with await Conn.open(server) as conn:
        for byte in request + chunked:
            await conn.send(bytes([byte]))
        assert (await conn.answer("PUT")).status == 201
        (line,) = (await conn.answer("POST")).lines()
        assert line["id"]
    assert (await get(server, path(topic))).body == b"hello"


async def test_half_closed_after_a_whole_request(server: Server) -> None:
    """A client that has said all it will say still wants its answer."""
    topic = unique()
    async with await Conn.open(server) as conn:
        await conn.send(request_bytes(server, "PUT", path(topic), TEXT, b"x"))
        conn.writer.write_eof()
        assert (await conn.answer("PUT")).status == 201
        assert await conn.eof() == b""


async def test_half_closed_behind_pipelined_requests(server: Server) -> None:
    async with await Conn.open(server) as conn:
        await conn.send(request_bytes(server, "GET", "/healthz") * 5)
        conn.writer.write_eof()
        for _ in range(5):
            assert (await conn.answer()).status == 200
        assert await conn.eof() == b""


async def test_half_closed_in_a_body_publishes_nothing(server: Server) -> None:
    topic = unique()
    async with await Conn.open(server) as conn:
        await conn.send(
            request_bytes(server, "PUT", path(topic), {**TEXT, "Content-Length": "10"}) + b"half"
        )
        conn.writer.write_eof()
        rest = await conn.eof()
    assert rest == b"" or b" 400 " in rest.split(b"\r\n")[0]
    problem(await get(server, path(topic)), 404)


async def test_cut_in_a_chunked_body_publishes_nothing(server: Server) -> None:
    topic = unique()
    async with await Conn.open(server) as conn:
        await conn.send(
            request_bytes(server, "PUT", path(topic), {**TEXT, "Transfer-Encoding": "chunked"})
            + b"5\r\nhello\r\n"
        )
        conn.writer.write_eof()
        await conn.eof()
    problem(await get(server, path(topic)), 404)


async def test_a_reader_that_half_closes_a_stream(server: Server) -> None:
    """Gone, or still reading: either is right, if the server neither breaks nor leaks."""
    topic = unique()
    async with await Sse.open(server, path(topic)) as sse:
        await sse.event()
        sse.conn.writer.write_eof()
        async with deadline("the end or a record"):
            await publish(server, topic, "x")
            try:
                event = await sse.record()
            except (EOFError, ConnectionError):
                return
            assert event.data == "x"


async def test_a_host_given_twice_is_none(server: Server) -> None:
    """RFC 9112, 3.2: also where both say the same."""
    async with await Conn.open(server) as conn:
        host = f"Host: {server.authority}\r\n"
        await conn.send(f"GET /healthz HTTP/1.1\r\n{host}{host}\r\n".encode())
        assert (await conn.answer()).status == 400


async def test_a_location_can_be_followed(server: Server) -> None:
    topic = unique() + "/a b%25ü"
    answer = await ask(server, "POST", f"/topics/{quote(topic)}", {}, "1")
    assert answer.status == 201
    assert (await get(server, answer["location"])).body == b"1"
    for target in ("/topics/a#frag", "/topics/a%", "/topics/a%zz"):
        assert (await ask(server, "POST", target, {}, "1")).status == 400


async def test_the_longest_request_line(server: Server) -> None:
    line = "GET /topics/x?pad= HTTP/1.1"
    pad = "p" * (8192 - len(line))
    assert (await get(server, f"/topics/x?pad={pad}")).status == 404
    assert (await get(server, f"/topics/x?pad={pad}p")).status == 414
