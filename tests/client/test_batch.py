"""The batch publisher against the real server, with and without trouble on the way."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from typing import Any

import pytest

from hexcast.client import batch
from hexcast.client import http1_stream as batch_request
from hexcast.client.backoff import Backoff
from hexcast.client.client import Client
from hexcast.client.encoding import Message
from hexcast.client.errors import ConnectionFailed, ProtocolError, Refused
from hexcast.client.pending import Acknowledged
from hexcast.client.retry import Connected, Lost, Notice

from .servers import CuttingProxy, ScriptedServer, answer


async def given(messages: Iterable[Message]) -> AsyncIterator[Message]:
    for message in messages:
        yield message


def quick() -> Backoff:
    return Backoff(base=0.01, cap=0.05)


async def stream(client: Client, topic: str, count: int) -> list[Any]:
    """The first `count` records of a stream."""
    found: list[Any] = []
    async with client.subscribe(topic, since="earliest", way="sse") as items:
        async for item in items:
            found.append(item.data)  # type: ignore[union-attr]  # a gap fails the test
            if len(found) >= count:
                break
    return found


async def test_acknowledged_in_order_each_with_its_id(client: Client, topic: str) -> None:
    messages = [Message(topic, n) for n in range(3000)]
    done = [ack async for ack in client.publish_many(given(messages))]
    assert [ack.message for ack in done] == messages
    ids = [ack.published.id for ack in done if ack.published is not None]
    assert len(set(ids)) == 3000
    assert await stream(client, topic, 3000) == list(range(3000))
    newest = await client.get(topic)
    assert newest is not None
    assert newest.id == ids[-1]


async def test_nothing_to_publish_connects_nowhere(client: Client) -> None:
    assert [ack async for ack in client.publish_many(given([]))] == []


async def test_each_record_goes_out_at_once(client: Client, topic: str) -> None:
    """Every record waits for the acknowledgement of the one before: a full buffer or the end of
    the input cannot be what sends them."""
    acknowledged = asyncio.Semaphore(1)

    async def one_by_one() -> AsyncIterator[Message]:
        for n in range(50):
            await acknowledged.acquire()
            yield Message(topic, n)

    connected: list[Notice] = []
    async with asyncio.timeout(10):
        async for _ in client.publish_many(one_by_one(), listener=connected.append):
            acknowledged.release()
    assert connected == [Connected("publish")]
    assert await stream(client, topic, 50) == list(range(50))


async def test_no_more_are_taken_than_may_be_unacknowledged(client: Client, topic: str) -> None:
    taken = done = most = 0

    async def counted() -> AsyncIterator[Message]:
        nonlocal taken, most
        for n in range(500):
            taken += 1
            most = max(most, taken - done)
            yield Message(topic, n)

    async for _ in client.publish_many(counted(), unacknowledged=10):
        done += 1
    assert done == 500
    assert 10 <= most <= 11  # the one that waits for room has been taken too


async def test_refusals_come_in_their_place(client: Client, topic: str) -> None:
    state = topic + "/state"
    messages = [
        Message(topic, 0),
        Message(state, 1, op="put"),
        Message(state, 2),  # the wrong verb for its kind
        Message("$no", 3),
        Message("a//b", 4),  # no topic: not even sent
        Message(topic, object()),  # no JSON
        Message(topic, b"{", type="application/json"),
        Message(topic, 7, event="hexcast:mine"),
        Message(topic, 8, event="mine", end=True),
    ]
    done = [ack async for ack in client.publish_many(given(messages))]
    assert [ack.message for ack in done] == messages
    assert [ack.error is None for ack in done] == [True, True] + [False] * 6 + [True]
    statuses = [ack.error.status for ack in done if isinstance(ack.error, Refused)]
    assert statuses == [409, 400, 400, 400]
    assert "state" in str(done[2].error)


async def test_payloads_arrive_as_they_would_alone(client: Client, topic: str) -> None:
    for n, data in enumerate([b"\0\xff", "é\r\n", {"base64": "AAAA"}, [1.5, None], "", None]):
        for type in (None, "application/json", "text/x-mine"):
            if type == "application/json" and isinstance(data, bytes):
                continue
            one, other = f"{topic}/{n}/{type}/one", f"{topic}/{n}/{type}/many"
            await client.publish(one, data, op="put", type=type)
            message = Message(other, data, op="put", type=type)
            acks = [ack async for ack in client.publish_many(given([message]))]
            assert [ack.error for ack in acks] == [None]
            alone, among = await client.get(one), await client.get(other)
            assert alone is not None
            assert among is not None
            assert (alone.data, alone.type) == (among.data, among.type)


async def test_an_overlong_line_is_refused_and_the_rest_goes_on(client: Client, topic: str) -> None:
    messages = [Message(topic, "a"), Message(topic, "x" * (2 * 2**20)), Message(topic, "b")]
    done = [ack async for ack in client.publish_many(given(messages), backoff=quick())]
    assert [ack.message for ack in done] == messages
    assert [getattr(ack.error, "status", None) for ack in done] == [None, 413, None]
    assert await stream(client, topic, 2) == ["a", "b"]


@pytest.mark.parametrize("swallow", [False, True], ids=["cut", "answers-lost"])
async def test_cuts_lose_nothing_and_double_nothing(
    client: Client, proxy: CuttingProxy, topic: str, swallow: bool
) -> None:
    """With `swallow`, records get through and are published, but their answers do not."""
    count, chance = 4000, random.Random(7)
    notices: list[Notice] = []

    async def paced() -> AsyncIterator[Message]:
        for n in range(count):
            if n % 20 == 0:
                await asyncio.sleep(0.001)
            yield Message(topic, n)

    async def cutting() -> None:
        while True:
            await asyncio.sleep(chance.uniform(0.005, 0.03))
            if swallow:
                proxy.swallow = True
                await asyncio.sleep(0.005)
            proxy.cut()
            proxy.swallow = False

    async with Client(proxy.url) as behind:
        cutter = asyncio.create_task(cutting())
        try:
            async with asyncio.timeout(30):
                done = [
                    ack
                    async for ack in behind.publish_many(
                        paced(), unacknowledged=200, listener=notices.append, backoff=quick()
                    )
                ]
        finally:
            cutter.cancel()
            await asyncio.gather(cutter, return_exceptions=True)
    assert [ack.message.data for ack in done] == list(range(count))
    assert [ack.error for ack in done if ack.error] == []
    assert sum(isinstance(notice, Lost) for notice in notices) > 5
    assert await stream(client, topic, count) == list(range(count))
    newest = await client.get(topic)
    assert newest is not None
    assert newest.id == done[-1].published.id  # type: ignore[union-attr]  # and nothing after it


async def test_a_proxy_that_holds_bodies_back_is_given_their_end(
    client: Client, proxy: CuttingProxy, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "LINGER_SECONDS", 0.2)
    proxy.buffering = True
    acknowledged = asyncio.Semaphore(1)

    async def one_by_one() -> AsyncIterator[Message]:
        for n in range(10):
            await acknowledged.acquire()
            yield Message(topic, n)

    notices: list[Notice] = []
    begun = asyncio.get_running_loop().time()
    async with Client(proxy.url) as behind, asyncio.timeout(10):
        async for ack in behind.publish_many(one_by_one(), listener=notices.append):
            assert ack.error is None
            acknowledged.release()
    # Only the first waited: after it, each request is ended at once.
    assert asyncio.get_running_loop().time() - begun < 1.5
    assert not [notice for notice in notices if isinstance(notice, Lost)]
    assert await stream(client, topic, 10) == list(range(10))


async def test_a_quiet_source_holds_no_connection(
    client: Client, proxy: CuttingProxy, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "IDLE_SECONDS", 0.1)
    notices: list[Notice] = []

    async def slow() -> AsyncIterator[Message]:
        for n in range(3):
            yield Message(topic, n)
            await asyncio.sleep(0.3)  # the silence that is tested: longer than IDLE_SECONDS

    async with Client(proxy.url) as behind:
        done = [ack async for ack in behind.publish_many(slow(), listener=notices.append)]
    assert [ack.error for ack in done] == [None] * 3
    assert proxy.connections == 3
    assert notices == [Connected("publish")] * 3


async def test_a_failing_source_fails_after_what_it_gave_is_acknowledged(
    client: Client, topic: str
) -> None:
    async def failing() -> AsyncIterator[Message]:
        yield Message(topic, 1)
        yield Message(topic, 2)
        raise OSError("the disk is gone")

    done: list[Acknowledged] = []
    with pytest.raises(OSError, match="the disk is gone"):
        async for ack in client.publish_many(failing()):
            done.append(ack)  # what came before the error is what is tested
    assert [ack.message.data for ack in done] == [1, 2]
    assert await stream(client, topic, 2) == [1, 2]


async def test_closing_stops_everything(client: Client, topic: str) -> None:
    async def endless() -> AsyncIterator[Message]:
        n = 0
        while True:
            n += 1
            yield Message(topic, n)

    async with client.publish_many(endless()) as acknowledgements:
        for _ in range(100):
            await anext(acknowledgements)
    with pytest.raises(StopAsyncIteration):
        await anext(acknowledgements)


async def never() -> AsyncIterator[Message]:
    yield Message("t", 1)
    await asyncio.Event().wait()


@pytest.mark.parametrize("source", [given([Message("t", 1)]), never()], ids=["ended", "open"])
async def test_it_gives_up_where_nothing_ever_came_through(source: AsyncIterable[Message]) -> None:
    listener = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    listener.close()
    await listener.wait_closed()
    lost: list[Notice] = []
    async with Client(url) as client:
        with pytest.raises(ConnectionFailed, match=r"cannot reach .*: Connection refused"):
            async for _ in client.publish_many(
                source, give_up=0.1, listener=lost.append, backoff=quick()
            ):
                pass
    assert len(lost) >= 1


async def test_a_batch_refused_as_a_whole_is_raised() -> None:
    async def script(target: str, headers: dict[str, str], body: bytes) -> bytes:
        problem = b'{"status": 403, "title": "Forbidden", "detail": "not to you"}'
        return answer(403, problem, "application/problem+json")

    async with ScriptedServer(script).running() as fake, Client(fake.url, "s3") as client:
        with pytest.raises(Refused, match="Forbidden: not to you"):
            async for _ in client.publish_many(never()):
                pass
    assert fake.targets == ["/topics"]


async def test_a_passing_refusal_is_waited_for() -> None:
    async def script(target: str, headers: dict[str, str], body: bytes) -> bytes:
        assert headers["content-type"] == "application/x-ndjson"
        if len(fake.targets) == 1:
            return answer(503, b"", retry_after="1")
        return answer(200, b'{"id":"k-1"}\n', "application/x-ndjson")

    lost: list[Notice] = []
    async with ScriptedServer(script).running() as fake, Client(fake.url) as client:
        messages = given([Message("t", 1)])
        done = [
            ack
            async for ack in client.publish_many(messages, listener=lost.append, backoff=quick())
        ]
    assert [ack.error for ack in done] == [None]
    assert 1.0 <= fake.times[1] - fake.times[0] < 2.0
    assert isinstance(lost[0], Lost)
    assert lost[0].seconds >= 1.0


@pytest.mark.parametrize(
    "reply",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
        answer(200, b"<html>", "text/html"),
        answer(200, b'{"id":"k-1"}\n{"id":"k-2"}\n', "application/x-ndjson"),
        answer(200, b"x" * 70_000 + b"\n", "application/x-ndjson"),
    ],
    ids=["no-http", "no-json", "too-many", "too-long"],
)
async def test_what_is_no_answer_is_told(reply: bytes) -> None:
    async def script(target: str, headers: dict[str, str], body: bytes) -> bytes:
        return reply

    async with ScriptedServer(script).running() as fake, Client(fake.url) as client:
        with pytest.raises(ProtocolError):
            async for _ in client.publish_many(never()):
                pass


async def test_a_server_that_says_nothing_is_taken_for_dead(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(batch_request, "ANSWER_SECONDS", 0.2)

    async def script(target: str, headers: dict[str, str], body: bytes) -> list[bytes | float]:
        return [60.0]

    lost: list[Notice] = []
    async with ScriptedServer(script).running() as fake, Client(fake.url) as client:
        with pytest.raises(ConnectionFailed, match="does not answer in time"):
            async for _ in client.publish_many(
                given([Message("t", 1)]), give_up=0.1, listener=lost.append, backoff=quick()
            ):
                pass
    assert len(fake.targets) >= 2
