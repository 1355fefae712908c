"""The way `push`, against servers that push late, badly, or not at all."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from hexcast.client.backoff import Backoff
from hexcast.client.client import Client
from hexcast.client.errors import ProtocolError, Refused
from hexcast.client.messages import Gap, Record
from hexcast.client.retry import Connected, Lost, Notice

from .h2_server import Answering, Peer, body, line, path, serving_h2
from .servers import STREAM_HEAD, ScriptedServer, ServerProcess, answer


async def received(answering: Answering, *, since: str | None = None) -> tuple[list, list[Notice]]:
    """All items until the topic's end, and the notices."""
    notices: list[Notice] = []
    async with (
        asyncio.timeout(20),
        serving_h2(answering) as url,
        Client(url) as client,
        aclosing(
            client.subscribe(
                "t", way="push", since=since, listener=notices.append,
                backoff=Backoff(draw=lambda: 0.0),
            )
        ) as subscription,
    ):  # fmt: skip
        return [item async for item in subscription], notices


def numbers(items: list) -> list[object]:
    return [item.data if isinstance(item, Record) else item for item in items]


def ended(peer: Peer, stream: int) -> None:
    peer.machine.send_headers(stream, [(":status", "204")], end_stream=True)
    peer.flush()


def push(peer: Peer, parent: int, n: int) -> None:
    """As Hexcast does: promise and answer, then the line."""
    pushed = peer.promise(parent, path(n))
    peer.head(pushed, content_type="application/json")
    peer.data(pushed, body(n), end=True)
    peer.data(parent, line(n))


async def test_the_lines_give_the_order_whenever_the_pushed_answers_come() -> None:
    async def answering(peer: Peer, stream: int, target: str) -> None:
        if "since=k-3" in target:
            return ended(peer, stream)
        peer.lines(stream)
        pushed = {n: peer.promise(stream, path(n)) for n in (1, 2, 3)}
        peer.data(stream, line(1) + line(2)[:20])
        peer.data(stream, line(2)[20:] + line(3), end=True)
        for n in (3, 1, 2):
            peer.head(pushed[n], content_type="application/json")
            peer.data(pushed[n], body(n)[:5])
            peer.data(pushed[n], body(n)[5:], end=True)

    items, notices = await received(answering)
    assert numbers(items) == [1, 2, 3]
    assert items[0].raw == body(1).encode().strip()
    assert notices[0] == Connected("push")


async def test_what_was_not_pushed_is_asked_for() -> None:
    asked: list[str] = []

    async def answering(peer: Peer, stream: int, target: str) -> None:
        if "way=push" not in target:
            asked.append(target)
            n = int(target.partition("id=k-")[2].partition("&")[0])
            peer.head(stream, content_type="application/json")
            peer.data(stream, body(n), end=True)
        elif "since=" in target:
            ended(peer, stream)
        else:
            peer.lines(stream)
            peer.data(stream, line(1, pushed=False))
            push(peer, stream, 2)
            broken = peer.promise(stream, path(3))
            peer.data(stream, line(3))
            peer.reset(broken)
            peer.data(stream, "".join(line(n, pushed=False) for n in range(4, 60)), end=True)

    items, _ = await received(answering)
    assert numbers(items) == list(range(1, 60))
    assert path(2) not in asked
    assert asked[0] == path(1) and path(3) in asked


async def test_nothing_is_taken_that_the_server_has_no_say_in() -> None:
    """RFC 9113, 8.4: a promise for another authority is an error of that stream."""
    resets: dict[int, int] = {}

    async def answering(peer: Peer, stream: int, target: str) -> None:
        if "way=push" not in target:
            peer.head(stream, content_type="application/json")
            return peer.data(stream, body(1), end=True)
        if "since=" in target:
            return ended(peer, stream)
        peer.lines(stream)
        forged = peer.promise(stream, path(1), authority="elsewhere.example")
        peer.data(stream, line(1))
        await peer.until(lambda: forged in peer.resets)
        resets.update(peer.resets)
        peer.data(stream, "", end=True)

    items, _ = await received(answering)
    assert numbers(items) == [1]
    assert list(resets.values()) == [1]  # PROTOCOL_ERROR


async def test_gaps_cursors_and_deletes() -> None:
    async def answering(peer: Peer, stream: int, target: str) -> None:
        if "since=k-9" in target:
            return ended(peer, stream)
        assert "since=k-1&" in target + "&"
        peer.lines(stream)
        peer.data(stream, '{"gap":{"after":"k-1","before":"k-5","topics":["t"]}}\n')
        push(peer, stream, 5)
        peer.data(
            stream,
            '{"id":"k-6","topic":"t","op":"delete","path":"/topics/t?id=k-6","pushed":false}\n',
        )
        peer.data(stream, '{"cursor":"k-9"}\n', end=True)

    items, _ = await received(answering, since="k-1")
    gap, fifth, deleted = items
    assert isinstance(gap, Gap) and (gap.after, gap.before) == ("k-1", "k-5")
    assert fifth.data == 5
    assert (deleted.op, deleted.id, deleted.data) == ("delete", "k-6", None)


