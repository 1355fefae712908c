"""Nothing lost, nothing twice, in order (protocol 5), whatever is cut and over whichever way a
client returns."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from functools import partial
from urllib.parse import quote

import pytest

from tests.support.harness import Server, get, seeded, unique
from tests.support.wire import seq

from .publishers import by_batch, by_request
from .switcher import WAYS, WHOLE_WAYS, Cut, Selector, Switcher

STREAMS = ("stream/0", "stream/1", "stream/2", "stream/deep/er")
STATES = ("state/0", "state/1", "state/2", "state/deep/er")


def selectors(stem: str) -> list[Selector]:
    """One topic, several, patterns, and each in more than one spelling."""
    streams = tuple(f"{stem}/{name}" for name in STREAMS)
    states = tuple(f"{stem}/{name}" for name in STATES)

    def listed(*names: str) -> str:
        return "/topics?" + "&".join(f"topic={quote(name, safe='*')}" for name in names)

    def one(name: str) -> tuple[str, ...]:
        return (f"/topics/{name}", listed(name))

    every = f"{stem}/**"
    level = f"{stem}/stream/*"
    second = f"{stem}/*/1"
    some = (streams[0], states[1], streams[3])
    mixed = (f"{stem}/state/**", streams[2])
    return [
        Selector(one(streams[0]), (streams[0],), (streams[0],)),
        Selector(one(streams[3]), (streams[3],), (streams[3],)),
        Selector(one(states[0]), (states[0],), (), (states[0],)),
        Selector((listed(*some),), some, (streams[0], streams[3]), (states[1],)),
        Selector((f"/topics/{level}", listed(level)), (level,), streams[:3]),
        Selector((f"/topics/{every}", listed(every)), (every,), streams, states),
        Selector((f"/topics/{second}", listed(second)), (second,), (streams[1],), (states[1],)),
        Selector((listed(*mixed), listed(*mixed, states[0])), mixed, (streams[2],), states),
        Selector((listed(every, level, streams[0]),), (every, level), streams, states),
    ]


class Run:
    """Publishers and clients on one server, until enough has been cut."""

    def __init__(
        self, server: Server, chance: random.Random, *, clients: int, cuts: int, pause: float,
        size: int, gaps: bool = False, longest: float = 30.0,
    ) -> None:  # fmt: skip
        self.server = server
        self.chance = chance
        self.wanted = cuts
        self.pause = pause
        self.size = size
        self.stem = unique("switch")
        self.ids: dict[str, list[str]] = {f"{self.stem}/{name}": [] for name in (*STREAMS, *STATES)}
        self.clients: list[Switcher] = []
        self.count = clients
        self.gaps = gaps
        self.until = time.monotonic() + longest
        self.over = False

    def enough(self) -> bool:
        """Whether the publishers may stop."""
        return sum(c.cuts for c in self.clients) >= self.wanted or time.monotonic() > self.until

    def ahead(self, count: int) -> bool:
        """Whether a topic of so many records must wait for more cuts."""
        return count > 40 + sum(c.cuts for c in self.clients) // 10

    async def go(self) -> None:
        start = (await get(self.server, "/topics/**?since=now")).json()["cursor"]
        kinds = selectors(self.stem)
        for n in range(self.count):
            chance = random.Random(self.chance.random())
            cursor = "earliest" if n % 4 == 0 and not self.gaps else start
            self.clients.append(
                Switcher(
                    f"client {n}", self.server, kinds[n % len(kinds)], chance, cursor,
                    slow=n % 7 == 3, gaps_allowed=self.gaps,
                )
            )  # fmt: skip
        async with asyncio.TaskGroup() as everyone:
            publishers = [
                everyone.create_task(self._publish(topic, n)) for n, topic in enumerate(self.ids)
            ]
            for client in self.clients:
                everyone.create_task(self._follow(client))
            await asyncio.wait(publishers)
            self.over = True

    async def _publish(self, topic: str, n: int) -> None:
        stream = "/stream/" in topic
        chance = random.Random(self.chance.random())
        method, op = ("POST", "post") if stream else ("PUT", "put")
        publisher = partial(by_batch, op=op) if n % 2 else partial(by_request, method=method)
        await publisher(
            self.server, topic, chance=chance, ids=self.ids[topic], stop=self.enough,
            ahead=self.ahead, pause=self.pause, size=self.size,
        )  # fmt: skip

    async def _follow(self, client: Switcher) -> None:
        """Visit after visit, until all that was published has come."""
        while not self.over:
            way = client.chance.choice([w for w in WAYS if w != "long-poll" or not client.unheard])
            await client.visit(way, Cut.at_random(client.chance, client.slow, client.unheard))
        deadline = time.monotonic() + 25
        while not client.done(self.ids):
            if time.monotonic() > deadline:
                raise client.fault(
                    f"never complete: { ({t: (len(s), s[-1:]) for t, s in client.seen.items()}) } "
                    f"of { ({t: len(i) for t, i in self.ids.items()}) }"
                )
            way = client.chance.choice(WHOLE_WAYS)
            await client.visit(way, Cut(10**7, 1.0, sighted=True))

    async def nothing_more(self) -> None:
        """A last poll with each client's cursor brings nothing."""
        for client in self.clients:
            target = client.selector.targets[-1]
            sep = "&" if "?" in target else "?"
            batch = (await get(self.server, f"{target}{sep}since={client.cursor}")).json()
            assert batch["records"] == [], client.fault("there was more")
            assert not batch["gap"]

    def report(self) -> None:
        ways = sum((client.visits for client in self.clients), Counter())
        versions = sum((client.versions for client in self.clients), Counter())
        print(
            f"{sum(c.cuts for c in self.clients)} cuts; visits {dict(ways)}, {dict(versions)}; "
            f"records { ({t: len(i) for t, i in self.ids.items()}) }; "
            f"gaps {sum(len(c.gaps) for c in self.clients)}"
        )


