"""Timers for many clients: one wheel of buckets in place of one timer each.

Time is passed in. Moving a deadline later costs one attribute: the thing stays in its bucket, and
is moved on when the bucket is due.
"""

from __future__ import annotations

import math
from typing import Protocol

__all__ = ["Timed", "TimerWheel"]


class Timed(Protocol):
    """What can have a deadline. Both attributes belong to the wheel; `due` is 0.0 for none."""

    due: float
    bucket: int

    def timeout(self) -> None:
        """The deadline has passed."""
        ...


class TimerWheel:
    """Deadlines in seconds of one clock, met up to `resolution` seconds late, never early."""

    def __init__(self, resolution: float = 0.25) -> None:
        self.resolution = resolution
        self._buckets: dict[int, set[Timed]] = {}
        self._turned = 0  # the last bucket that came up

    def set(self, thing: Timed, when: float) -> None:
        """Call `thing.timeout` at `when`, in place of any deadline set before."""
        thing.due = when
        bucket = max(math.ceil(when / self.resolution), self._turned + 1)
        if not thing.bucket:
            self._put(thing, bucket)
        elif bucket < thing.bucket:
            self._take(thing)
            self._put(thing, bucket)

    def clear(self, thing: Timed) -> None:
        """Set no deadline. Cheap: `thing` stays in its bucket until that is due."""
        thing.due = 0.0

    def remove(self, thing: Timed) -> None:
        """Set no deadline, and refer to `thing` no longer."""
        thing.due = 0.0
        if thing.bucket:
            self._take(thing)

    def advance(self, now: float) -> None:
        """Call `timeout` of everything that is due at `now`."""
        upto = math.floor(now / self.resolution)
        if not self._buckets:
            self._turned = max(self._turned, upto)
            return
        for bucket in sorted(b for b in self._buckets if b <= upto):
            self._turned = max(self._turned, bucket)
            for thing in self._buckets.pop(bucket):
                thing.bucket = 0
                if thing.due == 0.0:
                    continue
                if thing.due > now:
                    self.set(thing, thing.due)
                else:
                    thing.due = 0.0
                    thing.timeout()
        self._turned = max(self._turned, upto)

    def __len__(self) -> int:
        return sum(map(len, self._buckets.values()))

    def _put(self, thing: Timed, bucket: int) -> None:
        thing.bucket = bucket
        self._buckets.setdefault(bucket, set()).add(thing)

    def _take(self, thing: Timed) -> None:
        bucket = self._buckets.get(thing.bucket)
        if bucket is not None:
            bucket.discard(thing)
            if not bucket:
                del self._buckets[thing.bucket]
        thing.bucket = 0