@pytest.mark.parametrize("broken", ["goaway", "cut", "reset", "gone"])
async def test_it_comes_back_with_its_cursor(broken: str) -> None:
    async def answering(peer: Peer, stream: int, target: str) -> None:
        if "way=push" not in target:
            peer.head(stream, 404, content_type="application/problem+json")
            return peer.data(stream, "{}", end=True)
        if "since=k-1" not in target:
            peer.lines(stream)
            push(peer, stream, 1)
            if broken == "goaway":
                peer.goaway()
            elif broken == "reset":
                peer.reset(stream)
            elif broken == "gone":
                peer.data(stream, line(2, pushed=False))
            else:
                await peer.writer.drain()
                peer.writer.transport.abort()
        elif "since=k-1" in target and not again:
            again.append(target)
            peer.lines(stream)
            push(peer, stream, 2)
            peer.data(stream, "", end=True)
        else:
            ended(peer, stream)

    again: list[str] = []
    items: list[object] = []
    notices: list[Notice] = []
    async with (
        asyncio.timeout(20),
        serving_h2(answering) as url,
        Client(url) as client,
        client.subscribe(
            "t", way="push", listener=notices.append, backoff=Backoff(draw=lambda: 0.0)
        ) as subscription,
    ):
        while len(items) < 2:
            items.append(await anext(subscription))
    assert numbers(items) == [1, 2]
    assert len(again) == 1
    assert any(isinstance(notice, Lost) for notice in notices)


@pytest.mark.parametrize(
    "bad",
    [
        "no JSON\n",
        '{"id":"k-1"}\n',
        '{"id":1,"topic":"t","op":"post","path":"/x"}\n',
        "x" * (2**20 + 5) + "\n",
    ],
)
async def test_bad_lines_end_it(bad: str) -> None:
    async def answering(peer: Peer, stream: int, target: str) -> None:
        peer.lines(stream)
        data = bad.encode()
        while data:
            await peer.until(lambda: peer.machine.local_flow_control_window(stream) > 0)
            size = min(16_384, peer.machine.local_flow_control_window(stream), len(data))
            peer.data(stream, data[:size])
            data = data[size:]

    with pytest.raises(ProtocolError, match="line"):
        await received(answering)


async def test_a_record_pushed_under_another_name_ends_it() -> None:
    async def answering(peer: Peer, stream: int, target: str) -> None:
        peer.lines(stream)
        pushed = peer.promise(stream, path(1))
        peer.head(pushed, content_type="application/json")
        peer.data(pushed, body(2), end=True)
        peer.data(stream, line(1))

    with pytest.raises(ProtocolError, match="k-2 was pushed as k-1"):
        await received(answering)


async def test_a_refusal() -> None:
    async def answering(peer: Peer, stream: int, target: str) -> None:
        peer.head(stream, 403, content_type="application/problem+json")
        peer.data(stream, '{"status":403,"title":"Forbidden","detail":"not this one"}', end=True)

    with pytest.raises(Refused, match="Forbidden: not this one"):
        await received(answering)


async def test_events_over_http2_say_why() -> None:
    async def answering(peer: Peer, stream: int, target: str) -> None:
        if "since=k-1" in target:
            return ended(peer, stream)
        peer.head(
            stream, content_type="text/event-stream", hexcast_way="sse",
            hexcast_fallback="push-off",
        )  # fmt: skip
        peer.data(stream, "retry: 10\n\n")
        peer.data(stream, f"id: k-1\ndata: {body(1)}\n", end=True)

    items, notices = await received(answering)
    assert numbers(items) == [1]
    assert notices[0] == Connected("sse", "push-off")


async def test_events_where_there_is_only_http1() -> None:
    async def script(target: str, headers: dict[str, str], content: bytes) -> bytes:
        if target == "*":  # the preface of HTTP/2
            return answer(400)
        if "since=k-1" in target:
            return answer(204)
        head = STREAM_HEAD.replace(b"\r\n\r\n", b"\r\nHexcast-Fallback: http1\r\n\r\n")
        return head + f"id: k-1\ndata: {body(1)}\n".encode()

    notices: list[Notice] = []
    async with (
        asyncio.timeout(20),
        ScriptedServer(script).running() as fake,
        Client(fake.url) as client,
        client.subscribe(
            "t", way="push", listener=notices.append, backoff=Backoff(draw=lambda: 0.0)
        ) as items,
    ):
        assert numbers([item async for item in items]) == [1]
    assert notices[0] == Connected("sse", "http1")


async def test_who_does_not_read_is_not_read_for(server: ServerProcess, topic: str) -> None:
    """Records pile up in the server's log, not here."""
    payload = "x" * 50_000
    async with (
        asyncio.timeout(60),
        Client(server.url) as client,
        client.subscribe(topic, way="push", since="earliest") as items,
    ):
        await client.publish(topic, f"0 {payload}")
        first = await anext(items)
        assert isinstance(first, Record) and first.data.startswith("0 ")
        for n in range(1, 120):
            await client.publish(topic, f"{n} {payload}")
        rest = [await anext(items) for _ in range(1, 120)]
        assert [int(str(item.data).split()[0]) for item in rest if isinstance(item, Record)] == [
            *range(1, 120)
        ]
