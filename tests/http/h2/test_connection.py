"""HTTP/2 with prior knowledge: requests, flow control, bodies, drain. Frame by frame where it
matters."""

from __future__ import annotations

import asyncio
import json
import re
import signal

import pytest
from h2.errors import ErrorCodes
from h2.settings import SettingCodes

from tests.support.h2wire import H2Client
from tests.support.harness import Conn, Server, Sse, get, path, publish, put, request_bytes, unique

WINDOW = SettingCodes.INITIAL_WINDOW_SIZE


async def test_publishes_and_reads(server: Server) -> None:
    topic = unique()
    async with await H2Client.open(server) as client:
        answer = await client.ask("POST", path(topic), body=b"hello")
        assert answer.status == 201
        told = json.loads(answer.data)
        assert answer.head["etag"] == f'"{told["id"]}"'
        assert answer.head["location"] == f"/topics/{topic}?id={told['id']}"
        value = await client.ask("GET", path(topic))
        assert (value.status, value.data) == (200, b"hello")
        assert value.head["hexcast-way"] == "poll"
        assert value.head["content-length"] == "5"
        assert "date" in value.head
        unchanged = await client.ask("GET", path(topic), [("if-none-match", value.head["etag"])])
        assert (unchanged.status, unchanged.data) == (304, b"")
        head = await client.ask("HEAD", path(topic))
        assert (head.status, head.data) == (200, b"")
        assert head.head["content-length"] == "5"


async def test_never_sends_what_speaks_of_a_connection(server: Server) -> None:
    async with await H2Client.open(server) as client:
        answer = await client.ask("GET", path(unique()) + "?way=websocket")
        assert answer.status == 426
        assert not {"connection", "upgrade", "transfer-encoding"} & set(answer.head)


@pytest.mark.parametrize(
    ("target", "fields", "status"),
    [
        ("/nowhere", (), 404),
        ("/topics/a?way=carrier-pigeon", (), 400),
        ("/topics/a%00b", (), 400),
        ("/topics/a", (("x-long", "y" * 17_000),), 431),
        ("/topics/" + "a" * 9000, (), 414),
    ],
)
async def test_problems_end_the_stream_not_the_connection(
    server: Server, target: str, fields: tuple[tuple[str, str], ...], status: int
) -> None:
    async with await H2Client.open(server) as client:
        answer = await client.ask("GET", target, fields)
        assert answer.status == status
        assert answer.head["content-type"] == "application/problem+json"
        assert json.loads(answer.data)["status"] == status
        assert (await client.ask("GET", "/healthz")).status == 200


async def test_answers_to_no_foreign_name(server: Server) -> None:
    async with await H2Client.open(server) as client:
        stream = client.h2.get_next_available_stream_id()
        client.h2.send_headers(
            stream,
            [(":method", "GET"), (":scheme", "http"), (":authority", "evil.example"),
             (":path", "/healthz")],
            end_stream=True,
        )  # fmt: skip
        await client.flush()
        assert (await client.answer(stream)).status == 421


async def test_many_streams_on_one_connection(server: Server) -> None:
    topic = unique()
    async with await H2Client.open(server) as client:
        streams = [await client.request("GET", path(topic) + "?way=sse") for _ in range(100)]
        await client.until(
            lambda: all(client.streams[s].head for s in streams), "100 event streams"
        )
        await publish(server, topic, "to all")
        await client.until(
            lambda: all(b"data: to all\n\n" in client.streams[s].data for s in streams),
            "the record on each of them",
        )


async def test_a_stream_that_is_not_read_holds_up_no_neighbour(server: Server) -> None:
    slow_topic, quick_topic = unique("slow"), unique("quick")
    big = "x" * 30_000
    async with await H2Client.open(server, settings={WINDOW: 65_535}) as client:
        # Room on the connection, so that only the stream's own window is in the way.
        client.h2.increment_flow_control_window(2**24)
        slow = await client.request("GET", path(slow_topic) + "?way=sse")
        quick = await client.request("GET", path(quick_topic) + "?way=sse")
        client.held.add(slow)
        for n in range(40):
            await publish(server, slow_topic, f"{n:03}{big}")
        await publish(server, quick_topic, "in time")
        await client.until(
            lambda: b"data: in time\n\n" in client.streams[quick].data, "the neighbour's record"
        )
        assert len(client.streams[slow].data) <= 65_535
        assert client.h2.remote_flow_control_window(slow) < 30_000
        # Once it reads again it gets all, in order, from the log.
        client.held.discard(slow)
        client.h2.increment_flow_control_window(2**22, slow)
        await client.flush()
        await client.until(
            lambda: client.streams[slow].data.count(b"\n\n") >= 41 + 1, "all that it missed"
        )
        found = [
            int(line[6:9])
            for line in client.streams[slow].data.split(b"\n")
            if line.startswith(b"data: ") and line.endswith(b"x")
        ]
        assert found == list(range(40))


