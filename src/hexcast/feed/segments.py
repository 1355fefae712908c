"""Encoded segments of scans, shared by subscribers that scan the same part of the log, and the
order in which those that scan take their turns."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from typing import NamedTuple

__all__ = ["ScanQueue", "Segment", "SegmentCache"]

CACHED_BYTES = 64 * 2**20
"""Encoded bytes that may be cached, of all feeds together."""

TURN_SEGMENTS = 64
"""Cached segments that may be written in one turn of the event loop."""


class Segment(NamedTuple):
    """One encoded segment of a scan."""

    chunk: bytes
    position: int
    """SEQ that the scan has reached with it."""
    horizon: int
    """Horizon of the scan that it was made for."""
    records: int
    first: int
    """SEQ of the first record, or 0."""
    last: int
    """SEQ of the last record, or 0."""
    end: bool
    """Whether the last record is the topic's last for now."""


class SegmentCache:
    """The segments used lately, by a key that their feed makes."""

    def __init__(self) -> None:
        self.made = 0  # segments that had to be made
        self._segments: OrderedDict[tuple[object, ...], Segment] = OrderedDict()
        self._used: set[tuple[object, ...]] = set()  # since the last sweep
        self._bytes = 0

    def get(self, key: tuple[object, ...]) -> Segment | None:
        segment = self._segments.get(key)
        if segment is not None:
            self._used.add(key)
            self._segments.move_to_end(key)
        return segment

    def put(self, key: tuple[object, ...], segment: Segment) -> None:
        """Keep a segment, in place of any of this key; evict those that were used longest ago."""
        self.made += 1
        self._remove(key)
        self._segments[key] = segment
        self._used.add(key)
        self._bytes += len(segment.chunk)
        while self._bytes > CACHED_BYTES:
            self._remove(next(iter(self._segments)))

    def sweep(self) -> None:
        """Release what nobody has used since the last sweep."""
        for key in [key for key in self._segments if key not in self._used]:
            self._remove(key)
        self._used.clear()

    def _remove(self, key: tuple[object, ...]) -> None:
        segment = self._segments.pop(key, None)
        if segment is not None:
            self._bytes -= len(segment.chunk)


class ScanQueue:
    """Those that scan, one segment each in turn.

    One turn of the event loop makes at most one new segment and writes at most `TURN_SEGMENTS`, so
    that records reach those that are caught up, however many scan. The turn is bounded by counts
    and not by time: the event loop's clock stands still within a turn.
    """

    def __init__(
        self, schedule: Callable[[Callable[[], None]], object], cache: SegmentCache
    ) -> None:
        self._schedule = schedule
        self._cache = cache
        self._waiting: deque[Callable[[], None]] = deque()
        self._scheduled = False

    def add(self, advance: Callable[[], None]) -> None:
        """Call `advance`, which writes one segment, when it is its turn."""
        self._waiting.append(advance)
        if not self._scheduled:
            self._scheduled = True
            self._schedule(self._run)

    def _run(self) -> None:
        waiting, cache = self._waiting, self._cache
        made = cache.made
        try:
            for _ in range(min(len(waiting), TURN_SEGMENTS)):
                waiting.popleft()()
                if cache.made != made:
                    break
        finally:
            self._scheduled = bool(waiting)
            if waiting:
                self._schedule(self._run)
