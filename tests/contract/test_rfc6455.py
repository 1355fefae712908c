"""WebSocket frames as RFC 6455 has them: fragments, control frames, closing, UTF-8, sizes."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.support.harness import (
    Conn,
    Server,
    Ws,
    WsClosed,
    deadline,
    get,
    path,
    problem,
    publish,
    request_bytes,
    unique,
    upgrade_fields,
)
from tests.support.wire import CLOSE, CONTINUATION, PING, PONG, TEXT, ws_frame

V1 = "hexcast.v1"
PING_MESSAGE = json.dumps({"ping": 1}).encode()


async def opened(server: Server) -> Ws:
    return await Ws.open(server, "/topics", protocol=V1)


async def answers(ws: Ws) -> None:
    """Demand that the connection is whole."""
    await ws.say({"ping": 1})
    assert await ws.hear() == {"pong": 1}


# --- fragments and control frames -----------------------------------------------------------------


async def test_fragments(server: Server) -> None:
    async with await opened(server) as ws:
        await ws.send(TEXT, PING_MESSAGE[:3], fin=False)
        await ws.send(CONTINUATION, b"", fin=False)
        await ws.send(CONTINUATION, PING_MESSAGE[3:6], fin=False)
        await ws.send(CONTINUATION, PING_MESSAGE[6:])
        assert await ws.hear() == {"pong": 1}


async def test_a_fragment_for_each_byte_also_inside_a_character(server: Server) -> None:
    topic = unique()
    text = json.dumps(
        {"publish": topic, "data": "gr\u00fcn \U0001f40d"}, ensure_ascii=False
    ).encode()
    async with await Ws.open(server, path(topic), protocol=V1) as ws:
        for at in range(len(text)):
            await ws.send(
                TEXT if at == 0 else CONTINUATION, text[at : at + 1], fin=at == len(text) - 1
            )
        assert (await ws.hear())["data"] == "gr\u00fcn \U0001f40d"


async def test_control_frames_between_fragments(server: Server) -> None:
    async with await opened(server) as ws:
        await ws.send(TEXT, PING_MESSAGE[:3], fin=False)
        await ws.send(PING, b"in between")
        frame = await ws.frame()
        assert (frame.opcode, frame.payload) == (PONG, b"in between")
        await ws.send(PONG, b"nobody asked")
        await ws.send(CONTINUATION, PING_MESSAGE[3:])
        assert await ws.hear() == {"pong": 1}


@pytest.mark.parametrize("payload", [b"", b"x", b"\xff\xfe\x00", b"p" * 125])
async def test_a_ping_is_answered_with_its_payload(server: Server, payload: bytes) -> None:
    async with await Ws.open(server, path(unique())) as ws:
        await ws.send(PING, payload)
        frame = await ws.frame()
        assert (frame.opcode, frame.payload) == (PONG, payload)


async def test_pings_while_records_flow(server: Server) -> None:
    topic = unique()
    async with await Ws.open(server, path(topic)) as ws:
        seen, pongs = [], 0
        for n in range(30):
            await ws.send(PING, b"%d" % n)
            await publish(server, topic, f"{n}")
        while len(seen) < 30 or pongs < 30:
            frame = await ws.frame()
            if frame.opcode == PONG:
                pongs += 1
            else:
                seen.append(frame.payload)
        assert seen == [b"%d" % n for n in range(30)]


async def test_byte_at_a_time(server: Server) -> None:
    async with await opened(server) as ws:
        for byte in (
            ws_frame(TEXT, PING_MESSAGE) + ws_frame(PING, b"x") + ws_frame(TEXT, PING_MESSAGE)
        ):
            await ws.conn.send(bytes([byte]))
        assert await ws.hear() == {"pong": 1}
        assert (await ws.frame()).opcode == PONG
        assert await ws.hear() == {"pong": 1}


# --- closing --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "code", [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999]
)
async def test_a_close_is_answered(server: Server, code: int) -> None:
    async with await Ws.open(server, path(unique())) as ws:
        await ws.send(CLOSE, code.to_bytes(2, "big") + "auf Wiedersehen \u2713".encode())
        frame = await ws.frame()
        assert frame.opcode == CLOSE
        assert int.from_bytes(frame.payload[:2], "big") in (code, 1000)
        assert await ws.conn.eof() == b"", "the server closes the connection, first"


async def test_a_close_without_a_code(server: Server) -> None:
    async with await Ws.open(server, path(unique())) as ws:
        await ws.send(CLOSE)
        frame = await ws.frame()
        assert frame.opcode == CLOSE
        assert frame.payload in (b"", b"\x03\xe8")
        assert await ws.conn.eof() == b""


async def test_nothing_is_taken_after_a_close(server: Server) -> None:
    topic = unique()
    async with await opened(server) as ws:
        await ws.conn.send(
            ws_frame(CLOSE, b"\x03\xe8")
            + ws_frame(TEXT, json.dumps({"publish": topic, "data": 1}).encode())
        )
        assert await ws.closed() == 1000
    problem(await get(server, path(topic)), 404)


@pytest.mark.parametrize(
    "payload",
    [
        b"\x03",
        *(
            code.to_bytes(2, "big")
            for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535)
        ),
    ],
)
async def test_a_close_with_a_code_that_may_not_be_sent(server: Server, payload: bytes) -> None:
    """RFC 6455 section 7.4."""
    async with await Ws.open(server, path(unique())) as ws:
        await ws.send(CLOSE, payload)
        assert await ws.closed() == 1002


async def test_a_close_reason_that_is_not_utf8(server: Server) -> None:
    async with await Ws.open(server, path(unique())) as ws:
        await ws.send(CLOSE, b"\x03\xe8\xff\xfe")
        assert await ws.closed() in (1007, 1002)


async def test_a_client_that_vanishes(server: Server) -> None:
    topic = unique()
    ws = await Ws.open(server, path(topic))
    await ws.conn.close()
    await publish(server, topic, "x")
    assert (await get(server, path(topic))).body == b"x"


async def test_a_half_close_without_a_close_frame(server: Server) -> None:
    async with await Ws.open(server, path(unique())) as ws:
        ws.conn.writer.write_eof()
        await ws.conn.eof()


async def test_a_client_that_never_answers_a_close(server: Server) -> None:
    """The server closes by itself after a while."""
    async with await Ws.open(server, path(unique())) as ws:
        await ws.send(TEXT, b"not allowed here")
        async with deadline("the connection's end", 15):
            while (await ws.frame()).opcode != CLOSE:
                continue
            assert await ws.conn.eof(seconds=15) == b""


# --- what breaks the rules ------------------------------------------------------------------------


BROKEN: dict[str, tuple[bytes, set[int]]] = {
    "not masked": (ws_frame(TEXT, b"{}", mask=False), {1002}),
    "a ping that is not masked": (ws_frame(PING, b"", mask=False), {1002}),
    "rsv1": (ws_frame(TEXT, b"{}", rsv=4), {1002}),
    "rsv2": (ws_frame(TEXT, b"{}", rsv=2), {1002}),
    "rsv3": (ws_frame(PING, b"", rsv=1), {1002}),
    **{
        f"opcode {opcode}": (ws_frame(opcode, b"x"), {1002})
        for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)
    },
    "a long ping": (ws_frame(PING, b"x" * 126), {1002}),
    "a long close": (ws_frame(CLOSE, b"\x03\xe8" + b"x" * 124), {1002}),
    "a fragmented ping": (ws_frame(PING, b"x", fin=False), {1002}),
    "a fragmented close": (ws_frame(CLOSE, b"", fin=False), {1002}),
    "a continuation of nothing": (ws_frame(CONTINUATION, b"of nothing"), {1002}),
    "a message in a message": (
        ws_frame(TEXT, b"{", fin=False) + ws_frame(TEXT, b"}"),
        {1002},
    ),
    "a continuation behind the end": (
        ws_frame(TEXT, b"{}") + ws_frame(CONTINUATION, b"x"),
        {1002},
    ),
    "a length with its top bit set": (b"\x81\xff" + b"\xff" * 8 + b"\x00" * 4, {1002, 1009}),
    "no utf-8": (ws_frame(TEXT, b"\xff"), {1007}),
    "a surrogate": (ws_frame(TEXT, b"\xed\xa0\x80"), {1007}),
    "half a character": (ws_frame(TEXT, b"\xc3"), {1007}),
    "no utf-8 over fragments": (
        ws_frame(TEXT, b"\xc3", fin=False) + ws_frame(CONTINUATION, b"("),
        {1007},
    ),
    "half a character over fragments": (
        ws_frame(TEXT, b"a\xc3", fin=False) + ws_frame(CONTINUATION, b""),
        {1007},
    ),
}


@pytest.mark.parametrize("name", BROKEN)
async def test_broken_frames(server: Server, name: str) -> None:
    frames, codes = BROKEN[name]
    bystander = unique()
    async with await Ws.open(server, path(bystander)) as other, await opened(server) as ws:
        await ws.conn.send(frames)
        assert await ws.closed() in codes
        await publish(server, bystander, "unhurt")
        assert await other.message() == "unhurt"


async def test_utf8_cut_by_fragments_is_no_error(server: Server) -> None:
    async with await opened(server) as ws:
        await ws.send(TEXT, b'{"ping": "\xf0\x9f', fin=False)
        await ws.send(CONTINUATION, b"\x90", fin=False)
        await ws.send(CONTINUATION, b'\x8d"}')
        told = await ws.hear()
        assert "pong" in told or told["error"]["status"] == 400
        await answers(ws)


async def test_a_message_over_the_limit() -> None:
    with Server("--body-limit", "1000") as small:
        topic = unique()
        async with await opened(small) as ws:
            await ws.send(TEXT, b'{"ping": 1, "pad": "' + b"x" * 970 + b'"}')
            assert await ws.hear() == {"pong": 1}
            message = json.dumps({"publish": topic, "data": "x" * 2000}).encode()
            await ws.send(TEXT, message)
            assert await ws.closed() == 1009
        async with await opened(small) as ws:
            await ws.send(TEXT, message[:600], fin=False)
            await ws.send(CONTINUATION, message[600:1200], fin=False)
            assert await ws.closed() == 1009, "while it comes, not at its end"
        async with await opened(small) as ws:
            await ws.conn.send(b"\x81\xff" + (2**40).to_bytes(8, "big") + b"\x00" * 4)
            assert await ws.closed() in (1009,), "by its announced length, before it has come"
        problem(await get(small, path(topic)), 404)


async def test_endless_fragments() -> None:
    with Server("--body-limit", "1000") as small:
        async with await opened(small) as ws:
            await ws.send(TEXT, b" ", fin=False)
            try:
                for _ in range(40):
                    await ws.conn.send(ws_frame(CONTINUATION, b" " * 50, fin=False))
            except ConnectionError:
                pass
            assert await ws.closed() in (1009, 1006)


# --- the opening handshake ------------------------------------------------------------------------

GOOD = dict(upgrade_fields("dGhlIHNhbXBsZSBub25jZQ=="))


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"Sec-WebSocket-Key": None}, 400),
        ({"Sec-WebSocket-Key": ""}, 400),
        ({"Sec-WebSocket-Key": "short"}, 400),
        ({"Sec-WebSocket-Key": "!" * 24}, 400),
        ({"Sec-WebSocket-Version": "12"}, 426),
        ({"Sec-WebSocket-Version": None}, 426),
        ({"Sec-WebSocket-Version": "x"}, 426),
    ],
)
async def test_a_bad_handshake(server: Server, change: dict[str, str | None], status: int) -> None:
    fields = {name: value for name, value in {**GOOD, **change}.items() if value is not None}
    answer = await get(server, path(unique()), fields)
    assert answer.status in {status, 400}
    problem(answer, answer.status)
    if answer.status == 426:
        assert answer["sec-websocket-version"] == "13", "RFC 6455 section 4.4"


async def test_a_handshake_by_post(server: Server) -> None:
    topic = unique()
    async with await Conn.open(server) as conn:
        answer = await conn.ask(server, "POST", path(topic), GOOD, b"x")
    assert answer.status in (201, 400, 405)


@pytest.mark.parametrize(
    ("upgrade", "connection"), [("WebSocket", "keep-alive, Upgrade"), ("websocket", "upgrade")]
)
async def test_names_in_any_case(server: Server, upgrade: str, connection: str) -> None:
    async with await Conn.open(server) as conn:
        fields = {**GOOD, "Upgrade": upgrade, "Connection": connection}
        await conn.send(request_bytes(server, "GET", path(unique()), fields))
        head = await conn.head()
        assert head.status == 101
        assert head.get("sec-websocket-accept") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


async def test_another_upgrade_is_ignored(server: Server) -> None:
    """RFC 9110 section 7.8: a server may ignore what it does not speak, such as h2c."""
    topic = unique()
    await publish(server, topic, "x")
    fields = {
        "Upgrade": "h2c",
        "Connection": "Upgrade, HTTP2-Settings",
        "HTTP2-Settings": "AAMAAABk",
    }
    answer = await get(server, path(topic), fields)
    assert (answer.status, answer.body) == (200, b"x")


async def test_many_at_once(server: Server) -> None:
    topic = unique()
    sockets = await asyncio.gather(*(Ws.open(server, path(topic)) for _ in range(100)))
    try:
        await publish(server, topic, "to all")
        assert set(await asyncio.gather(*(ws.message() for ws in sockets))) == {"to all"}
        for ws in sockets:
            await ws.send(CLOSE, b"\x03\xe8")
        with pytest.raises(WsClosed):
            await sockets[0].message()
    finally:
        for ws in sockets:
            await ws.conn.close()


async def test_another_version_is_told_which_is_spoken(server: Server) -> None:
    """Section 4.4."""
    fields = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "8",
              "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}  # fmt: skip
    answer = await get(server, path(unique()), fields)
    assert (answer.status, answer["sec-websocket-version"]) == (400, "13")
