"""The loop that reconnects, against servers that misbehave in a chosen way."""

from __future__ import annotations

import asyncio

import pytest

from hexcast.client import transport
from hexcast.client.backoff import Backoff
from hexcast.client.client import Client
from hexcast.client.errors import ConnectionFailed, ProtocolError, Refused
from hexcast.client.fallback import WayChoice
from hexcast.client.messages import Gap, Record
from hexcast.client.retry import Lost, Notice
from hexcast.client.ways import websocket

from .servers import STREAM_HEAD, CuttingProxy, ScriptedServer, answer

RECORD = '{"id":"k-%d","topic":"t","op":"post","type":"application/json","data":%d}'


def event(n: int) -> bytes:
    return f"id: k-{n}\ndata: {RECORD % (n, n)}\n\n".encode()


def batch(*numbers: int, cursor: str = "", end: bool = False) -> bytes:
    records = ",".join(RECORD % (n, n) for n in numbers)
    cursor = cursor or f"k-{max(numbers, default=0)}"
    tail = ',"end":true' if end else ""
    return answer(
        body=f'{{"cursor":"{cursor}","gap":null,"records":[{records}],"more":false{tail}}}'.encode()
    )


def immediate() -> Backoff:
    return Backoff(draw=lambda: 0.0)


async def test_the_cursor_is_carried_and_retry_is_honoured() -> None:
    async def script(target: str, headers: dict[str, str], body: bytes) -> bytes:
        match len(fake.targets):
            case 1:
                return STREAM_HEAD + b"retry: 300\n\n" + event(1) + event(2)
            case 2:  # its retry holds on for the connections after it
                return STREAM_HEAD + b"event: hexcast:cursor\nid: k-9\ndata: k-9\n\n"
            case 3:
                return STREAM_HEAD + event(10) + b"data: cut off in the mid"
        return answer(204)

    lost: list[Notice] = []
    async with ScriptedServer(script).running() as fake, Client(fake.url) as client:
        subscription = client.subscribe(
            "t", way="sse", last=3, listener=lost.append, backoff=immediate()
        )
        numbers = [item.data async for item in subscription]  # type: ignore[union-attr]
    assert numbers == [1, 2, 10]
    begins = [target.partition("json")[2] for target in fake.targets]
    assert begins == ["&last=3", "&since=k-2", "&since=k-9", "&since=k-10"]
    assert [notice.seconds for notice in lost if isinstance(notice, Lost)] == [0.3] * 3
    assert all(b - a >= 0.3 for a, b in zip(fake.times, fake.times[1:], strict=False))


@pytest.mark.parametrize("way", ["sse", "poll", "long-poll", "websocket", "refresh"])
async def test_retry_after_is_honoured(way: WayChoice) -> None:
    async def script(target: str, headers: dict[str, str], body: bytes) -> bytes:
        if len(fake.targets) == 1:
            return answer(503, b"", retry_after="1")
        return answer(403, b'{"title": "Forbidden"}', "application/problem+json")

    lost: list[Notice] = []
    async with ScriptedServer(script).running() as fake, Client(fake.url) as client:
        with pytest.raises(Refused, match="Forbidden"):
            async for _ in client.subscribe(
                "t", way=way, listener=lost.append, backoff=immediate()
            ):
                pass
    assert fake.times[1] - fake.times[0] >= 1.0
    assert [notice.seconds for notice in lost if isinstance(notice, Lost)] == [1.0]


async def test_waiting_grows_while_nothing_comes_and_is_reset_by_a_record() -> None:
    async def script(target: str, headers: dict[str, str], body: bytes) -> bytes:
        n = len(fake.targets)
        if n == 4:
            return STREAM_HEAD + event(1)
        return answer(204) if n == 7 else STREAM_HEAD + b":\n\n"

    lost: list[Notice] = []
    backoff = Backoff(base=0.001, draw=lambda: 1.0)
    async with ScriptedServer(script).running() as fake, Client(fake.url) as client:
        subscription = client.subscribe("t", way="sse", listener=lost.append, backoff=backoff)
        assert len([item async for item in subscription]) == 1
    waits = [notice.seconds for notice in lost if isinstance(notice, Lost)]
    assert waits == [0.001, 0.002, 0.004, 0.001, 0.002, 0.004]


async def test_silence_is_a_dead_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "SILENCE_SECONDS", 0.3)

    async def script(target: str, headers: dict[str, str], body: bytes) -> list[bytes | float]:
        if len(fake.targets) == 1:  # heartbeats keep it alive well beyond the limit, then nothing
            return [STREAM_HEAD + event(1), *[0.1, b":\n\n"] * 6, event(2), 30.0]
        return [answer(204)]

    lost: list[Notice] = []
    async with ScriptedServer(script).running() as fake, Client(fake.url) as client:
        subscription = client.subscribe("t", way="sse", listener=lost.append, backoff=immediate())
        async with asyncio.timeout(5):
            items = [item async for item in subscription]
    assert [item.data for item in items if isinstance(item, Record)] == [1, 2]
    assert fake.targets[1].endswith("since=k-2")
    (notice,) = [notice for notice in lost if isinstance(notice, Lost)]
    assert "does not answer in time" in notice.reason


async def test_a_silent_websocket_is_a_dead_connection(
    client: Client, proxy: CuttingProxy, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket, "PING_SECONDS", 0.2)
    await client.publish(topic, 1, op="put")
    lost: list[Notice] = []

    def listen(notice: Notice) -> None:
        if isinstance(notice, Lost):
            lost.append(notice)
            proxy.swallow = False

    async with (
        Client(proxy.url) as behind,
        behind.subscribe(topic, way="websocket", listener=listen, backoff=immediate()) as items,
    ):
        await anext(items)
        proxy.swallow = True  # pongs no longer arrive
        await client.publish(topic, 2, op="put")
        async with asyncio.timeout(5):
            record = await anext(items)
    assert isinstance(record, Record)
    assert record.data == 2
    assert len(lost) == 1