async def test_a_state_is_folded_for_a_stream_that_is_not_read(server: Server) -> None:
    topic = unique()
    await put(server, topic, "0" * 9000)
    async with await H2Client.open(server, settings={WINDOW: 10_000}) as client:
        stream = await client.request("GET", path(topic) + "?way=sse")
        client.held.add(stream)
        await client.until(lambda: client.streams[stream].data, "the first value")
        for n in range(1, 10):
            await put(server, topic, str(n) * 9000)
        client.held.discard(stream)
        client.h2.increment_flow_control_window(2**20, stream)
        await client.flush()
        await client.until(lambda: b"9" * 9000 in client.streams[stream].data, "the newest value")
        assert client.streams[stream].data.count(b"data: ") <= 4


async def test_settings_open_windows_that_were_shut(server: Server) -> None:
    topic = unique()
    await put(server, topic, "v" * 5000)
    async with await H2Client.open(server, settings={WINDOW: 0}) as client:
        stream = await client.request("GET", path(topic))
        await client.until(lambda: client.streams[stream].head, "the head")
        assert not client.streams[stream].data
        client.h2.update_settings({WINDOW: 3000})
        await client.flush()
        await client.until(lambda: len(client.streams[stream].data) == 3000, "a window's worth")
        client.h2.update_settings({WINDOW: 30_000})
        await client.flush()
        answer = await client.answer(stream)
        assert answer.data == b"v" * 5000


async def test_a_large_value_goes_in_frames_of_the_size_allowed(server: Server) -> None:
    topic = unique()
    value = "0123456789" * 60_000
    await put(server, topic, value)
    async with await H2Client.open(server) as client:
        answer = await client.ask("GET", path(topic))
        assert answer.data == value.encode()


async def test_bodies_of_several_streams_interleave(server: Server) -> None:
    topics = [unique() for _ in range(8)]
    async with await H2Client.open(server) as client:
        streams = [await client.request("PUT", path(t), end=False) for t in topics]
        for _ in range(4):
            for n, stream in enumerate(streams):
                await client.send(stream, bytes([65 + n]) * 40_000)
        for stream in streams:
            client.h2.end_stream(stream)
        await client.flush()
        for n, stream in enumerate(streams):
            assert (await client.answer(stream)).status == 201
            value = await client.ask("GET", path(topics[n]))
            assert value.data == bytes([65 + n]) * 160_000


async def test_large_bodies_at_once_all_come_to_their_end(server: Server) -> None:
    """More than is gathered at a time: the oldest goes on, then the next."""
    topics = [unique() for _ in range(8)]
    async with await H2Client.open(server) as client:
        streams = [await client.request("PUT", path(t), end=False) for t in topics]
        left = dict.fromkeys(streams, 1_000_000)
        while left:
            before = dict(left)
            for stream in list(left):
                size = min(client.h2.local_flow_control_window(stream), 16_384, left[stream])
                if size:
                    client.h2.send_data(stream, b"z" * size, end_stream=size == left[stream])
                    left[stream] -= size
                    if not left[stream]:
                        del left[stream]
            await client.flush()
            if left == before:
                await client.turn()
        for stream in streams:
            assert (await client.answer(stream)).status == 201


async def test_a_body_beyond_the_limit(server: Server) -> None:
    async with await H2Client.open(server) as client:
        stream = await client.request(
            "PUT", path(unique()), [("content-length", str(2**20 + 1))], end=False
        )
        answer = await client.answer(stream)
        assert answer.status == 413
        stream = await client.request("PUT", path(unique()), end=False)
        await client.send(stream, b"a" * (2**20 + 40_000))
        answer = await client.answer(stream)
        assert answer.status == 413
        assert (await client.ask("GET", "/healthz")).status == 200


async def test_a_batch_streams_both_ways(server: Server) -> None:
    topic = unique()
    async with await H2Client.open(server) as client:
        stream = await client.request(
            "POST", "/topics", [("content-type", "application/x-ndjson")], end=False
        )
        for n in range(3):
            await client.send(stream, json.dumps({"topic": topic, "data": n}).encode() + b"\n")
            await client.until(
                lambda n=n: client.streams[stream].data.count(b"\n") == n + 1, f"answer {n}"
            )
        await client.send(stream, b"", end=True)
        answer = await client.answer(stream)
        assert [set(json.loads(line)) for line in answer.data.splitlines()] == [{"id"}] * 3


async def test_a_reset_ends_a_subscription_at_once(server: Server) -> None:
    topic = unique()
    async with await H2Client.open(server) as client:
        stream = await client.request("GET", path(topic) + "?way=sse")
        await client.until(lambda: client.streams[stream].data, "the stream's begin")
        await publish(server, topic, "x")
        client.h2.reset_stream(stream, ErrorCodes.CANCEL)
        await client.flush()
        await client.ask("GET", "/healthz")

        async def subscribers() -> int:
            listed = (await get(server, "/topics")).json()["topics"]
            return next(t["subscribers"] for t in listed if t["topic"] == topic)

        async with asyncio.timeout(5):
            while await subscribers():
                continue


