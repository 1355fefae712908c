"""Everything that is held, in the log's order: what a pass walks over.

A *pass* up to a horizon H walks (cursor, H] in order and yields every stream record, and of each
state only its newest place at or below H. H stays fixed while a pass goes on, so that a state that
changes faster than a slow client reads is still delivered; for that, state records that were
superseded lately are kept a while. They are also what deltas are made against.
"""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections import deque
from collections.abc import Iterator
from operator import attrgetter
from typing import NamedTuple

from ..model import Gap, Record, Selector
from .topic import Topic

__all__ = ["History", "Scanned"]

SCAN_RECORDS = 10_000
"""Records looked at in one step of a pass."""

SEARCH_STEPS = 32
"""Steps of a pass that one answer may take without finding anything."""

STEP_BYTES = 65_536
"""Payload bytes after which a step of a pass ends."""

_TOPIC_COST = 8
"""What it costs to find the records of one topic, in records looked at."""

_SUPERSEDED_RECORDS = 10_000
_SUPERSEDED_BYTES = 4 * 2**20
_RECORD_BYTES = 320  # what a record costs beside its payload; measured with sys.getsizeof
_COMPACT_BYTES = 8 * 2**20

_seq = attrgetter("seq")


class Scanned(NamedTuple):
    """One step of a pass: its records, the place it has reached, and how many it passed over."""

    records: list[Record]
    position: int
    folded: int