@pytest.mark.parametrize("cuts", [2500, pytest.param(20_000, marks=pytest.mark.long)])
async def test_switching(cuts: int) -> None:
    chance = seeded("switching")
    with Server() as server:
        run = Run(server, chance, clients=54, cuts=cuts, pause=0.05, size=400, longest=cuts / 100)
        await run.go()
        run.report()
        await run.nothing_more()
        for client in run.clients:
            for topic in client.selector.streams:
                published = list(enumerate(run.ids[topic]))
                assert client.seen[topic] == published, client.fault(topic)
            for topic in client.selector.states:
                last = len(run.ids[topic]) - 1
                assert client.seen[topic][-1] == (last, run.ids[topic][last]), client.fault(topic)
                for number, record_id in client.seen[topic]:
                    assert run.ids[topic][number] == record_id
        # On a machine that is not free, time ends the run first.
        assert sum(client.cuts for client in run.clients) >= cuts / 2
        assert all(len(ids) > 50 for ids in run.ids.values())
        ways = sum((client.visits for client in run.clients), Counter())
        assert all(ways[way] > cuts / 50 for way in WAYS), ways
        codings = sum((client.codings for client in run.clients), Counter())
        assert all(codings[coding] > 20 for coding in ("gzip", "zstd", "deflate", "")), codings
        versions = sum((client.versions for client in run.clients), Counter())
        assert all(versions[version] > cuts / 10 for version in ("1.1", "2")), versions


async def test_switching_with_tiny_holds() -> None:
    """Whatever does not come is covered by a gap that names its stream, and by its ids."""
    chance = seeded("tiny holds")
    with Server("--hold-records", "20") as server:
        run = Run(server, chance, clients=36, cuts=800, pause=0.03, size=2000, gaps=True)
        await run.go()
        run.report()
        await run.nothing_more()
        lost = covered = 0
        for client in run.clients:
            for topic in client.selector.streams:
                had = dict(client.seen.get(topic, []))
                for number, record_id in enumerate(run.ids[topic]):
                    if number in had:
                        assert had[number] == record_id
                        continue
                    lost += 1
                    covering = [
                        gap
                        for gap in client.gaps
                        if topic in gap["topics"]
                        and seq(gap["after"]) < seq(record_id) < seq(gap["before"])
                    ]
                    assert covering, client.fault(f"{topic} {number} {record_id}: lost in silence")
                    covered += 1
            for topic in client.selector.states:
                last = len(run.ids[topic]) - 1
                assert client.seen[topic][-1] == (last, run.ids[topic][last]), client.fault(topic)
        assert lost == covered > 0, "the holds were not tiny enough to lose anything"
        assert any(client.gaps for client in run.clients if client.slow)
