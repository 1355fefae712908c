"""A node answers, follows, tells the time and drains without a socket or a signal."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from hexcast.http.exchange import Exchange
from hexcast.http.request import Request
from hexcast.http.timers import Timed
from hexcast.server.node import Node
from hexcast.settings import Settings
from tests.support.fakes import Sent
from tests.support.harness import deadline


class Held:
    """What an embedder adds to a node's connections: one exchange, and how it is cut."""

    def __init__(self, node: Node, exchange: Exchange) -> None:
        self.node = node
        self.exchange = exchange
        node.http.connections.add(self)

    @property
    def transport(self) -> Held:
        return self

    def abort(self) -> None:
        self.exchange.abort()
        self.node.http.remove(self)

    def drain(self) -> None:
        assert self.exchange.handler is not None
        self.exchange.handler.drain()
        self.node.http.remove(self)


@pytest.fixture
async def node() -> AsyncIterator[Node]:
    node = Node(Settings(drain=2.0))
    await node.start()
    yield node
    await node.drain()


def ask(node: Node, method: str, target: str, body: bytes = b"", **headers: str) -> Sent:
    fields = {"host": "localhost", **headers}
    request = Request(method, target.encode(), fields.items())
    _, plan = node.http.judge(request, "127.0.0.1")
    exchange = Sent(request)
    plan.run(exchange, body)
    return exchange


async def test_it_answers_and_follows(node: Node) -> None:
    stream = ask(node, "GET", "/topics/a", accept="text/event-stream")
    wrote = asyncio.Event()
    stream.on_write = lambda data: wrote.set() if b"data: 7" in data else None
    published = ask(node, "POST", "/topics/a", b"7")
    assert published.status == 201
    async with deadline("the event", 5):
        await wrote.wait()
    assert f"id: {json.loads(published.body)['id']}\n".encode() in stream.body
    polled = ask(node, "GET", "/topics/a")
    assert (polled.status, polled.body) == (200, b"7")
    assert ask(node, "GET", "/healthz").status == 200


async def test_its_timers_run(node: Node) -> None:
    fired = asyncio.Event()

    class Alarm(Timed):
        due = 0.0
        bucket = 0

        def timeout(self) -> None:
            fired.set()

    node.http.timers.set(Alarm(), node.http.clock() + 0.05)
    async with deadline("the timer", 5):
        await fired.wait()


async def test_a_drain_ends_what_is_open_and_closes_the_log() -> None:
    node = Node(Settings(drain=2.0))
    await node.start()
    stream = ask(node, "GET", "/topics/a", accept="text/event-stream")
    Held(node, stream)
    async with deadline("the drain", 3):
        await node.drain()
    assert stream.finished and stream.body.rstrip().rpartition(b"\n")[2].startswith(b"retry: ")
    late = ask(node, "GET", "/topics/a", accept="text/event-stream")
    assert late.finished, "no stream is opened on a node that drains"


async def test_whoever_stays_is_cut() -> None:
    node = Node(Settings(drain=0.6))
    await node.start()

    class Stubborn(Held):
        def drain(self) -> None:
            """It goes on."""

    stream = ask(node, "GET", "/topics/a", accept="text/event-stream")
    Stubborn(node, stream)
    async with deadline("the drain", 3):
        await node.drain()
    assert stream.aborted and not node.http.connections


async def test_settings_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="nosuch"):
        Node(Settings(log="nosuch:x"))
