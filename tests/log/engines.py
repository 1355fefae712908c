"""Logs that a conformance suite runs over: the memory log, and engines that a test drives by hand.

`Engine` is the one order that several nodes share; `NodeLog` is one node's log on it. It commits
later than it judges, may refuse, and finds other nodes' entries before its own: what SQLite with a
group commit, Redis or NATS do. Nothing happens but by `turn`, so that a test chooses the interleaving.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hexcast.hub.hub import Hub
from hexcast.log.base import Done, Durability, Entry, Fold, Outcome
from hexcast.log.memory import MemoryLog
from hexcast.log.staging import Staging
from hexcast.model.problem import Problem
from hexcast.model.record import Draft
from tests.support.fakes import EPOCH, Clock, at_once, make_history

REFUSED = Problem(503, "the engine does not answer: retry with the same key", retry_after=1)


class Engine:
    """What all nodes share: entries in order, and the draft that each was."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.drafts: list[Draft] = []


class NodeLog:
    """One node's log on an engine. `refuse` says of each commit whether the engine refuses it."""

    durability: Durability = "process"

    def __init__(
        self,
        engine: Engine,
        now: Callable[[], int],
        *,
        group: int = 3,
        refuse: Callable[[], bool] = lambda: False,
    ) -> None:
        self.engine = engine
        self.newest = 0
        self.floor = 0
        self._now = now
        self._group = group
        self._refuse = refuse
        self._applied = 0
        self._fold: Fold | None = None
        self._staging: Staging | None = None

    async def start(self, fold: Fold) -> None:
        fold.begin_epoch(EPOCH, 0)
        self._fold = fold
        self._staging = Staging(fold)
        self._catch_up()

    def append(self, drafts: Sequence[Draft], done: Done) -> None:
        assert self._staging is not None
        self._staging.add(drafts, done)

    def trim(self, floor: int) -> None:
        self.floor = max(self.floor, floor)

    async def close(self) -> None:
        assert self._staging is not None
        self._staging.close(REFUSED)

    # What the test drives

    def _catch_up(self) -> None:
        assert self._fold is not None
        for entry in self.engine.entries[self._applied :]:
            self._fold.apply(entry)
        self._applied = self.newest = len(self.engine.entries)

    def turn(self) -> bool:
        """One step: others' entries, else a commit, else a group is staged. False: nothing to do."""
        staging = self._staging
        assert staging is not None
        if self._applied < len(self.engine.entries):
            staging.withdrawn()
            self._catch_up()
        elif len(staging):
            self._commit(staging)
        elif staging.waiting:
            self.group = staging.take(self._group)
        else:
            return False
        return True

    def _commit(self, staging: Staging) -> None:
        if self._refuse():
            staging.refused(1, REFUSED)
            return
        for staged in self.group[: len(staging)]:
            entry = staged.entry(EPOCH, len(self.engine.entries) + 1, self._now())
            self.engine.entries.append(entry)
            self.engine.drafts.append(staged.draft)
            self._applied += 1
            self.newest = self._applied
            staging.committed(entry)


class Node:
    """A hub over a log, driven to the end of what it has to do."""

    def __init__(self, log: MemoryLog | NodeLog, clock: Clock) -> None:
        self.log = log
        self.hub = Hub(log, make_history(), clock.ms, clock)
        at_once(self.hub.start())

    def begin(self, *drafts: Draft) -> list[Outcome]:
        """Publish, and return the list that the outcomes come into."""
        outcomes: list[Outcome] = []

        def done(given: list[Outcome]) -> None:
            assert not outcomes and len(given) == len(drafts), "answered once, each"
            outcomes.extend(given)

        self.hub.publish(drafts, done)
        return outcomes

    def settle(self, most: int = 10_000) -> None:
        """Take turns until there is nothing left to do."""
        while isinstance(self.log, NodeLog) and self.log.turn():
            most -= 1
            assert most, "a log that never comes to an end"

    def publish(self, *drafts: Draft) -> list[Outcome]:
        outcomes = self.begin(*drafts)
        self.settle()
        return outcomes
