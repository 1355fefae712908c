"""What is retained of one topic: of a state its newest value, of a stream a window of records.

Of a state, earlier values are retained for a while: for clients that lag, and for deltas.

There may be a million topics of one record each, so a window is made only when there is a second.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import deque
from collections.abc import Iterator
from itertools import chain, islice
from operator import attrgetter

from ..model import Kind, Record

__all__ = ["Topic"]

_seq = attrgetter("seq")
_RATE_SECONDS = 10.0


class Topic:
    """One topic. `newest` is its newest record, which may be a delete; None where none is
    retained."""

    __slots__ = ("evicted", "kind", "name", "newest", "past", "rated", "rates", "size", "window")

    def __init__(self, name: str, kind: Kind) -> None:
        self.name = name
        self.kind: Kind = kind
        self.newest: Record | None = None
        self.window: deque[Record] | None = None  # oldest first; None while there is at most one
        self.past: deque[Record] | None = None  # superseded values, oldest first, with no holes
        self.size = 0  # payload bytes retained
        self.evicted = 0  # SEQ of the newest record evicted to make room, or for its age
        self.rates = 0.0
        self.rated = 0

    @property
    def value(self) -> Record | None:
        """The newest record, unless the topic was deleted or has no records."""
        newest = self.newest
        return None if newest is None or newest.op == "delete" else newest

    def add(self, record: Record) -> None:
        """Retain one more record of a stream, or a delete."""
        if self.newest is not None:
            if self.window is None:
                self.window = deque((self.newest,))
            self.window.append(record)
        self.newest = record
        self.size += len(record.data)

    def replace(self, record: Record) -> None:
        """Retain `record` and nothing else."""
        self.newest = record
        self.window = None
        self.size = len(record.data)

    def supersede(self) -> None:
        """Keep the newest record of a state as one of the past."""
        if self.newest is not None:
            if self.past is None:
                self.past = deque()
            self.past.append(self.newest)

    def release(self, record: Record) -> None:
        """Release `record`, the oldest of the past; void where it is not there any more."""
        if self.past and self.past[0] is record:
            self.past.popleft()
            if not self.past:
                self.past = None

    def at(self, seq: int) -> Record | None:
        """The value that a state had at a place, if that is still known and was not deleted."""
        newest, past = self.newest, self.past
        if newest is None or newest.op == "post":
            return None
        if newest.seq > seq:
            if past is None or past[0].seq > seq:
                return None
            last = past[-1]
            newest = last if last.seq <= seq else past[bisect_right(past, seq, key=_seq) - 1]
        return None if newest.op == "delete" else newest

    def evict(self) -> Record | None:
        """Remove the oldest record and return it; None where there is none."""
        if self.window is None:
            oldest, self.newest = self.newest, None
        else:
            oldest = self.window.popleft()
            if len(self.window) == 1:
                self.window = None
        if oldest is not None:
            self.size -= len(oldest.data)
            if oldest.seq > self.evicted:
                self.evicted = oldest.seq
        return oldest

    def __len__(self) -> int:
        if self.window is not None:
            return len(self.window)
        return 0 if self.newest is None else 1

    def after(self, seq: int) -> Iterator[Record]:
        """The retained records whose SEQ is above `seq`, oldest first."""
        if self.window is None:
            if self.newest is not None and self.newest.seq > seq:
                yield self.newest
            return
        yield from islice(self.window, bisect_right(self.window, seq, key=_seq), None)

    def since(self, seq: int) -> Iterator[Record]:
        """Like `after`, but with the values of a state that are past."""
        if self.past is not None:
            yield from islice(self.past, bisect_right(self.past, seq, key=_seq), None)
        yield from self.after(seq)

    def recent(self, count: int) -> list[Record]:
        """Up to `count` newest records, the newest first, past values included."""
        retained = self.window or ((self.newest,) if self.newest is not None else ())
        return list(islice(chain(reversed(retained), reversed(self.past or ())), count))

    def find(self, seq: int) -> Record | None:
        """The record with this SEQ, if it is retained, or a value of a state that is not long
        past."""
        found = next(self.since(seq - 1), None)
        return found if found is not None and found.seq == seq else None

    def since_last(self, count: int, horizon: int) -> int:
        """The SEQ after which a stream's newest `count` records up to `horizon` begin.

        A delete ends the count: what was before it is deleted.
        """
        seq, left = horizon, count
        for record in reversed(self.window or ((self.newest,) if self.newest else ())):
            if record.seq > horizon:
                continue
            if left == 0 or record.op == "delete":
                return record.seq
            seq, left = record.seq - 1, left - 1
        return seq

    def count(self, time: int) -> None:
        """Count one record at `time` (milliseconds) towards the rate."""
        elapsed = (time - self.rated) / 1000
        self.rates = (
            self.rates * math.exp(-elapsed / _RATE_SECONDS) if elapsed > 0 else self.rates
        ) + (1 / _RATE_SECONDS)
        self.rated = time

    def rate(self, time: int) -> float:
        """Records a second, over about the last ten seconds before `time` (milliseconds)."""
        elapsed = max(0, time - self.rated) / 1000
        return self.rates * math.exp(-elapsed / _RATE_SECONDS)