class History:
    """The held records of all topics, and the bounds on them (bytes, and seconds of age)."""

    def __init__(self, records: int, size: int, seconds: float, total: int) -> None:
        self.topics: dict[str, Topic] = {}
        self.head = 0  # SEQ of the newest record applied
        self.floor = 0  # SEQ up to which topics may have been forgotten whole
        self.total = 0  # bytes held
        self.evicted = 0  # SEQ of the newest record evicted from any stream
        self.limit = total
        self._records = max(1, records)
        self._size = size
        self._age = int(seconds * 1000)
        self._order: list[Record] = []
        self._dead = 0
        self._dead_bytes = 0
        self._swept = 0  # SEQ up to which nothing is left that may be evicted
        self._superseded: deque[Record] = deque()
        self._superseded_bytes = 0
        self._lossy: dict[str, Topic] = {}  # the streams that lost records
        self.doubts = 0  # times that `doubt` found something

    # Taking records in

    def add(self, topic: Topic, record: Record) -> None:
        """Take in the next record of `topic`, and let go of what it supersedes or crowds out."""
        self.head = record.seq
        self._order.append(record)
        self.total += len(record.data) + _RECORD_BYTES
        old = topic.newest
        if record.op == "post":
            topic.add(record)
            if len(topic) > self._records or topic.size > self._size:
                self._trim(topic)
        elif record.op == "delete":
            for gone in topic.after(0):
                if topic.kind == "state":
                    gone.until = record.seq
                self._drop(gone)
            topic.past = None
            topic.replace(record)
            topic.evicted = 0  # what was lost before is gone on purpose now
            self._lossy.pop(topic.name, None)
        elif old is None:
            topic.replace(record)
        elif old.op == "delete" and topic.kind == "stream":
            topic.add(record)  # the stream's end is news of its own
        else:
            old.until = record.seq
            topic.supersede()
            self._superseded.append(old)
            self._superseded_bytes += len(old.data)
            if len(topic) > 1:
                for gone in topic.after(0):
                    if gone is not record and gone is not old:
                        self._drop(gone)
            topic.replace(record)
            self._forget_superseded(_SUPERSEDED_RECORDS, _SUPERSEDED_BYTES)
        if record.op != "delete":
            # A deleted topic keeps its kind until it begins again.
            topic.kind = "stream" if record.op == "post" else "state"
        if self.total > self.limit:
            self._sweep(None)

    def _trim(self, topic: Topic) -> None:
        while len(topic) > 1 and (len(topic) > self._records or topic.size > self._size):
            self._evict(topic)

    def _evict(self, topic: Topic) -> None:
        gone = topic.evict()
        if gone is not None:
            self._drop(gone)
            self._lossy[topic.name] = topic
            self.evicted = max(self.evicted, gone.seq)

    def _drop(self, record: Record) -> None:
        if not record.held:
            return
        record.held = False
        size = len(record.data) + _RECORD_BYTES
        self.total -= size
        self._dead += 1
        self._dead_bytes += size
        if self._dead_bytes > _COMPACT_BYTES or self._dead > 1024 + len(self._order) // 2:
            self._order = [r for r in self._order if r.held]
            self._dead = self._dead_bytes = 0

    def _forget_superseded(self, records: int, size: int) -> None:
        while len(self._superseded) > records or self._superseded_bytes > size:
            gone = self._superseded.popleft()
            self._superseded_bytes -= len(gone.data)
            topic = self.topics.get(gone.topic)
            if topic is not None:
                topic.forget(gone)
            self._drop(gone)

    # Letting go

    def sweep(self, now: int) -> None:
        """Let go of what is older than may be held at `now` (milliseconds)."""
        self._sweep(now - self._age)

    def _sweep(self, before: int | None) -> None:
        """Evict, oldest first, what was accepted before a time; or until the total fits (None)."""
        if before is None and self._superseded:
            self._forget_superseded(0, 0)
        order = self._order  # eviction may put together a new one meanwhile
        for place in range(bisect_right(order, self._swept, key=_seq), len(order)):
            record = order[place]
            if (self.total <= self.limit) if before is None else (record.time >= before):
                break
            self._swept = record.seq
            if not record.held or record.until:
                continue
            topic = self.topics[record.topic]
            if topic.kind == "state" and record.op != "delete":
                continue  # a state is held until it is deleted
            self._evict(topic)
            if topic.newest is None:
                del self.topics[topic.name]
                self._lossy.pop(topic.name, None)
                self.floor = max(self.floor, topic.evicted)

    @property
    def full(self) -> bool:
        """Whether the bound on all topics is reached by states alone, which are never let go."""
        return self.total > self.limit

    # Walking over it

    def doubt(self, passed: list[Record], seq: int) -> None:
        """Mark those values that were passed over by a client which is then given the id `seq`.

        It may be cut there, and come back with that id as its cursor. The state's value at this
        place is then one that it was never sent.
        """
        for record in passed:
            if record.until > seq and not record.passed:
                record.passed = True
                self.doubts += 1

    def fold(self, records: list[Record]) -> list[Record]:
        """Of records in order, up to the newest of all, those that nothing has superseded."""
        visible: list[Record] = []
        passed: list[Record] = []
        for record in records:
            if record.until:
                passed.append(record)
                continue
            visible.append(record)
            if passed:
                self.doubt(passed, record.seq)
                passed = []
        return visible

    def gap(
        self, selector: Selector, cursor: int, after: str, epoch: str, told: dict[str, int]
    ) -> Gap | None:
        """What of the selected streams was lost after `cursor`; None where nothing was.

        `told` holds, by topic, the losses that this client knows of; it is brought up to date.
        """
        if cursor >= self.evicted and cursor >= self.floor:
            return None
        lost: dict[str, int] = {}
        if selector.patterns:
            if cursor < self.floor:
                lost.update((p, self.floor) for p in selector.patterns)
            for name, topic in self._lossy.items():
                if topic.kind == "stream" and topic.evicted > cursor and selector.matches(name):
                    lost[name] = topic.evicted
        for name in selector.names:
            known = self.topics.get(name)
            if known is None:
                if cursor < self.floor:
                    lost[name] = self.floor
            elif known.kind == "stream" and known.evicted > cursor:
                lost[name] = known.evicted
        news = {name: seq for name, seq in lost.items() if seq > told.get(name, 0)}
        if not news:
            return None
        told.update(news)
        return Gap(after, f"{epoch}-{max(news.values()) + 1}", tuple(sorted(news)))

    def scan(
        self,
        selector: Selector,
        after: int,
        horizon: int,
        *,
        fresh: int | None = None,
        limit: int = SCAN_RECORDS,
        size: int = STEP_BYTES,
    ) -> Scanned:
        """One step of a pass over (after, horizon]: at most `limit` records and `size` bytes.

        With `fresh`, only what a client without a cursor starts with: each state's value, and each
        stream's newest `fresh` records.
        """
        records: list[Record] = []
        passed: list[Record] = []  # passed over since the last one taken
        starts: dict[str, int] = {}
        chosen: dict[str, bool] = {}
        scanned = folded = 0
        reached = after
        source, selected = self._walk(selector, after, fresh, horizon)
        for record in source:
            if record.seq > horizon:
                break
            if scanned >= SCAN_RECORDS:
                self.doubt(passed, reached)
                return Scanned(records, reached, folded)
            scanned += 1
            reached = record.seq
            if not selected:
                wanted = chosen.get(record.topic)
                if wanted is None:
                    wanted = chosen[record.topic] = selector.matches(record.topic)
                if not wanted:
                    continue
            if not record.held:
                continue
            if not record.visible(horizon):
                folded += 1
                passed.append(record)
            elif fresh is None or self._starts(record, fresh, horizon, starts):
                records.append(record)
                if passed:
                    self.doubt(passed, record.seq)
                    passed = []
                size -= len(record.data) + 64
                if len(records) >= limit or size <= 0 or (record.end and selector.single):
                    return Scanned(records, reached, folded)
        return Scanned(records, horizon, folded)

    def search(
        self,
        selector: Selector,
        after: int,
        horizon: int,
        *,
        fresh: int | None = None,
        limit: int = SCAN_RECORDS,
        size: int = STEP_BYTES,
    ) -> Scanned:
        """Steps of a pass, within reason, until one finds something."""
        folded = 0
        for _ in range(SEARCH_STEPS):
            step = self.scan(selector, after, horizon, fresh=fresh, limit=limit, size=size)
            folded += step.folded
            after = step.position
            if step.records or after >= horizon:
                break
        return step._replace(folded=folded)

    def newest(self, selector: Selector) -> list[Record]:
        """The value or the newest record of every selected topic, in the log's order."""
        values = (topic.value for topic in self._selected(selector, 0))
        return sorted((value for value in values if value is not None), key=_seq)

    def _starts(self, record: Record, fresh: int, horizon: int, starts: dict[str, int]) -> bool:
        """Whether a client without a cursor starts with this record."""
        if record.op != "post":
            return record.op != "delete"
        start = starts.get(record.topic)
        if start is None:
            topic = self.topics[record.topic]  # there, because a record of it is held
            start = starts[topic.name] = topic.since_last(fresh, horizon)
        return record.seq > start

    def _walk(
        self, selector: Selector, after: int, fresh: int | None, horizon: int
    ) -> tuple[Iterator[Record], bool]:
        """Records after a place, in order, and whether all of them are of the selected topics.

        By topic where much happened since in few topics; else by place in the whole log.
        """
        if selector.single:
            topic = self.topics.get(selector.single)
            return iter(()) if topic is None else self._of(topic, after, fresh, horizon), True
        place = bisect_right(self._order, after, key=_seq)
        ahead = len(self._order) - place
        few = not selector.patterns or len(self.topics) * _TOPIC_COST < ahead
        if ahead > SCAN_RECORDS and few:
            found = [self._of(t, after, fresh, horizon) for t in self._selected(selector, after)]
            return heapq.merge(*found, key=_seq), True
        return iter(self._order[place : place + SCAN_RECORDS + 1]), False

    def _selected(self, selector: Selector, after: int) -> Iterator[Topic]:
        """The selected topics of which there is something after a place."""
        topics = self.topics
        if not selector.patterns:
            known = (topics.get(name) for name in selector.names)
            return (t for t in known if t is not None)
        return (
            topic
            for name, topic in topics.items()
            if topic.newest is not None and topic.newest.seq > after and selector.matches(name)
        )

    def _of(self, topic: Topic, after: int, fresh: int | None, horizon: int) -> Iterator[Record]:
        """A topic's records after a place."""
        if fresh is not None and topic.kind == "stream":
            after = max(after, topic.since_last(fresh, horizon))
        # What is past counts for a horizon of then only; there may be much of it.
        return topic.since(after) if horizon < self.head else topic.after(after)
