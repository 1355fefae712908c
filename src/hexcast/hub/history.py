"""Everything that is retained, in the log's order, and the scans over it.

Theory of operation:

1. A *scan* has a fixed horizon H. It walks (cursor, H] in the log's order and yields every stream
   record, and of each state only its newest place at or below H, under that record's id.
2. H stays fixed while a scan goes on, so that a state that changes faster than a slow client reads
   is still delivered. For that, and as bases of deltas, superseded values are retained for a
   while: at most `_SUPERSEDED_RECORDS` and `_SUPERSEDED_BYTES` of them.
3. A value that a scan steps over while it yields a later record is marked (`mark_skipped`): a
   client cut there has an id beyond it and yet was not sent it, so that it is no safe base of a
   delta.
4. Eviction takes the oldest records of streams first, by each stream's bounds, then by age, then
   by the bound on all topics. Values of states are retained until they are deleted. What a stream
   lost is known by `Topic.evicted`; what topics that were evicted whole lost, by `floor`.
"""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections import deque
from collections.abc import Iterator
from operator import attrgetter

from ..model import Record, Selector
from .scan import Scan, Scanned
from .topic import Topic

__all__ = ["History"]

SCAN_RECORDS = 10_000
"""Records looked at in one segment of a scan."""

SEARCH_SEGMENTS = 32
"""Segments of a scan that one answer may walk without finding anything."""

SEGMENT_BYTES = 65_536
"""Payload bytes after which a segment of a scan ends."""

_TOPIC_COST = 8
"""What it costs to find the records of one topic, in records looked at."""

_SUPERSEDED_RECORDS = 10_000
_SUPERSEDED_BYTES = 4 * 2**20
_RECORD_BYTES = 320  # what a record costs beside its payload; measured with sys.getsizeof
_COMPACT_BYTES = 8 * 2**20

_seq = attrgetter("seq")


