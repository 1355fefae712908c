"""What an abuser does to one connection ends that connection: bounded, by code, and alone."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import hpack
import pytest
from h2.errors import ErrorCodes
from h2.settings import SettingCodes
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    HeadersFrame,
    PingFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from tests.support.h2wire import H2Client
from tests.support.harness import Server, path, publish, put, seeded, unique
from tests.support.wire import TEXT, ws_frame

CALM = ErrorCodes.ENHANCE_YOUR_CALM


class Bystander:
    """Another connection, which must go on as if nothing were."""

    def __init__(self, server: Server, client: H2Client, topic: str, stream: int) -> None:
        self.server, self.client, self.topic, self.stream = server, client, topic, stream

    async def unharmed(self) -> None:
        await publish(self.server, self.topic, "still here")
        await self.client.until(
            lambda: b"data: still here\n\n" in self.client.streams[self.stream].data,
            "the bystander's record",
        )


@pytest.fixture
async def bystander(server: Server) -> AsyncIterator[Bystander]:
    topic = unique()
    async with await H2Client.open(server) as client:
        stream = await client.request("GET", path(topic) + "?way=sse")
        await client.until(lambda: client.streams[stream].data, "the bystander's stream")
        yield Bystander(server, client, topic, stream)


def block(client: H2Client, target: str, *more: tuple[str, str]) -> bytes:
    """A header block that leaves no trace in any table."""
    coded = [(n, v, True) for n, v in client.headers("GET", target, more)]
    return bytes(hpack.Encoder().encode(coded))


async def test_rapid_reset(server: Server, bystander: Bystander) -> None:
    async with await H2Client.open(server) as client:
        head = block(client, path(unique()) + "?way=sse")
        for n in range(200):
            await client.raw(
                *(
                    frame
                    for stream in range(2 * n * 50 + 1, 2 * (n + 1) * 50, 2)
                    for frame in (
                        HeadersFrame(stream, data=head, flags=["END_HEADERS", "END_STREAM"]),
                        RstStreamFrame(stream, error_code=8),
                    )
                )
            )
            if client.closed:
                break
        await client.refused(CALM)
    await bystander.unharmed()


async def test_resets_that_the_server_is_made_to_send(server: Server, bystander: Bystander) -> None:
    """Each stream's window is made to overflow (CVE-2025-8671)."""
    async with await H2Client.open(server) as client:
        target = path(unique()) + "?way=sse"
        while not client.closed and client.goaway is None:
            stream = await client.request("GET", target)
            await client.raw(WindowUpdateFrame(stream, window_increment=2**31 - 1))
            await client.turn()
        assert client.goaway is not None and client.goaway.error_code == CALM
        assert len(client.streams) < 150
    await bystander.unharmed()


@pytest.mark.parametrize("size", [0, 100, 16_384])
async def test_continuation_without_end(server: Server, bystander: Bystander, size: int) -> None:
    async with await H2Client.open(server) as client:
        await client.raw(HeadersFrame(1, data=block(client, "/")))
        for _ in range(40):
            await client.raw(ContinuationFrame(1, data=b"\0" * size))
        await client.refused(CALM)
    await bystander.unharmed()


@pytest.mark.parametrize(
    "frame",
    [
        SettingsFrame(0, settings={SettingCodes.INITIAL_WINDOW_SIZE: 70_000}),
        PingFrame(0, opaque_data=b"12345678"),
        WindowUpdateFrame(0, window_increment=1),
    ],
    ids=["SETTINGS", "PING", "WINDOW_UPDATE"],
)
async def test_floods(
    server: Server, bystander: Bystander, frame: SettingsFrame | PingFrame
) -> None:
    async with await H2Client.open(server) as client:
        for _ in range(20):
            await client.raw(*[frame] * 100)
            if client.closed:
                break
        await client.refused(CALM)
    await bystander.unharmed()


async def test_settings_nobody_knows_are_not_remembered_without_end(
    server: Server, bystander: Bystander
) -> None:
    async with await H2Client.open(server) as client:
        await client.raw(SettingsFrame(0, settings=dict.fromkeys(range(256, 2560), 1)))
        await client.refused(CALM)
    await bystander.unharmed()


async def test_a_header_bomb(server: Server, bystander: Bystander) -> None:
    """A few bytes on the wire that unpack to very many."""
    async with await H2Client.open(server) as client:
        encoder = hpack.Encoder()
        coded = encoder.encode([*client.headers("GET", "/"), ("x-bomb", "b" * 3500)])
        bomb = coded + encoder.encode([("x-bomb", "b" * 3500)]) * 4000
        assert len(bomb) < 16_384
        await client.raw(HeadersFrame(1, data=bomb, flags=["END_HEADERS", "END_STREAM"]))
        await client.refused(CALM)
    await bystander.unharmed()


