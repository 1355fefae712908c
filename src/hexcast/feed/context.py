"""What all feeds of a hub share: the hub, the counters, the deltas, time, and the scans' turns."""

from __future__ import annotations

from collections.abc import Callable

from ..hub import Hub
from ..model import Counters, Record
from .deltas import Change, Deltas
from .segments import ScanQueue, SegmentCache

__all__ = ["FeedContext"]


class FeedContext:
    """Passed to every feed.

    `schedule` runs a callable in the next turn of the event loop, `later` after some seconds;
    `clock` gives seconds of a monotonic clock.
    """

    def __init__(
        self,
        hub: Hub,
        counters: Counters,
        schedule: Callable[[Callable[[], None]], object],
        clock: Callable[[], float],
        later: Callable[[float, Callable[[], None]], object],
    ) -> None:
        self.hub = hub
        self.counters = counters
        self.schedule = schedule
        self.clock = clock
        self.later = later
        self.deltas = Deltas(hub.limits)
        self.segments = SegmentCache()
        self.scans = ScanQueue(schedule, self.segments)
        self.began = 0.0  # when the first record that waits for a flush was applied

    def change(
        self, record: Record, base: int, *, trusted: bool = True, floor: int = 0
    ) -> Change | None:
        """The change of a state since SEQ `base`; None where the full value has to be sent.

        Without `trusted` the client was not surely sent every value as of `base` (see `Scan`). A
        value that is not newer than `floor` is not known to every client that this is sent to.
        """
        if record.op == "post" or record.op == "delete":
            return None
        value = self.hub.value_at(record.topic, base)
        if value is None or value.seq <= floor:
            return None
        if not trusted and value.skipped and value.seq != base:
            return None
        return self.deltas.change(value, record)
