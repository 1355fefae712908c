"""WebSocket without the subprotocol (protocol 3): one message a record."""

from __future__ import annotations

import json

import pytest

from tests.support.harness import (
    Conn,
    Server,
    Ws,
    WsClosed,
    ask,
    get,
    path,
    problem,
    publish,
    put,
    request_bytes,
    unique,
    upgrade_fields,
)
from tests.support.wire import BINARY, ID, TEXT

KEY = "dGhlIHNhbXBsZSBub25jZQ=="


async def test_the_handshake(server: Server) -> None:
    async with await Ws.open(server, path(unique())) as ws:
        assert ws.head.get("hexcast-way") == "websocket"
        assert ID.fullmatch(ws.head.get("hexcast-cursor"))
        assert "sec-websocket-protocol" not in ws.head


async def test_one_message_a_record(server: Server) -> None:
    topic = unique()
    async with await Ws.open(server, path(topic)) as ws:
        await publish(server, topic, "gr\u00fcn")
        assert await ws.message() == "gr\u00fcn"
        await publish(
            server, topic, b"\xff\x00", fields={"Content-Type": "application/octet-stream"}
        )
        assert await ws.message() == b"\xff\x00"
        await publish(server, topic, '{"a": 1}', fields={"Content-Type": "application/json"})
        assert await ws.message() == '{"a": 1}'
        await publish(server, topic, "")
        assert await ws.message() == ""


async def test_a_state_starts_with_its_value(server: Server) -> None:
    topic = unique()
    await put(server, topic, "value")
    async with await Ws.open(server, path(topic)) as ws:
        assert await ws.message() == "value"
        await put(server, topic, "next")
        assert await ws.message() == "next"


async def test_cursors_and_last(server: Server) -> None:
    topic = unique()
    ids = [await publish(server, topic, f"{n}") for n in range(4)]
    async with await Ws.open(server, f"{path(topic)}?since={ids[1]}") as ws:
        assert [await ws.message(), await ws.message()] == ["2", "3"]
    async with await Ws.open(server, f"{path(topic)}?last=1") as ws:
        assert await ws.message() == "3"
    async with await Ws.open(server, f"{path(topic)}?since=earliest") as ws:
        assert [await ws.message() for _ in range(4)] == ["0", "1", "2", "3"]


async def test_json_format(server: Server) -> None:
    topic = unique()
    async with await Ws.open(server, f"{path(topic)}?format=json") as ws:
        record_id = await publish(server, topic, "x", query="?event=tick")
        record = json.loads(await ws.message())
        assert (record["id"], record["topic"], record["data"]) == (record_id, topic, "x")
        assert (record["op"], record["event"]) == ("post", "tick")
    async with await Ws.open(server, f"/topics?topic={topic}&last=1") as ws:
        assert json.loads(await ws.message())["id"] == record_id


@pytest.mark.parametrize("query", ["", "?format=json"])
async def test_a_delete_is_json(server: Server, query: str) -> None:
    topic = unique()
    await put(server, topic, "x")
    async with await Ws.open(server, path(topic) + query) as ws:
        await ws.message()
        gone = (await ask(server, "DELETE", path(topic))).json()["id"]
        record = json.loads(await ws.message())
        assert (record["id"], record["op"], record["topic"]) == (gone, "delete", topic)


@pytest.mark.parametrize("query", ["", "?format=json"])
async def test_a_gap_is_json(server: Server, query: str) -> None:
    topic = unique()
    await publish(server, topic, "x")
    sep = "&" if query else "?"
    async with await Ws.open(server, f"{path(topic)}{query}{sep}since=zzz9-4") as ws:
        gap = json.loads(await ws.message())["gap"]
        assert gap["after"] == "zzz9-4"
        assert gap["topics"] == [topic]


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
async def test_messages_from_the_client(server: Server, opcode: int) -> None:
    async with await Ws.open(server, path(unique())) as ws:
        await ws.send(opcode, b"hello")
        assert await ws.closed() == 1003


async def test_a_malformed_since(server: Server) -> None:
    answer = await get(server, f"{path(unique())}?since=what", upgrade_fields(KEY))
    problem(answer, 400)


async def test_an_ended_stream(server: Server) -> None:
    topic = unique()
    last = await publish(server, topic, "x", query="?end=1")
    async with await Ws.open(server, f"{path(topic)}?since={last}") as ws:
        assert await ws.closed() == 1000, "nothing more will come"
    async with await Ws.open(server, f"{path(topic)}?since=earliest") as ws:
        assert await ws.message() == "x"
        assert await ws.closed() == 1000


async def test_an_unknown_subprotocol_is_not_chosen(server: Server) -> None:
    """RFC 6455 section 4.2.2: none of the offered is taken, and none is named."""
    fields = [("Sec-WebSocket-Protocol", "chat, superchat")]
    async with await Ws.open(server, path(unique()), fields=fields) as ws:
        assert "sec-websocket-protocol" not in ws.head


async def test_the_subprotocol_among_others(server: Server) -> None:
    topic = unique()
    fields = [*upgrade_fields(KEY), ("Sec-WebSocket-Protocol", "chat, hexcast.v1")]
    async with await Conn.open(server) as conn:
        await conn.send(request_bytes(server, "GET", path(topic), fields))
        head = await conn.head()
        assert head.status == 101
        assert head.get("sec-websocket-protocol") == "hexcast.v1"


async def test_upgrade_on_the_collection_without_the_subprotocol(server: Server) -> None:
    """Nothing can be subscribed to there without it, and nothing said."""
    problem(await get(server, "/topics", upgrade_fields(KEY)), 400)


async def test_many_messages(server: Server) -> None:
    topic = unique()
    async with await Ws.open(server, path(topic)) as ws:
        lines = b"".join(
            b'{"topic": "%b", "data": "%d"}\n' % (topic.encode(), n) for n in range(2000)
        )
        fields = {"Content-Type": "application/x-ndjson"}
        await ask(server, "POST", "/topics?ack=last", fields, lines, seconds=20)
        assert [await ws.message() for _ in range(2000)] == [f"{n}" for n in range(2000)]


@pytest.mark.parametrize("size", [0, 125, 126, 127, 65535, 65536, 300_000])
async def test_every_length_form(server: Server, size: int) -> None:
    topic = unique()
    async with await Ws.open(server, path(topic)) as ws:
        await publish(server, topic, b"x" * size)
        message = await ws.message()
        assert message == "x" * size


async def test_a_client_that_closes(server: Server) -> None:
    async with await Ws.open(server, path(unique())) as ws:
        await ws.send(8, (1000).to_bytes(2, "big") + b"bye")
        with pytest.raises(WsClosed) as closed:
            await ws.message()
        assert closed.value.code == 1000
        await ws.conn.eof()