async def test_garbage_in_a_header_block(server: Server, bystander: Bystander) -> None:
    async with await H2Client.open(server) as client:
        await client.raw(HeadersFrame(1, data=b"\xff" * 50, flags=["END_HEADERS"]))
        async with asyncio.timeout(5):
            while not client.closed:
                await client.turn()
        assert client.goaway is not None
    await bystander.unharmed()


async def test_data_on_a_stream_that_is_over(server: Server, bystander: Bystander) -> None:
    async with await H2Client.open(server) as client:
        answer = await client.ask("GET", "/healthz")
        assert answer.status == 200
        await client.raw(DataFrame(1, data=b"late"))
        assert (await client.ask("GET", "/healthz")).status == 200
        for _ in range(10):
            await client.raw(*[DataFrame(1, data=b"late")] * 100)
        await client.refused(CALM)
    await bystander.unharmed()


async def test_data_on_a_stream_that_was_reset(server: Server, bystander: Bystander) -> None:
    async with await H2Client.open(server) as client:
        stream = await client.request("POST", path(unique()), end=False)
        client.h2.reset_stream(stream, 8)
        await client.flush()
        for _ in range(300):
            await client.raw(DataFrame(stream, data=b"late"))
            if client.closed:
                break
        await client.refused(CALM)
    await bystander.unharmed()


async def test_frames_that_break_a_rule_end_with_its_code(server: Server) -> None:
    cases = [
        (b"\0\0\x01\x06\0\0\0\0\0x", {ErrorCodes.FRAME_SIZE_ERROR, ErrorCodes.PROTOCOL_ERROR}),
        (b"\0\x40\x01\0\0\0\0\0\x01" + b"x" * 0x4001, {ErrorCodes.FRAME_SIZE_ERROR}),
        (DataFrame(2, data=b"x").serialize(), {ErrorCodes.PROTOCOL_ERROR}),
        (ContinuationFrame(1, data=b"x").serialize(), {ErrorCodes.PROTOCOL_ERROR}),
        (WindowUpdateFrame(0, window_increment=2**31 - 1).serialize(),
         {ErrorCodes.FLOW_CONTROL_ERROR}),
        (SettingsFrame(0, settings={SettingCodes.ENABLE_PUSH: 7}).serialize(),
         {ErrorCodes.PROTOCOL_ERROR}),
    ]  # fmt: skip
    for data, codes in cases:
        async with await H2Client.open(server) as client:
            await client.raw(data)
            async with asyncio.timeout(5):
                while not client.closed:
                    await client.turn()
            assert client.goaway is not None, data[:20]
            assert client.goaway.error_code in codes, data[:20]


async def test_answers_that_are_not_read_are_bounded(server: Server, bystander: Bystander) -> None:
    """A hundred large batches asked for and none taken: the server holds a few."""
    topics = [unique("large") for _ in range(4)]
    for topic in topics:
        await put(server, topic, "v" * 1_000_000)
    names = "&".join(f"topic={t}" for t in topics)
    before = server.rss()
    clients = [
        await H2Client.open(server, settings={SettingCodes.INITIAL_WINDOW_SIZE: 0})
        for _ in range(5)
    ]
    try:
        for client in clients:
            for _ in range(100):
                await client.request("GET", f"/topics?{names}&way=poll&since=earliest")
        # They are read up to here once the last connection is answered on its first stream.
        await clients[-1].until(lambda: clients[-1].streams[1].head, "the first head")
        await bystander.unharmed()
        assert server.rss() - before < 100 * 2**20
    finally:
        for client in clients:
            await client.__aexit__()


async def test_any_frames_leave_the_server_whole(server: Server, bystander: Bystander) -> None:
    chance = seeded("any frames")
    for _ in range(60):
        async with await H2Client.open(server) as client:
            head = block(client, path("any") + "?way=" + chance.choice(("sse", "push", "poll")))
            for _ in range(chance.randrange(1, 25)):
                kind = chance.choice((0, 0, 1, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 20))
                body = (
                    head
                    if kind == 1 and chance.random() < 0.8
                    else (chance.randbytes(chance.choice((0, 4, 5, 6, 8, 20))))
                )
                flags = chance.choice((0, 1, 4, 5, 8, 0x20, 0xFF))
                stream = chance.choice((0, 1, 1, 3, 5, 2, 2**31 - 1))
                await client.raw(
                    len(body).to_bytes(3, "big") + bytes([kind, flags])
                    + stream.to_bytes(4, "big") + body
                )  # fmt: skip
                if client.closed:
                    break
    assert server.alive()
    await bystander.unharmed()


