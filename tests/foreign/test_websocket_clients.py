"""`websockets` and `aiohttp` as WebSocket clients."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
import websockets
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.support.harness import Server, deadline, path, publish, put, unique


def ws_url(server: Server, target: str) -> str:
    return f"ws://{server.authority}{target}"


@asynccontextmanager
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    timeout = aiohttp.ClientTimeout(total=20)
    async with aiohttp.ClientSession(timeout=timeout) as opened:
        yield opened


# --- websockets -----------------------------------------------------------------------------------


async def test_websockets_raw(server: Server) -> None:
    topic = unique()
    await put(server, topic, "value")
    async with (
        deadline("websockets"),
        websockets.connect(ws_url(server, path(topic)), proxy=None) as ws,
    ):
        assert ws.subprotocol is None
        assert await ws.recv() == "value"
        await put(server, topic, b"\xff", fields={"Content-Type": "application/octet-stream"})
        assert await ws.recv() == b"\xff"


async def test_websockets_v1(server: Server) -> None:
    topic = unique()
    async with (
        deadline("websockets"),
        websockets.connect(
            ws_url(server, "/topics"), subprotocols=["hexcast.v1"], proxy=None
        ) as ws,  # type: ignore[list-item]
    ):
        assert ws.subprotocol == "hexcast.v1"
        await ws.send(json.dumps({"subscribe": [topic], "ref": 1}))
        assert json.loads(await ws.recv())["ok"] == 1
        await ws.send(json.dumps({"publish": topic, "data": {"a": 1}, "ref": 2}))
        answers = [json.loads(await ws.recv()) for _ in range(2)]
        assert {answer.get("id") for answer in answers} == {answers[0]["id"]}
        assert any(answer.get("data") == {"a": 1} for answer in answers)


async def test_websockets_pings(server: Server) -> None:
    async with (
        deadline("websockets"),
        websockets.connect(ws_url(server, path(unique())), proxy=None) as ws,
    ):
        for _ in range(5):
            assert await (await ws.ping()) >= 0


async def test_websockets_fragments(server: Server) -> None:
    topic = unique()
    text = json.dumps({"publish": topic, "data": "x" * 5000, "ref": 1})
    parts = [text[at : at + 700] for at in range(0, len(text), 700)]
    async with (
        deadline("websockets"),
        websockets.connect(
            ws_url(server, "/topics"), subprotocols=["hexcast.v1"], proxy=None
        ) as ws,  # type: ignore[list-item]
    ):
        await ws.send(parts)
        assert json.loads(await ws.recv())["ok"] == 1


async def test_websockets_close_codes(server: Server) -> None:
    topic = unique()
    async with deadline("websockets"):
        async with websockets.connect(ws_url(server, path(topic)), proxy=None) as ws:
            await ws.send("not taken without the subprotocol")
            with pytest.raises(ConnectionClosed) as closed:
                await ws.recv()
            assert closed.value.rcvd is not None and closed.value.rcvd.code == 1003
        async with websockets.connect(ws_url(server, path(topic)), proxy=None) as ws:
            await publish(server, topic, "bye", query="?end=1")
            assert await ws.recv() == "bye"
            with pytest.raises(ConnectionClosed) as closed:
                await ws.recv()
            assert closed.value.rcvd is not None and closed.value.rcvd.code == 1000


async def test_websockets_of_a_foreign_origin(server: Server) -> None:
    async with deadline("websockets"):
        with pytest.raises(InvalidStatus) as refused:
            await websockets.connect(
                ws_url(server, path(unique())),
                origin="https://evil.example",  # type: ignore[arg-type]
                proxy=None,
            )
    assert refused.value.response.status_code == 403


async def test_websockets_comes_back_by_itself_after_a_restart() -> None:
    """Its reconnecting iterator, over a stop (1012) and a start."""
    first = Server()
    topic = unique()
    with first:
        url = ws_url(first, path(topic))
        seen: list[str | bytes] = []
        begun = asyncio.Event()

        async def follow() -> None:
            async for ws in websockets.connect(url, proxy=None):
                try:
                    async for message in ws:
                        seen.append(message)
                        begun.set()
                        if message == "after":
                            return
                except ConnectionClosed:
                    continue

        following = asyncio.create_task(follow())
        await put(first, topic, "before")
        async with deadline("the first value"):
            await begun.wait()
        await asyncio.to_thread(first.stop)
    with Server(port=first.port) as second:
        await put(second, topic, "after")
        async with deadline("the client's return", 20):
            await following
    assert seen == ["before", "after"]


# --- aiohttp --------------------------------------------------------------------------------------


async def test_aiohttp_raw_and_v1(server: Server) -> None:
    topic = unique()
    async with session() as client:
        async with client.ws_connect(ws_url(server, path(topic)), compress=15) as ws:
            await publish(server, topic, "hello")
            assert await ws.receive_str() == "hello"
            await ws.ping(b"x")
            await publish(server, topic, b"\x00\xff", fields={"Content-Type": "image/x"})
            assert await ws.receive_bytes() == b"\x00\xff"
            assert await ws.close()
        async with client.ws_connect(
            ws_url(server, f"/topics?topic={topic}&since=earliest"), protocols=("hexcast.v1",)
        ) as ws:
            assert ws.protocol == "hexcast.v1"
            first = await ws.receive_json()
            assert (first["topic"], first["data"]) == (topic, "hello")
            await ws.send_json({"ping": 1})
            while (message := await ws.receive_json()) != {"pong": 1}:
                assert message["topic"] == topic


async def test_aiohttp_sees_the_close_code(server: Server) -> None:
    async with session() as client, client.ws_connect(ws_url(server, path(unique()))) as ws:
        await ws.send_str("not taken")
        message = await ws.receive()
        assert message.type is aiohttp.WSMsgType.CLOSE
        assert ws.close_code == 1003


async def test_aiohttp_heartbeat(server: Server) -> None:
    """Its own pings are answered while records flow."""
    topic = unique()
    async with (
        session() as client,
        client.ws_connect(ws_url(server, path(topic)), heartbeat=0.2) as ws,
    ):
        for n in range(20):
            await publish(server, topic, f"{n}")
            assert await ws.receive_str() == f"{n}"
            await asyncio.sleep(0.05)
        assert not ws.closed


async def test_aiohttp_as_a_polling_and_streaming_client(server: Server) -> None:
    topic = unique()
    async with session() as client:
        async with client.post(f"{server.url}{path(topic)}", data=b"one") as answer:
            assert answer.status == 201
            told = await answer.json()
        async with client.get(f"{server.url}{path(topic)}?since=earliest") as answer:
            assert [r["id"] for r in (await answer.json())["records"]] == [told["id"]]
        headers = {"Accept": "text/event-stream", "Last-Event-ID": told["id"]}
        async with client.get(f"{server.url}{path(topic)}", headers=headers) as answer:
            assert answer.content_type == "text/event-stream"
            await publish(server, topic, "two")
            async with deadline("the event"):
                async for line in answer.content:
                    if line == b"data: two\n":
                        break
