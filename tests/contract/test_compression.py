"""Compressed streams and messages over the wire, and how they are turned off."""

from __future__ import annotations

import json
import zlib

import pytest

from tests.support.harness import Server, Sse, Ws, get, path, problem, publish, put, unique
from tests.support.wire import CONTINUATION, TEXT

V1 = "hexcast.v1"
DEFLATE = {"Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits"}
WORDS = "the same words again and again, " * 40


def packed(data: bytes) -> bytes:
    deflate = zlib.compressobj(wbits=-15)
    return (deflate.compress(data) + deflate.flush(zlib.Z_SYNC_FLUSH))[:-4]


@pytest.mark.parametrize(("accept", "coding"), [
    ("gzip", "gzip"), ("gzip, deflate, br, zstd", "gzip"), ("zstd", "zstd"), ("br", ""), ("", ""),
])  # fmt: skip
async def test_an_event_stream_is_coded_piece_by_piece(
    server: Server, accept: str, coding: str
) -> None:
    topic = unique()
    fields = {"Accept-Encoding": accept} if accept else {}
    async with await Sse.open(server, path(topic), fields) as sse:
        assert sse.head.get("content-encoding") == coding
        assert "accept-encoding" in sse.head.tokens("vary")
        assert "no-transform" in sse.head.tokens("cache-control")
        for text in ("short", WORDS, "short again"):
            await publish(server, topic, text)
            assert (await sse.record()).data == text


async def test_a_coded_stream_that_has_nothing_to_say(server: Server) -> None:
    topic = unique()
    cursor = await publish(server, topic, "over", query="?end=1")
    fields = {"Accept-Encoding": "gzip", "Last-Event-ID": cursor}
    answer = await get(server, path(topic) + "?way=sse", fields)
    assert (answer.status, "content-encoding" in answer) == (204, False)


@pytest.mark.parametrize("protocol", ["", V1])
async def test_messages_are_compressed_where_that_pays(server: Server, protocol: str) -> None:
    topic = unique()
    async with await Ws.open(server, path(topic), protocol=protocol, fields=DEFLATE) as ws:
        agreed = {p.strip() for p in ws.head.get("sec-websocket-extensions").split(";")}
        assert agreed == {
            "permessage-deflate", "server_no_context_takeover", "client_no_context_takeover"
        }  # fmt: skip
        for n, text in enumerate(("x", WORDS, "y", WORDS)):
            await publish(server, topic, text)
            got = await ws.message()
            assert (json.loads(got)["data"] if protocol else got) == text
            if not protocol:
                assert ws.unpacked == (n + 1) // 2


async def test_a_client_says_something_compressed(server: Server) -> None:
    topic = unique()
    said = json.dumps({"publish": topic, "data": WORDS, "ref": 1}).encode()
    async with await Ws.open(server, "/topics", protocol=V1, fields=DEFLATE) as ws:
        await ws.send(TEXT, packed(said), rsv=4)
        assert (await ws.hear())["ok"] == 1
        half = packed(said.replace(b'"ref": 1', b'"ref": 2'))
        await ws.send(TEXT, half[:20], fin=False, rsv=4)
        await ws.send(CONTINUATION, half[20:])
        assert (await ws.hear())["ok"] == 2
        await ws.send(TEXT, said)
        assert (await ws.hear())["ok"] == 1
    assert (await get(server, path(topic))).body.decode() == WORDS


async def test_a_bomb_closes_its_connection_and_takes_no_memory(server: Server) -> None:
    bomb = packed(bytes(512 * 2**20))
    assert len(bomb) < 2**20 - 1000, "within the limit as it is sent"
    before = server.rss()
    for _ in range(3):
        async with await Ws.open(server, "/topics", protocol=V1, fields=DEFLATE) as ws:
            await ws.send(TEXT, bomb, rsv=4)
            assert await ws.closed() == 1009
    assert server.rss() - before < 32 * 2**20
    assert (await get(server, "/healthz")).status == 200


async def test_what_was_not_agreed_on_is_refused(server: Server) -> None:
    async with await Ws.open(server, "/topics", protocol=V1) as ws:
        await ws.send(TEXT, packed(b'{"ping":1}'), rsv=4)
        assert await ws.closed() == 1002
    async with await Ws.open(server, "/topics", protocol=V1, fields=DEFLATE) as ws:
        await ws.send(TEXT, b"\xff\xff\xff", rsv=4)
        assert await ws.closed() == 1002


async def test_a_malformed_offer(server: Server) -> None:
    fields = {
        "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Extensions": "; =",
    }  # fmt: skip
    problem(await get(server, path(unique()), fields), 400)


async def test_turned_off() -> None:
    with Server("--no-compress") as server:
        topic = unique()
        await put(server, topic, WORDS)
        fields = {"Accept-Encoding": "gzip, deflate, br, zstd, dcz", "Cache-Control": "max-age=0"}
        answer = await get(server, path(topic), fields)
        assert (answer.body.decode(), "content-encoding" in answer) == (WORDS, False)
        assert "use-as-dictionary" not in answer
        async with await Sse.open(server, path(topic), fields) as sse:
            assert "content-encoding" not in sse.head
            assert (await sse.record()).data == WORDS
        async with await Ws.open(server, path(topic), fields=DEFLATE) as ws:
            assert "sec-websocket-extensions" not in ws.head
            assert await ws.message() == WORDS