async def test_an_upload_that_is_refused_may_be_under_way(server: Server) -> None:
    """RFC 9113, 5.1: what the window let the client send is ignored, and not answered."""
    async with await H2Client.open(server) as client:
        for size in (100, 65_535):
            for _ in range(20):
                head = [("content-length", str(10**9))]
                stream = await client.request("POST", path(unique()), head, end=False)
                await client.until(lambda s=stream: client.streams[s].over, "the refusal")
                assert client.streams[stream].status == 413
                pieces = range(0, 65_535, size if size < 65_535 else 16_000)
                await client.raw(
                    *(DataFrame(stream, data=b"q" * min(size, 16_000, 65_535 - p)) for p in pieces)
                )
        assert (await client.ask("GET", "/healthz")).status == 200
        assert client.goaway is None
        stream = await client.request("POST", path(unique()), body=b"x" * 900_000)
        assert (await client.answer(stream)).status == 201


async def test_data_after_that_is_abuse(server: Server, bystander: Bystander) -> None:
    async with await H2Client.open(server) as client:
        head = [("content-length", str(10**9))]
        stream = await client.request("POST", path(unique()), head, end=False)
        await client.until(lambda: client.streams[stream].over, "the refusal")
        for _ in range(2000):
            await client.raw(DataFrame(stream, data=b"q" * 100))
            if client.closed:
                break
        await client.refused(CALM)
    await bystander.unharmed()


async def test_windows_opened_for_each_piece_that_was_read(server: Server) -> None:
    topic = unique()
    for _ in range(5):
        await publish(server, topic, b"x" * 900_000)
    target = path(topic) + "?way=sse&since=earliest"
    async with await H2Client.open(server) as client:
        stream = await client.request("GET", target)
        client.held.add(stream)
        seen = 0
        while seen < 4_500_000:
            await client.until(lambda seen=seen: len(client.streams[stream].data) > seen, "a piece")
            come, seen = len(client.streams[stream].data) - seen, len(client.streams[stream].data)
            for place in range(0, come, 2048):
                client.h2.increment_flow_control_window(min(2048, come - place))
                client.h2.increment_flow_control_window(min(2048, come - place), stream)
            await client.flush()
        assert client.goaway is None


class Upload:
    """What is sent on one stream, as far as its windows let it."""

    def __init__(self, client: H2Client, stream: int, data: bytes) -> None:
        self.client, self.stream, self.left = client, stream, data

    def step(self) -> int:
        """Send what can be sent; its size."""
        machine, taken = self.client.h2, 0
        while self.left and not self.client.streams[self.stream].over:
            window = machine.local_flow_control_window(self.stream)
            size = min(len(self.left), window, machine.max_outbound_frame_size)
            if not size:
                break
            machine.send_data(self.stream, self.left[:size])
            self.left = self.left[size:]
            taken += size
        return taken


async def taken_of(client: H2Client, uploads: list[Upload]) -> int:
    """Send on all streams until no window opens any more; how much that was."""
    total = 0
    while True:
        step = sum(upload.step() for upload in uploads)
        await client.flush()
        total += step
        if not step:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1.5):
                    await client.turn()
                continue
            return total


async def test_lines_that_never_end_share_a_bound(server: Server, bystander: Bystander) -> None:
    topic = unique()
    line = b'{"topic": "%b", "data": "%b"}\n' % (topic.encode(), b"x" * 900_000)
    ndjson = [("content-type", "application/x-ndjson")]
    async with await H2Client.open(server) as client:
        uploads = [
            Upload(client, await client.request("POST", "/topics", ndjson, end=False), line[:-1])
            for _ in range(100)
        ]
        assert await taken_of(client, uploads) < 12 * 2**20
        await bystander.unharmed()
        # The first comes to its end, and then each of the others.
        for upload in uploads:
            upload.left += line[-1:]
        await taken_of(client, uploads)
        assert not any(upload.left for upload in uploads)
        for upload in uploads:
            stream = client.streams[upload.stream]
            await client.until(lambda s=stream: s.data.endswith(b"\n"), "the line's answer")
            assert b'"id"' in stream.data
        assert (await client.ask("GET", "/healthz")).status == 200