class History:
    """The retained records of all topics, and the bounds on them (bytes, and seconds of age)."""

    def __init__(self, records: int, size: int, seconds: float, total: int) -> None:
        self.topics: dict[str, Topic] = {}
        self.head = 0  # SEQ of the newest record applied
        self.floor = 0  # SEQ up to which topics may have been evicted whole
        self.total = 0  # bytes retained
        self.evicted = 0  # SEQ of the newest record evicted from any stream
        self.limit = total
        self._records = max(1, records)
        self._size = size
        self._age = seconds
        self._marks: deque[tuple[float, int]] = deque()  # (time, head then), oldest first
        self._order: list[Record] = []
        self._dead = 0
        self._dead_bytes = 0
        self._swept = 0  # SEQ up to which nothing is left that may be evicted
        self._superseded: deque[Record] = deque()
        self._superseded_bytes = 0
        self._lossy: dict[str, Topic] = {}  # the streams that lost records
        self.skips = 0  # values marked by `mark_skipped`

    # Taking records in

    def add(self, topic: Topic, record: Record) -> None:
        """Take in the next record of `topic`, and evict what it supersedes or crowds out."""
        self.head = record.seq
        self._order.append(record)
        self.total += len(record.data) + _RECORD_BYTES
        old = topic.newest
        if record.op == "post":
            topic.add(record)
            if len(topic) > self._records or topic.size > self._size:
                self._trim(topic)
        elif record.op == "delete":
            for old_record in topic.after(0):
                if topic.kind == "state":
                    old_record.until = record.seq
                self._drop(old_record)
            topic.past = None
            topic.replace(record)
            topic.evicted = 0  # what was lost before is deleted on purpose now
            self._lossy.pop(topic.name, None)
        elif old is None:
            topic.replace(record)
        elif old.op == "delete" and topic.kind == "stream":
            topic.add(record)  # the stream's delete is a record of its own
        else:
            old.until = record.seq
            topic.supersede()
            self._superseded.append(old)
            self._superseded_bytes += len(old.data)
            if len(topic) > 1:
                for other in topic.after(0):
                    if other is not record and other is not old:
                        self._drop(other)
            topic.replace(record)
            self._release_superseded(_SUPERSEDED_RECORDS, _SUPERSEDED_BYTES)
        if record.op != "delete":
            # A deleted topic keeps its kind until it begins again.
            topic.kind = "stream" if record.op == "post" else "state"
        if self.total > self.limit:
            self._sweep(None)

    def _trim(self, topic: Topic) -> None:
        while len(topic) > 1 and (len(topic) > self._records or topic.size > self._size):
            self._evict(topic)

    def _evict(self, topic: Topic) -> None:
        evicted = topic.evict()
        if evicted is not None:
            self._drop(evicted)
            self._lossy[topic.name] = topic
            self.evicted = max(self.evicted, evicted.seq)

    def _drop(self, record: Record) -> None:
        if not record.retained:
            return
        record.retained = False
        size = len(record.data) + _RECORD_BYTES
        self.total -= size
        self._dead += 1
        self._dead_bytes += size
        if self._dead_bytes > _COMPACT_BYTES or self._dead > 1024 + len(self._order) // 2:
            self._order = [r for r in self._order if r.retained]
            self._dead = self._dead_bytes = 0

    def _release_superseded(self, records: int, size: int) -> None:
        while len(self._superseded) > records or self._superseded_bytes > size:
            oldest = self._superseded.popleft()
            self._superseded_bytes -= len(oldest.data)
            topic = self.topics.get(oldest.topic)
            if topic is not None:
                topic.release(oldest)
            self._drop(oldest)

    # Evicting

    def sweep(self, now: float) -> None:
        """Evict what is older than may be retained at `now` (seconds of a monotonic clock).

        A record's age is not known to the moment, but to that of the sweep after it: a time for
        each record would cost more than it is worth.
        """
        marks = self._marks
        if self.head and (not marks or self.head > marks[-1][1]):
            marks.append((now, self.head))
        before = 0
        while marks and marks[0][0] <= now - self._age:
            before = marks.popleft()[1]
        if before:
            self._sweep(before)

    def _sweep(self, before: int | None) -> None:
        """Evict, oldest first, what is up to a place; or until the total fits (None)."""
        if before is None and self._superseded:
            self._release_superseded(0, 0)
        order = self._order  # eviction may put together a new one meanwhile
        for place in range(bisect_right(order, self._swept, key=_seq), len(order)):
            record = order[place]
            if (self.total <= self.limit) if before is None else (record.seq > before):
                break
            self._swept = record.seq
            if not record.retained or record.until:
                continue
            topic = self.topics[record.topic]
            if topic.kind == "state" and record.op != "delete":
                continue  # a state is retained until it is deleted
            self._evict(topic)
            if topic.newest is None:
                del self.topics[topic.name]
                self._lossy.pop(topic.name, None)
                self.floor = max(self.floor, topic.evicted)

    @property
    def full(self) -> bool:
        """Whether the bound on all topics is reached by states alone, which are never evicted."""
        return self.total > self.limit

    # Walking over it

    def mark_skipped(self, skipped: list[Record], seq: int) -> None:
        """Mark the values that a client was not sent before it is given the id `seq`.

        It may be cut there, and come back with that id as its cursor. The state's value at that
        place is then one that it was never sent.
        """
        for record in skipped:
            if record.until > seq and not record.skipped:
                record.skipped = True
                self.skips += 1

    def conflate(self, records: list[Record]) -> list[Record]:
        """Of records in order, up to the newest of all, those that nothing has superseded."""
        visible: list[Record] = []
        skipped: list[Record] = []
        for record in records:
            if record.until:
                skipped.append(record)
                continue
            visible.append(record)
            if skipped:
                self.mark_skipped(skipped, record.seq)
                skipped = []
        return visible

    def lost(self, selector: Selector, cursor: int) -> dict[str, int]:
        """The selected streams that lost records after a place, each with the newest place lost.

        A pattern stands for the topics that were evicted whole: their names are not known any more.
        """
        if cursor >= self.evicted and cursor >= self.floor:
            return {}
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
        return lost

    @property
    def oldest(self) -> int:
        """SEQ of the oldest record retained; the place after the newest where there is none."""
        return next((record.seq for record in self._order if record.retained), self.head + 1)

    def scan(
        self,
        selector: Selector,
        scan: Scan,
        *,
        limit: int = SCAN_RECORDS,
        size: int = SEGMENT_BYTES,
    ) -> Scanned:
        """The next segment of a scan: at most `limit` records and `size` bytes of payload."""
        horizon, backlog = scan.horizon, scan.backlog
        records: list[Record] = []
        skipped: list[Record] = []  # skipped since the last one taken
        starts: dict[str, int] = {}
        chosen: dict[str, bool] = {}
        scanned = conflated = 0
        reached = scan.cursor
        source, selected = self._walk(selector, scan)
        for record in source:
            if record.seq > horizon:
                break
            if scanned >= SCAN_RECORDS:
                self.mark_skipped(skipped, reached)
                return Scanned(records, reached, conflated)
            scanned += 1
            reached = record.seq
            if not selected:
                wanted = chosen.get(record.topic)
                if wanted is None:
                    wanted = chosen[record.topic] = selector.matches(record.topic)
                if not wanted:
                    continue
            if not record.retained:
                continue
            if not record.visible(horizon):
                conflated += 1
                skipped.append(record)
            elif backlog is None or self._starts(record, backlog, horizon, starts):
                records.append(record)
                if skipped:
                    self.mark_skipped(skipped, record.seq)
                    skipped = []
                size -= len(record.data) + 64
                if len(records) >= limit or size <= 0 or (record.end and selector.single):
                    return Scanned(records, reached, conflated)
        return Scanned(records, horizon, conflated)

    def search(
        self,
        selector: Selector,
        scan: Scan,
        *,
        limit: int = SCAN_RECORDS,
        size: int = SEGMENT_BYTES,
    ) -> Scanned:
        """The first segment of a scan that has a record, or where that search was given up."""
        conflated = 0
        for _ in range(SEARCH_SEGMENTS):
            scanned = self.scan(selector, scan, limit=limit, size=size)
            conflated += scanned.conflated
            scan = scan.at(scanned.position)
            if scanned.records or scan.done:
                break
        return scanned._replace(conflated=conflated)

    def newest(self, selector: Selector) -> list[Record]:
        """The value or the newest record of every selected topic, in the log's order."""
        values = (topic.value for topic in self._selected(selector, 0))
        return sorted((value for value in values if value is not None), key=_seq)

    def _starts(self, record: Record, backlog: int, horizon: int, starts: dict[str, int]) -> bool:
        """Whether a client without a cursor starts with this record."""
        if record.op != "post":
            return record.op != "delete"
        start = starts.get(record.topic)
        if start is None:
            topic = self.topics[record.topic]  # there, because a record of it is retained
            start = starts[topic.name] = topic.since_last(backlog, horizon)
        return record.seq > start

    def _walk(self, selector: Selector, scan: Scan) -> tuple[Iterator[Record], bool]:
        """Records after a scan's cursor, in order, and whether all are of the selected topics.

        By topic where much happened since in few topics; else by place in the whole log.
        """
        if selector.single:
            topic = self.topics.get(selector.single)
            return iter(()) if topic is None else self._of(topic, scan), True
        place = bisect_right(self._order, scan.cursor, key=_seq)
        ahead = len(self._order) - place
        few = not selector.patterns or len(self.topics) * _TOPIC_COST < ahead
        if ahead > SCAN_RECORDS and few:
            found = [self._of(topic, scan) for topic in self._selected(selector, scan.cursor)]
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

    def _of(self, topic: Topic, scan: Scan) -> Iterator[Record]:
        """A topic's records after a scan's cursor."""
        after, horizon = scan.cursor, scan.horizon
        if scan.backlog is not None and topic.kind == "stream":
            after = max(after, topic.since_last(scan.backlog, horizon))
        # What is past counts for a horizon of then only; there may be much of it.
        return topic.since(after) if horizon < self.head else topic.after(after)