async def test_the_same_records_over_both_versions(server: Server) -> None:
    topic = unique()
    async with (
        await H2Client.open(server) as client,
        await Sse.open(server, path(topic)) as plain,
    ):
        stream = await client.request("GET", path(topic), [("accept", "text/event-stream")])
        await client.until(lambda: client.streams[stream].data, "the stream's begin")
        ids = [await publish(server, topic, f"r{n}") for n in range(5)]
        assert [(await plain.record()).id for _ in ids] == ids
        await client.until(
            lambda: client.streams[stream].data.endswith(f"id: {ids[-1]}\ndata: r4\n\n".encode()),
            "the last record",
        )


async def test_more_streams_than_allowed_are_refused_singly(server: Server) -> None:
    async with await H2Client.open(server) as client:
        allowed = client.remote[SettingCodes.MAX_CONCURRENT_STREAMS]
        client.h2.remote_settings[SettingCodes.MAX_CONCURRENT_STREAMS] = allowed + 5
        client.h2.remote_settings.acknowledge()
        target = path(unique()) + "?way=sse"
        streams = [await client.request("GET", target) for _ in range(allowed + 3)]
        await client.until(
            lambda: all(client.streams[s].over for s in streams[allowed:]), "refusals"
        )
        assert {client.streams[s].reset for s in streams[allowed:]} == {ErrorCodes.REFUSED_STREAM}
        await client.until(
            lambda: all(client.streams[s].head for s in streams[:allowed]), "the others"
        )


async def test_goaway_of_the_client_leaves_what_is_open(server: Server) -> None:
    topic = unique()
    async with await H2Client.open(server) as client:
        stream = await client.request("GET", path(topic) + "?way=sse")
        await client.until(lambda: client.streams[stream].data, "the stream's begin")
        await client.raw(b"\0\0\x08\x07\0\0\0\0\0" + b"\0\0\0\0" + b"\0\0\0\0")
        await publish(server, topic, "still")
        await client.until(
            lambda: b"data: still\n\n" in client.streams[stream].data, "a record after GOAWAY"
        )


async def test_the_preface_may_come_byte_by_byte(server: Server) -> None:
    async with await H2Client.open(server, start=False) as client:
        client.h2.initiate_connection()
        for byte in client.h2.data_to_send():
            await client.raw(bytes([byte]))
        await client.until(lambda: client.remote, "the server's settings")
        assert (await client.ask("GET", "/healthz")).status == 200


async def test_http1_is_untouched_by_a_first_byte_of_the_preface(server: Server) -> None:
    async with await Conn.open(server) as conn:
        data = request_bytes(server, "POST", path(unique()), (), b"x")
        await conn.send(data[:1])  # P, as in PRI
        await conn.send(data[1:])
        assert (await conn.answer("POST")).status == 201


async def test_expect_continue(server: Server) -> None:
    async with await H2Client.open(server) as client:
        stream = await client.request(
            "PUT", path(unique()), [("expect", "100-continue")], end=False
        )
        await client.until(lambda: client.streams[stream].informational, "100")
        assert client.streams[stream].informational[0][":status"] == "100"
        await client.send(stream, b"value", end=True)
        assert (await client.answer(stream)).status == 201


async def test_drain_says_goaway_and_ends_each_way_in_its_own_words() -> None:
    with Server("--drain", "5") as server:
        topic = unique()
        async with await H2Client.open(server) as client:
            events = await client.request("GET", path(topic) + "?way=sse")
            held = await client.request("GET", path(topic) + "?since=now&way=long-poll")
            pushed = await client.request("GET", path(topic) + "?way=push")
            await client.until(
                lambda: client.streams[events].data and client.streams[pushed].head, "streams"
            )
            stopping = asyncio.create_task(asyncio.to_thread(server.stop, signal.SIGTERM))
            await client.until(
                lambda: all(client.streams[s].over for s in (events, held, pushed)), "their ends"
            )
            # It may come in a read of its own.
            await client.until(lambda: client.goaway, "GOAWAY")
            assert client.streams[events].ended
            assert re.search(rb"retry: 1\d\d\d\n\n\Z", client.streams[events].data)
            assert client.streams[pushed].ended
            assert json.loads(client.streams[held].data)["records"] == []
            assert client.goaway is not None and client.goaway.error_code == ErrorCodes.NO_ERROR
            assert await stopping < 5  # the drain deadline


async def test_goaway_reaches_a_client_that_sends_all_the_time() -> None:
    """Were the connection closed with something unread, a reset would overtake GOAWAY."""
    with Server("--drain", "5") as server:
        topic = unique()
        async with await H2Client.open(server) as client:
            events = await client.request("GET", path(topic) + "?way=sse")
            await client.until(lambda: client.streams[events].data, "the stream's begin")
            stopping = asyncio.create_task(asyncio.to_thread(server.stop, signal.SIGTERM))
            while not stopping.done() and not client.closed and client.goaway is None:
                client.h2.ping(b"are you?")
                await client.flush()
                await client.turn()
            assert client.goaway is not None and client.goaway.error_code == ErrorCodes.NO_ERROR
            # Pings in the dark: they are read, and no reset comes before the end of the stream.
            for _ in range(20):
                await client.raw(b"\0\0\x08\x06\0\0\0\0\0hello???")
            assert await client.reader.read() == b""
            assert not client.closed
        assert await stopping < 5