@pytest.mark.parametrize("way", ["sse", "poll", "long-poll", "websocket", "refresh"])
@pytest.mark.parametrize("status", [400, 401, 403])
async def test_what_will_not_pass_is_raised_at_once(way: WayChoice, status: int) -> None:
    async def script(target: str, headers: dict[str, str], body: bytes) -> bytes:
        problem = b'{"title": "Sorry", "detail": "no"}'
        return answer(status, problem, "application/problem+json")

    async with ScriptedServer(script).running() as fake, Client(fake.url) as client:
        with pytest.raises(Refused, match="Sorry: no") as refused:
            async for _ in client.subscribe("t", way=way):
                pass
    assert refused.value.status == status
    assert len(fake.targets) == 1


@pytest.mark.parametrize("way", ["sse", "poll", "long-poll", "websocket", "refresh"])
@pytest.mark.parametrize(
    "reply",
    [answer(200, b"hello", "text/plain"), STREAM_HEAD + b"data: no record\n\n"],
    ids=["plain", "stream"],
)
async def test_what_is_no_hexcast_is_told(way: WayChoice, reply: bytes) -> None:
    async def script(target: str, headers: dict[str, str], body: bytes) -> bytes:
        return reply

    async with ScriptedServer(script).running() as fake, Client(fake.url) as client:
        with pytest.raises((ProtocolError, Refused)):
            async for _ in client.subscribe("t", way=way, backoff=immediate()):
                pass


async def test_auto_goes_on_to_what_gets_through(monkeypatch: pytest.MonkeyPatch) -> None:
    """SSE is held back (no first byte), WebSocket is turned away, long polls are refused once."""
    monkeypatch.setattr(transport, "FIRST_SECONDS", 0.1)
    monkeypatch.setattr(transport, "CONNECT_SECONDS", 0.1)

    async def script(
        target: str, headers: dict[str, str], body: bytes
    ) -> bytes | list[bytes | float]:
        if "way=sse" in target:
            return [STREAM_HEAD, 30.0]
        if "way=websocket" in target:
            return answer(403, b"")
        if "way=long-poll" in target:
            return batch(2, end=True)
        assert "way=poll" in target  # where a long poll without a cursor begins
        return batch(1)

    async with ScriptedServer(script).running() as fake, Client(fake.url) as client:
        async with asyncio.timeout(10):
            subscription = client.subscribe("t", last=1, backoff=immediate())
            items = [item async for item in subscription]
    assert [item.data for item in items if isinstance(item, Record)] == [1, 2]
    assert subscription.way == "long-poll"
    ways = [target.partition("way=")[2].partition("&")[0] for target in fake.targets]
    assert ways == ["sse", "sse", "websocket", "poll", "long-poll"]


async def test_auto_gives_up_where_nothing_is_a_hexcast() -> None:
    async def script(target: str, headers: dict[str, str], body: bytes) -> bytes:
        return answer(200, b"hello", "text/plain")

    async with ScriptedServer(script).running() as fake, Client(fake.url) as client:
        with pytest.raises(ProtocolError):
            async for _ in client.subscribe("t", backoff=immediate()):
                pass
    assert len(fake.targets) == 4


async def test_an_unreachable_server_is_tried_on_the_same_way() -> None:
    listener = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    listener.close()
    await listener.wait_closed()
    enough = asyncio.Event()
    lost: list[Lost] = []

    def listen(notice: Notice) -> None:
        assert isinstance(notice, Lost)
        lost.append(notice)
        if len(lost) == 5:
            enough.set()

    async with (
        Client(url) as client,
        client.subscribe("t", listener=listen, backoff=Backoff(base=0.001, cap=0.01)) as items,
    ):
        waiting = asyncio.create_task(anext(items))  # type: ignore[arg-type]  # an awaitable
        async with asyncio.timeout(5):
            await enough.wait()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert items.way == "sse"
    assert {notice.reason for notice in lost} == {f"cannot reach {url}: Connection refused"}


async def test_a_gap_and_unknown_events_of_the_stream() -> None:
    async def script(target: str, headers: dict[str, str], body: bytes) -> bytes:
        if len(fake.targets) > 1:
            return answer(204)
        gap = b'event: hexcast:gap\ndata: {"after":"k-1","before":"k-5","topics":["t"]}\n\n'
        later = b"event: hexcast:news\ndata: of a later version\n\n"
        return STREAM_HEAD + gap + later + event(7)

    async with ScriptedServer(script).running() as fake, Client(fake.url) as client:
        items = [item async for item in client.subscribe("t", way="sse", backoff=immediate())]
    assert items[0] == Gap("k-1", "k-5", ("t",))
    assert isinstance(items[1], Record)
    assert len(items) == 2


async def test_topics_are_checked_before_anything_is_sent() -> None:
    async with Client("http://127.0.0.1:9") as client:
        for topics in ([], ["a//b"], ["a", "b*"]):
            with pytest.raises(ValueError, match=r"topic|segment"):
                client.subscribe(*topics)


async def test_too_large_an_event_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    async def script(target: str, headers: dict[str, str], body: bytes) -> list[bytes | float]:
        return [STREAM_HEAD, *[b"x" * 2**20] * 20]

    async with ScriptedServer(script).running() as fake, Client(fake.url) as client:
        with pytest.raises(ProtocolError, match="longer than"):
            async for _ in client.subscribe("t", way="sse"):
                pass


def test_a_failed_connection_says_whether_there_was_one() -> None:
    assert ConnectionFailed("x").reached
    assert not ConnectionFailed("x", reached=False).reached
