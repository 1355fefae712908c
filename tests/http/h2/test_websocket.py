"""WebSocket over HTTP/2 (RFC 8441): a stream of the connection in place of all of it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest
from h2.errors import ErrorCodes
from h2.settings import SettingCodes

from tests.support.h2wire import H2Client
from tests.support.harness import Server, ask, path, publish, unique
from tests.support.wire import BINARY, CLOSE, PING, PONG, TEXT, Frame, WsParser, ws_frame


class Tunnel:
    """The WebSocket on one stream."""

    def __init__(self, client: H2Client, stream: int) -> None:
        self.client = client
        self.stream = stream
        self._parser = WsParser()
        self._read = 0
        self._ready: list[Frame] = []

    @classmethod
    async def open(
        cls, client: H2Client, target: str, fields: Iterable[tuple[str, str]] = (), *,
        protocol: str = "websocket",
    ) -> Tunnel:  # fmt: skip
        stream = client.h2.get_next_available_stream_id()
        method, *rest = client.headers("CONNECT", target)
        client.h2.send_headers(
            stream, [method, (":protocol", protocol), *rest,
                     ("sec-websocket-version", "13"), *fields],
        )  # fmt: skip
        await client.flush()
        await client.until(lambda: client.streams[stream].head, "the handshake's answer")
        return cls(client, stream)

    async def send(self, opcode: int, payload: bytes = b"") -> None:
        await self.client.send(self.stream, ws_frame(opcode, payload))

    async def frame(self) -> Frame:
        stream = self.client.streams[self.stream]
        while not self._ready:
            await self.client.until(lambda: len(stream.data) > self._read, "a frame")
            data, self._read = stream.data[self._read :], len(stream.data)
            self._ready = self._parser.feed(data)
        return self._ready.pop(0)

    async def hear(self) -> Any:
        while True:
            frame = await self.frame()
            assert frame.opcode == TEXT, frame
            message = json.loads(frame.payload)
            if list(message) != ["cursor"]:
                return message


async def test_the_server_announces_it(server: Server) -> None:
    async with await H2Client.open(server) as client:
        assert client.remote[SettingCodes.ENABLE_CONNECT_PROTOCOL] == 1


async def test_one_message_a_record(server: Server) -> None:
    topic = unique()
    async with await H2Client.open(server) as client:
        tunnel = await Tunnel.open(client, path(topic))
        head = client.streams[tunnel.stream].head
        assert head[":status"] == "200"
        assert head["hexcast-way"] == "websocket"
        assert not {"upgrade", "connection", "sec-websocket-accept"} & set(head)
        await publish(server, topic, "hello")
        assert (await tunnel.frame()).payload == b"hello"
        await publish(server, topic, b"\xff", fields=[("Content-Type", "application/octet-stream")])
        frame = await tunnel.frame()
        assert (frame.opcode, frame.payload) == (BINARY, b"\xff")


async def test_the_subprotocol_beside_other_streams(server: Server) -> None:
    topic = unique()
    async with await H2Client.open(server) as client:
        tunnel = await Tunnel.open(client, "/topics", [("sec-websocket-protocol", "hexcast.v1")])
        assert client.streams[tunnel.stream].head["sec-websocket-protocol"] == "hexcast.v1"
        events = await client.request("GET", path(topic) + "?way=sse")
        await tunnel.send(TEXT, json.dumps({"subscribe": [topic], "ref": 1}).encode())
        assert (await tunnel.hear())["ok"] == 1
        said = {"publish": topic, "data": {"n": 1}, "ref": 2}
        await tunnel.send(TEXT, json.dumps(said).encode())
        heard = [await tunnel.hear(), await tunnel.hear()]
        assert {h.get("ok") for h in heard} == {2, None}
        assert next(h for h in heard if "ok" not in h)["data"] == {"n": 1}
        await client.until(lambda: b'data: {"n": 1}' in client.streams[events].data, "over SSE")


async def test_closes_the_stream_and_not_the_connection(server: Server) -> None:
    async with await H2Client.open(server) as client:
        tunnel = await Tunnel.open(client, path(unique()))
        await tunnel.send(PING, b"abc")
        frame = await tunnel.frame()
        assert (frame.opcode, frame.payload) == (PONG, b"abc")
        await tunnel.send(CLOSE, (1000).to_bytes(2, "big"))
        frame = await tunnel.frame()
        assert (frame.opcode, frame.payload[:2]) == (CLOSE, (1000).to_bytes(2, "big"))
        answer = await client.answer(tunnel.stream)
        assert answer.ended
        assert (await client.ask("GET", "/healthz")).status == 200


async def test_a_client_that_ends_its_side_is_let_go(server: Server) -> None:
    topic = unique()
    async with await H2Client.open(server) as client:
        await publish(server, topic, "x")
        tunnel = await Tunnel.open(client, path(topic))
        await client.send(tunnel.stream, b"", end=True)
        assert (await client.answer(tunnel.stream)).ended
        listed = (await ask(server, "GET", "/topics")).json()["topics"]
        assert next(t["subscribers"] for t in listed if t["topic"] == topic) == 0


async def test_refusals(server: Server) -> None:
    async with await H2Client.open(server) as client:
        foreign = await Tunnel.open(client, path(unique()), [("origin", "https://evil.example")])
        assert client.streams[foreign.stream].head[":status"] == "403"
        other = await Tunnel.open(client, path(unique()), protocol="connect-udp")
        assert client.streams[other.stream].head[":status"] == "501"
        assert (await client.ask("GET", "/healthz")).status == 200


async def test_a_close_that_is_never_answered_ends_the_stream(server: Server) -> None:
    """The stream alone is cut, and once: the request's side of it is still open."""
    async with await H2Client.open(server) as client:
        tunnel = await Tunnel.open(client, path(unique()))
        await tunnel.send(TEXT, b"not taken here")
        frame = await tunnel.frame()
        assert (frame.opcode, frame.payload[:2]) == (CLOSE, (1003).to_bytes(2, "big"))
        await client.until(lambda: client.streams[tunnel.stream].over, "the stream's end")
        assert client.streams[tunnel.stream].reset == ErrorCodes.CANCEL
        assert (await client.ask("GET", "/healthz")).status == 200


@pytest.mark.parametrize(
    "target",
    ["/", "/healthz", "/metrics", "/lab", "/openapi.json", "/nowhere", "/topics/{}?id=now",
     *(f"/topics/{{}}?way={w}&wait=1" for w in ("poll", "long-poll", "sse", "push", "refresh"))],
)  # fmt: skip
async def test_what_is_no_websocket_never_says_that_one_is_open(
    server: Server, target: str
) -> None:
    """Chromium takes any 2xx for that."""
    topic = unique()
    await publish(server, topic, "x")
    async with await H2Client.open(server) as client:
        tunnel = await Tunnel.open(client, target.format(topic))
        answer = client.streams[tunnel.stream]
        assert 400 <= answer.status < 500
        await client.until(lambda: answer.over, "the stream's end")
        assert (await client.ask("GET", "/healthz")).status == 200
    assert (await ask(server, "GET", f"/topics/{topic}")).status == 200
