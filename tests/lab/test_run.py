"""A run, with time in the test's hands."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hexcast.hub.history import History
from hexcast.hub.hub import Hub
from hexcast.lab.run import MAX_BYTES_A_SECOND, WATCHED_SECONDS, Break, Run, Wish
from hexcast.log.memory import MemoryLog
from hexcast.model.problem import Problem
from hexcast.model.record import Draft, Record
from tests.support.fakes import Clock, Soon, at_once


class World:
    """A hub, and a run in it whose timers run when the test lets time go on."""

    def __init__(self, **wish: Any) -> None:
        self.clock = Clock()
        self.soon = Soon()
        history = History(10_000, 2**23, 3600.0, 2**26)
        self.hub = Hub(MemoryLog("e1", self.clock.ms), history, self.clock.ms, self.clock)
        at_once(self.hub.start())
        self.records: list[Record] = []
        self.hub.follow = self.records.append
        self.run = Run(
            "r", self.hub, self.clock, lambda: self.clock() * 1000, self.soon.later, Wish(**wish)
        )

    def go(self, seconds: float, step: float = 0.01) -> None:
        """Let time go on, and every timer run when it is due."""
        until = self.clock.now + seconds
        due = [(self.clock.now + wait, call) for wait, call in self.soon.after]
        self.soon.after = []
        while self.clock.now < until:
            self.clock.now += step
            ready = [call for at, call in due if at <= self.clock.now]
            due = [(at, call) for at, call in due if at > self.clock.now]
            for call in ready:
                call()
            due += [(self.clock.now + wait, call) for wait, call in self.soon.after]
            self.soon.after = []
        self.soon.after = [(at - self.clock.now, call) for at, call in due]

    def of(self, topic: str) -> list[Record]:
        return [r for r in self.records if r.topic == f"lab/r/{topic}" and r.op != "delete"]

    def watch(self) -> None:
        """What the page does now and then."""
        data = str(self.clock.now).encode()
        self.hub.publish([Draft("lab/r/clock", "put", data, "application/json")], lambda _: None)


@pytest.mark.parametrize(("rate", "seconds"), [(0.2, 20), (5, 4), (200, 2)])
def test_it_publishes_at_its_rate(rate: float, seconds: float) -> None:
    world = World(rate=rate, size=500)
    before = len(world.of("value"))
    assert before == 1  # at once
    world.go(seconds)
    published = world.of("value")[before:]
    assert abs(len(published) - rate * seconds) <= 2
    numbers = [json.loads(r.data)["n"] for r in world.of("value")]
    assert numbers == list(range(1, len(numbers) + 1))


def test_numbers_out_of_range_are_clamped_and_the_load_is_bounded() -> None:
    run = World(rate=10_000, size=10**9).run
    assert run.size == 256 * 1024
    assert run.rate * run.size <= MAX_BYTES_A_SECOND
    run.change(Wish(rate=-1.0, size=1))
    assert (run.rate, run.size) == (0.2, 200)
    run.change(Wish(rate=float("nan")))
    assert run.rate == 1.0


def test_what_is_late_is_left_out_beyond_a_burst() -> None:
    world = World(rate=100, size=300)
    world.go(0.5)
    before = len(world.of("value"))
    world.clock.now += 60  # a loop that was busy for a minute
    world.go(0.02)
    assert len(world.of("value")) - before < 20


def test_the_figures_tell_every_publication_once() -> None:
    world = World(rate=50, size=300)
    world.go(1)
    world.run.change(Wish(send="page"))
    world.go(1)
    world.run.change(Wish(kind="stream"))
    world.go(1)
    told: list[str] = []
    for record in world.of("figures"):
        for _, at, value, ids in json.loads(record.data)["published"]:
            assert at > 0 and 0 <= value <= 100
            told += ids
    known = {r.id for name in ("value", "page", "records") for r in world.of(name)}
    assert len(told) == len(set(told))
    assert set(told) <= known and len(known) - len(told) <= 50 * 0.3


def test_an_unwatched_run_ends_and_leaves_nothing() -> None:
    world = World(rate=5, size=300)
    ended = []
    world.run.ended = lambda: ended.append(True)
    for _ in range(12):
        world.watch()
        world.go(5, step=0.05)
    assert not ended
    world.go(WATCHED_SECONDS + 1, step=0.05)
    assert ended == [True] and world.run.over
    before = len(world.records)
    world.go(2, step=0.05)
    assert len(world.records) == before, "it goes on"
    assert all(topic.value is None for topic in world.hub._topics.values())


def test_one_s_own_topic_is_only_watched() -> None:
    world = World(topic="price", rate=200)
    world.go(1)
    assert world.run.topic == world.run.stream_topic == "price"
    assert {r.topic for r in world.records} == {"lab/r/figures"}


def test_harms_are_done_to_those_they_are_meant_for() -> None:
    world = World()
    clients = world.run.clients
    world.run.harm(Break("slow", "sse", 2.0))
    assert clients["sse"].slow > 0 and not clients["websocket"].slow
    world.go(2.1)
    assert not clients["sse"].slow
    world.run.harm(Break("proxy"))
    assert all(client.buffering for client in clients.values())
    world.run.harm(Break("cut", "poll", 1e9))
    assert clients["poll"].away_until <= world.clock.now + 60
    world.run.harm(Break("heal"))
    assert not any(client.buffering or client.slow for client in clients.values())
    with pytest.raises(Problem):
        world.run.harm(Break("cut", "pigeon"))