async def test_messages_that_never_end_share_a_bound(server: Server) -> None:
    topic = unique()
    said = b'{"publish": "%b", "data": "%b"}' % (topic.encode(), b"x" * 900_000)
    message = ws_frame(TEXT, said)
    async with await H2Client.open(server) as client:
        uploads = []
        for _ in range(60):
            stream = client.h2.get_next_available_stream_id()
            method, *rest = client.headers("CONNECT", "/topics")
            more = [("sec-websocket-version", "13"), ("sec-websocket-protocol", "hexcast.v1")]
            client.h2.send_headers(stream, [method, (":protocol", "websocket"), *rest, *more])
            uploads.append(Upload(client, stream, message[:-1]))
        assert await taken_of(client, uploads) < 9 * 2**20
        for upload in uploads:
            upload.left += message[-1:]
        await taken_of(client, uploads)
        assert not any(upload.left for upload in uploads)
        assert (await client.ask("GET", "/healthz")).status == 200


def told(client: H2Client, **changed: str) -> list[tuple[str, str]]:
    said = dict(client.headers("GET", "/healthz"))
    said.update({f":{name}": value for name, value in changed.items()})
    return list(said.items())


MALFORMED = {
    "upper case": [("X-Up", "1")],
    "space in a name": [("x y", "1")],
    "colon in a name": [("x:y", "1")],
    "empty name": [("", "1")],
    "line end": [("x", "a\r\nb: c")],
    "NUL": [("x", "a\0b")],
    "space before": [("x", " a")],
    "space behind": [("x", "a ")],
    "connection": [("connection", "close")],
    "keep-alive": [("keep-alive", "1")],
    "upgrade": [("upgrade", "websocket")],
    "transfer-encoding": [("transfer-encoding", "chunked")],
    "te": [("te", "gzip")],
    "pseudo twice": [(":method", "PUT")],
    "pseudo behind": [("a", "b"), (":protocol", "websocket")],
    "unknown pseudo": [(":nonsense", "1")],
    "other host": [("host", "evil.example")],
}


@pytest.mark.parametrize("fields", MALFORMED.values(), ids=MALFORMED.keys())
@pytest.mark.parametrize("end", [True, False])
async def test_a_malformed_request_ends_its_stream_alone(
    server: Server, fields: list[tuple[str, str]], *, end: bool
) -> None:
    """RFC 9113, 8.1.1."""
    async with await H2Client.open(server) as client:
        events = await client.request("GET", path(unique()) + "?way=sse")
        await malformed(client, [*told(client), *fields], end=end)
        assert (await client.ask("GET", "/healthz")).status == 200
        assert not client.streams[events].over


async def malformed(client: H2Client, said: list[tuple[str, str]], *, end: bool = True) -> None:
    """Send a request past what the client checks, and demand the end of its stream."""
    client.h2.config.validate_outbound_headers = False
    client.h2.config.normalize_outbound_headers = False
    stream = client.h2.get_next_available_stream_id()
    client.h2.send_headers(stream, said, end_stream=end)
    await client.flush()
    await client.until(lambda: client.streams[stream].over, "the stream's end")
    assert client.streams[stream].reset == ErrorCodes.PROTOCOL_ERROR


@pytest.mark.parametrize("missing", [":method", ":scheme", ":path", ":authority"])
async def test_a_request_without_what_it_needs(server: Server, missing: str) -> None:
    async with await H2Client.open(server) as client:
        await malformed(client, [field for field in told(client) if field[0] != missing])
        await malformed(client, told(client, path=""))
        host = dict(told(client))[":authority"]
        client.h2.config.validate_outbound_headers = False
        stream = client.h2.get_next_available_stream_id()
        named = [field for field in told(client) if field[0] != ":authority"]
        client.h2.send_headers(stream, [*named, ("host", host)], end_stream=True)
        await client.flush()
        assert (await client.answer(stream)).status == 200


async def test_malformed_trailers(server: Server) -> None:
    topic = unique()
    async with await H2Client.open(server) as client:
        client.h2.config.validate_outbound_headers = False
        for trailers, fine in (([("x-sum", "1")], True), ([(":path", "/")], False)):
            stream = await client.request("POST", path(topic), end=False)
            await client.send(stream, b"x")
            client.h2.send_headers(stream, trailers, end_stream=True)
            await client.flush()
            answer = await client.answer(stream)
            assert (answer.status == 201) is fine
            assert (answer.reset == ErrorCodes.PROTOCOL_ERROR) is not fine
        assert (await client.ask("GET", "/healthz")).status == 200


async def test_malformed_requests_without_end(server: Server, bystander: Bystander) -> None:
    async with await H2Client.open(server) as client:
        client.h2.config.validate_outbound_headers = False
        client.h2.config.normalize_outbound_headers = False
        while not client.closed and client.goaway is None:
            for _ in range(50):
                stream = client.h2.get_next_available_stream_id()
                said = [*told(client), ("connection", "close")]
                client.h2.send_headers(stream, said, end_stream=True)
            await client.flush()
            while not (client.streams[stream].over or client.closed):
                await client.turn()
        await client.refused(CALM)
    await bystander.unharmed()
