"""A publish that the log does not answer: once, by a deadline, on every way of publishing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from hexcast.log.base import Done, Outcome
from hexcast.model.problem import Problem
from hexcast.model.record import Draft
from hexcast.publish.pending import PendingPublishes
from hexcast.server.server import Server
from hexcast.settings import Settings
from tests.http.h1.test_connection import answers
from tests.log.engines import Engine, NodeLog
from tests.support.fakes import EPOCH, World
from tests.support.harness import deadline

SUBPROTOCOL = Subprotocol("hexcast.v1")
POST = b"POST /topics/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\none"
BATCH = (
    b"POST /topics%b HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\n"
    b"Content-Length: 48\r\n\r\n" + b'{"topic":"a","data":1}\n' + b'{"topic":"b","data":22}\n\n'
)


class SlowLog(NodeLog):
    """Commits when the test wants it, or never."""

    def __init__(self) -> None:
        super().__init__(Engine(), lambda: 0, group=100)
        self.appended = asyncio.Event()

    def append(self, drafts: Sequence[Draft], done: Done) -> None:
        super().append(drafts, done)
        self.appended.set()

    def commit(self) -> None:
        while self.turn():
            continue


class SlowWorld(World):
    def __init__(self, settings: Settings | None = None) -> None:
        self.log = SlowLog()
        super().__init__(settings, log=self.log)

    def pass_time(self, seconds: float) -> None:
        until = self.clock.now + seconds
        while self.clock.now < until:
            super().pass_time(1)
            self.context.sweep()


def test_a_publish_is_answered_when_the_log_answers() -> None:
    world = SlowWorld()
    wire = world.connect()
    wire.send(POST)
    assert wire.out == b"" and len(world.context.publishes) == 1
    world.pass_time(5)
    world.log.commit()
    assert [status for status, _ in answers(bytes(wire.out))] == [201]
    world.pass_time(20)
    assert len(answers(bytes(wire.out))) == 1 and len(world.context.publishes) == 0


def test_a_publish_that_is_not_answered_is_unknown() -> None:
    world = SlowWorld()
    wire = world.connect()
    wire.send(POST + POST)
    world.pass_time(9)
    assert wire.out == b""
    world.pass_time(2)
    (status, body), (second, _) = [*answers(bytes(wire.out)), (0, b"")][:2]
    assert status == 503 and "unknown" in json.loads(body)["detail"]
    assert b"Retry-After: 1" in wire.out and second == 0, "the second waits for its own deadline"
    world.log.commit()
    assert [s for s, _ in answers(bytes(wire.out))] == [503, 201], "a late answer is ignored"
    assert world.hub.head == 2, "and the record is there all the same"


@pytest.mark.parametrize("query", [b"", b"?ack=last"])
def test_a_batch_says_which_lines_are_unknown_and_ends(query: bytes) -> None:
    world = SlowWorld()
    wire = world.connect()
    wire.send(BATCH % query)
    world.pass_time(11)
    ((status, body),) = answers(bytes(wire.out))
    assert status == 200
    lines = [json.loads(line) for line in body.split(b"\r\n")[1::2] for line in line.splitlines()]
    if query:
        assert lines[-1]["refused"] == 2 and lines[-1]["error"]["status"] == 503
    else:
        assert [line["error"]["status"] for line in lines] == [503, 503]
    world.log.commit()
    wire.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert b'"ok"' in wire.out


def test_a_client_that_half_closes_gets_its_answer() -> None:
    world = SlowWorld()
    wire = world.connect()
    wire.send(POST)
    assert wire.connection.eof_received()
    world.log.commit()
    assert [status for status, _ in answers(bytes(wire.out))] == [201] and wire.closing


def test_a_client_that_leaves_costs_nothing() -> None:
    world = SlowWorld()
    wire = world.connect()
    wire.send(POST)
    wire.drop()
    world.pass_time(11)
    world.log.commit()
    assert wire.out == b"" and len(world.context.publishes) == 0


class NoHub:
    """Takes drafts; the test answers them."""

    def __init__(self) -> None:
        self.now = 0.0
        self.dones: list[tuple[int, Done]] = []

    def clock(self) -> float:
        return self.now

    def publish(self, drafts: Sequence[Draft], done: Done) -> None:
        self.dones.append((len(drafts), done))


@given(
    st.lists(st.one_of(st.integers(1, 3), st.sampled_from(["answer", "last", "second", "drain"])))
)
def test_each_is_answered_once_and_in_time(steps: list[int | str]) -> None:
    hub = NoHub()
    publishes = PendingPublishes(hub, 10.0)  # type: ignore[arg-type]  # of a hub, all that it needs
    answered: list[tuple[int, float, list[Outcome]]] = []
    begun: list[tuple[int, float]] = []
    for step in steps:
        if isinstance(step, int):
            number = len(begun)
            begun.append((step, hub.now))
            publishes.publish(
                [Draft("a", "post")] * step,
                lambda outcomes, n=number: answered.append((n, hub.now, outcomes)),  # type: ignore[misc]
            )
        elif step == "second":
            hub.now += 1
            publishes.sweep()
        elif step == "drain":
            publishes.drain(2.0)
        elif hub.dones:
            count, done = hub.dones.pop(0 if step == "answer" else -1)
            done([Problem(409, "no")] * count)
    for _ in range(11):
        hub.now += 1
        publishes.sweep()
    assert sorted(n for n, _, _ in answered) == list(range(len(begun))) and not len(publishes)
    for number, at, outcomes in answered:
        count, since = begun[number]
        assert len(outcomes) == count and at - since <= 11


async def test_a_drain_answers_what_is_pending(monkeypatch: pytest.MonkeyPatch) -> None:
    log = SlowLog()
    monkeypatch.setattr("hexcast.server.node.open_log", lambda url, epoch, now: log)
    server = Server(Settings(port=0, drain=4.0))
    await server.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(POST)
    async with deadline("the publish arrives", 5):
        await log.appended.wait()
    async with deadline("the drain", 4):
        await server.drain()
        answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    assert answer.startswith(b"HTTP/1.1 503 ") and b"Idempotency-Key" in answer


async def test_a_message_over_a_websocket_is_unknown_too(monkeypatch: pytest.MonkeyPatch) -> None:
    log = SlowLog()
    monkeypatch.setattr("hexcast.server.node.open_log", lambda url, epoch, now: log)
    server = Server(Settings(port=0, publish_timeout=0.5, drain=4.0))
    await server.start()
    url = f"ws://127.0.0.1:{server.port}/topics"
    async with deadline("the answers", 10), connect(url, subprotocols=[SUBPROTOCOL]) as socket:
        await socket.send('{"publish":"a","data":1,"ref":7}')
        answer = json.loads(await socket.recv())
        assert answer["ref"] == 7 and answer["error"]["status"] == 503
        log.appended.clear()
        await socket.send('{"publish":"a","data":2,"ref":8}')
        await log.appended.wait()
        log.commit()
        assert json.loads(await socket.recv()) == {"ok": 8, "id": f"{EPOCH}-2"}
    await server.drain()
