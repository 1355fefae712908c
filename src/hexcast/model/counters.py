"""Counters that the hot paths raise: plain integers, read by `/metrics` when it is asked."""

from __future__ import annotations

from bisect import bisect_left

from .ways import WAYS

__all__ = ["BUCKETS", "Counters", "WayCounters"]

BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
"""Upper bounds, in seconds, of the latency histogram."""


class WayCounters:
    """What one way has done."""

    __slots__ = ("clients", "deliveries", "folds", "gaps", "requests", "sent")

    def __init__(self) -> None:
        self.clients = 0  # connected or held now
        self.requests = 0
        self.deliveries = 0  # records written, counted once a client
        self.sent = 0  # payload bytes written, with the way's own framing
        self.folds = 0  # state changes that were superseded before they were written
        self.gaps = 0


class Counters:
    """All meters of one server."""

    def __init__(self) -> None:
        self.ways: dict[str, WayCounters] = {way: WayCounters() for way in WAYS}
        self.connections = 0
        self.requests = 0
        self.refused = 0  # answers with a status of 400 or above
        self.received = 0  # bytes read
        self.latency_counts = [0] * (len(BUCKETS) + 1)
        self.latency_sum = 0.0

    def latency(self, seconds: float, deliveries: int) -> None:
        """Note the time from publish to write of records that went to `deliveries` clients."""
        self.latency_counts[bisect_left(BUCKETS, seconds)] += deliveries
        self.latency_sum += seconds * deliveries
