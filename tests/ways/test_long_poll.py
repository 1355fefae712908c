"""Held polls: answered at once, at the first news, or when the time is over."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from tests.support.fakes import EPOCH, Sent, Wire, World, delete, post, put


@pytest.fixture
def world() -> World:
    return World()


def body(sent: Sent) -> Any:
    assert sent.status == 200, sent.status
    return json.loads(sent.body)


def test_what_is_there_is_told_at_once(world: World) -> None:
    put(world.hub, "s", b"1")
    assert world.ask("/topics/s?wait=9").body == b"1"
    sent = world.ask(f"/topics/s?wait=9&since={EPOCH}-0")
    assert [r["id"] for r in body(sent)["records"]] == [f"{EPOCH}-1"]


def test_a_value_is_waited_for(world: World) -> None:
    sent = world.ask("/topics/s?wait=9")
    assert not sent.status and sent.alarm == 9 and world.counters.ways["long-poll"].clients == 1
    put(world.hub, "s", b"1")
    world.soon.all()
    assert (sent.status, sent.body) == (200, b"1") and sent.header("ETag") == f'"{EPOCH}-1"'
    assert world.counters.ways["long-poll"].clients == 0
    same = world.ask("/topics/s?wait=9", {"If-None-Match": f'"{EPOCH}-1"'})
    assert not same.status
    put(world.hub, "s", b"2")
    world.soon.all()
    assert same.body == b"2"


@pytest.mark.parametrize(("target", "headers", "status"), [
    ("/topics/s?wait=9", {"If-None-Match": f'"{EPOCH}-1"'}, 304),
    ("/topics/none?wait=9", {}, 404),
    (f"/topics/s?wait=9&since={EPOCH}-1", {}, 200),
])  # fmt: skip
def test_when_the_time_is_over(
    world: World, target: str, headers: dict[str, str], status: int
) -> None:
    put(world.hub, "s", b"1")
    post(world.hub, "noise")
    sent = world.ask(target, headers)
    assert not sent.status
    post(world.hub, "noise")
    world.soon.all()
    assert sent.handler is not None
    sent.handler.timeout()
    assert sent.status == status and world.counters.ways["long-poll"].clients == 0
    if status == 200:
        assert body(sent) == {"cursor": f"{EPOCH}-3", "gap": None, "records": [], "more": False}
    if status == 304:
        assert sent.header("ETag") == f'"{EPOCH}-1"'
    put(world.hub, "s", b"2")
    world.soon.all()


def test_no_time_is_a_poll(world: World) -> None:
    put(world.hub, "s", b"1")
    assert world.ask("/topics/s?wait=0", {"If-None-Match": f'"{EPOCH}-1"'}).status == 304
    assert world.ask("/topics/none?wait=0").status == 404
    assert body(world.ask("/topics/s?wait=0&since=now"))["records"] == []


def test_a_client_that_goes_is_forgotten(world: World) -> None:
    sent = world.ask("/topics/s?wait=9")
    assert sent.handler is not None and sum(world.feeds.interested("s").values()) == 1
    sent.handler.disconnected()
    assert world.feeds.interested("s") == {} and world.counters.ways["long-poll"].clients == 0
    put(world.hub, "s", b"1")
    world.soon.all()
    assert not sent.status


def test_a_drain_answers_all(world: World) -> None:
    held = [world.ask("/topics/a?wait=9&since=now") for _ in range(3)]
    for sent in held:
        assert sent.handler is not None
        sent.handler.drain()
    assert [body(sent)["cursor"] for sent in held] == [f"{EPOCH}-0"] * 3
    world.context.draining = True
    assert world.ask("/topics/a?wait=9&since=now").status == 200


def test_a_value_that_is_deleted_while_it_is_waited_for(world: World) -> None:
    put(world.hub, "s", b"1")
    sent = world.ask("/topics/s?wait=9", {"If-None-Match": f'"{EPOCH}-1"'})
    delete(world.hub, "s")
    world.soon.all()
    assert sent.status == 404


def test_an_end_is_told_to_who_waits(world: World) -> None:
    sent = world.ask("/topics/a?wait=9&since=now")
    post(world.hub, "a", end=True)
    world.soon.all()
    assert body(sent)["end"] is True


def test_those_who_ask_the_same_in_one_turn_share_the_answer(world: World) -> None:
    post(world.hub, "a", b"1")
    asked = f"GET /topics/a?wait=9&since={EPOCH}-0 HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()

    def told() -> list[str]:
        wire = Wire(world)
        wire.send(asked)
        sent = bytes(wire.out).partition(b"\r\n\r\n")[2]
        return [record["data"] for record in json.loads(sent)["records"]]

    assert told() == told() == told() == ["1"]
    post(world.hub, "a", b"2")  # in the same turn
    assert told() == told() == ["1", "2"]
    world.soon.all()
    assert told() == ["1", "2"]
    assert world.counters.ways["long-poll"].deliveries == 3 * 1 + 3 * 2


def test_a_limit_is_kept_when_much_comes_at_once(world: World) -> None:
    sent = world.ask("/topics/a?wait=9&since=now&limit=2")
    for _ in range(5):
        post(world.hub, "a")
    world.soon.all()
    said = body(sent)
    assert len(said["records"]) == 2 and said["more"] and said["cursor"] == f"{EPOCH}-2"


class Chain(RuleBasedStateMachine):
    """Clients that ask again with the cursor they were given never miss or repeat a record."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.posted: list[int] = []
        self.clients: list[tuple[str, str, list[int], Sent | None]] = [
            (target, f"{EPOCH}-0", [], None)
            for target in ("/topics/a?wait=9&limit=3", "/topics/a?wait=9&limit=3",
                           "/topics?topic=a&topic=b&wait=9", "/topics/**?wait=9&limit=1")
        ]  # fmt: skip

    @rule(n=st.integers(1, 5), topic=st.sampled_from(["a", "b", "a"]))
    def publish(self, n: int, topic: str) -> None:
        for _ in range(n):
            self.posted.append(post(self.world.hub, topic))

    @rule()
    def turn(self) -> None:
        self.world.soon.all()

    @rule(which=st.integers(0, 3))
    def ask(self, which: int) -> None:
        target, cursor, seen, sent = self.clients[which]
        if sent is None:
            sent = self.world.ask(f"{target}&since={cursor}")
            self.clients[which] = (target, cursor, seen, sent)
        self.read(which)

    @rule(which=st.integers(0, 3))
    def time_is_over(self, which: int) -> None:
        sent = self.clients[which][3]
        if sent is not None and sent.handler is not None:
            sent.handler.timeout()
        self.read(which)

    def read(self, which: int) -> None:
        target, _cursor, seen, sent = self.clients[which]
        if sent is not None and sent.status:
            said = body(sent)
            assert said["gap"] is None
            seen = seen + [int(r["id"].rpartition("-")[2]) for r in said["records"]]
            self.clients[which] = (target, said["cursor"], seen, None)

    def teardown(self) -> None:
        for which in range(4):
            for _ in range(200):
                self.time_is_over(which)
                self.ask(which)
                sent = self.clients[which][3]
                if sent is not None and not self.world.soon.waiting:
                    break
                self.turn()
            target, _, seen, _ = self.clients[which]
            only = self.world.hub._topics.get("a") if target.startswith("/topics/a") else None
            if target.startswith("/topics/a"):
                wanted = [r.seq for r in only.after(0)] if only else []
            else:
                wanted = self.posted
            assert seen == wanted
        assert self.world.counters.ways["long-poll"].clients <= 4


class TestChain(Chain.TestCase):  # type: ignore[name-defined, misc]
    settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
