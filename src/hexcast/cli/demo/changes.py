"""What about this machine is worth telling: changes, not figures. No I/O, no clock.

Each watch has a threshold for the beginning of a condition and a lower one for its end, so that a
figure that wavers about a threshold is told once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .machine import Snapshot

__all__ = ["Burst", "Change", "Changes", "Drift", "Threshold"]

MEGABYTE = 1e6


@dataclass(frozen=True, slots=True)
class Change:
    """One notable change; `event` names its sort, such as `cpu-high`."""

    event: str
    text: str
    value: float


class Threshold:
    """High from `high` on, until it falls below `low`; both on the mean of the newest `over`
    values."""

    def __init__(self, high: float, low: float, over: int = 1) -> None:
        self._high, self._low = high, low
        self._over = over
        self._values: list[float] = []
        self.is_high = False
        self.mean = 0.0

    def changed(self, value: float) -> bool:
        """Take the next value; True when it became high, or ceased to be."""
        self._values = [*self._values[-self._over + 1 :], value] if self._over > 1 else [value]
        if len(self._values) < self._over:
            return False
        self.mean = sum(self._values) / len(self._values)
        before = self.is_high
        self.is_high = self.mean >= (self._low if before else self._high)
        return self.is_high != before


class Burst:
    """High when a rate is at least `least` and several times its usual self."""

    FACTOR_HIGH = 5.0
    FACTOR_LOW = 2.0
    MEMORY = 0.95  # how much of the usual rate is kept with each new value

    def __init__(self, least: float) -> None:
        self._least = least
        self._usual: float | None = None
        self.is_high = False

    def changed(self, rate: float) -> bool:
        """Take the next value; True when a burst began or ended."""
        if self._usual is None:
            self._usual = rate
            return False
        before = self.is_high
        factor = self.FACTOR_LOW if before else self.FACTOR_HIGH
        least = self._least / 2 if before else self._least
        self.is_high = rate >= max(least, factor * self._usual)
        # What lasts becomes usual, so that a burst ends by itself in the end.
        self._usual = self.MEMORY * self._usual + (1 - self.MEMORY) * rate
        return self.is_high != before


class Drift:
    """A count that moved by at least `least` and a tenth since it was last told."""

    def __init__(self, least: int) -> None:
        self._least = least
        self.told: int | None = None

    def moved(self, count: int) -> int:
        """Take the next value; how far it has moved, or 0 when that is not worth telling."""
        if self.told is None:
            self.told = count
            return 0
        distance = count - self.told
        if abs(distance) < max(self._least, self.told / 10):
            return 0
        self.told = count
        return distance


class Changes:
    """Watches one machine."""

    def __init__(self) -> None:
        self._cpu = Threshold(high=85, low=60, over=3)
        self._memory = Threshold(high=90, low=85)
        self._swap = Threshold(high=50, low=40)
        self._disk = Threshold(high=90, low=88)
        self._load = Threshold(high=1.5, low=1.0)
        self._received = Burst(least=MEGABYTE)
        self._sent = Burst(least=MEGABYTE)
        self._written = Burst(least=20 * MEGABYTE)
        self._processes = Drift(least=10)
        self._interfaces: frozenset[str] | None = None

    def of(self, now: Snapshot) -> Iterator[Change]:
        """Take the next reading; what is worth telling of it."""
        if self._cpu.changed(now.cpu_percent):
            yield _level("cpu", self._cpu, f"the processors are {self._cpu.mean:.0f} % busy")
        if self._memory.changed(now.memory_percent):
            yield _level("memory", self._memory, f"{now.memory_percent:.0f} % of memory is in use")
        if self._swap.changed(now.swap_percent):
            yield _level("swap", self._swap, f"{now.swap_percent:.0f} % of swap is in use")
        if self._disk.changed(now.disk_percent):
            yield _level("disk", self._disk, f"{now.disk_percent:.0f} % of the disk is in use")
        per_core = now.load[0] / max(len(now.cpu_each), 1)
        if self._load.changed(per_core):
            yield _level("load", self._load, f"the load is {per_core:.1f} for each core")
        for name, burst, rate, words in (
            ("received", self._received, now.network_received, "received from the network"),
            ("sent", self._sent, now.network_sent, "sent to the network"),
            ("written", self._written, now.disk_written, "written to disk"),
        ):
            if burst.changed(rate):
                state = "burst" if burst.is_high else "calm"
                yield Change(f"{name}-{state}", f"{rate / MEGABYTE:.1f} MB/s {words}", round(rate))
        moved = self._processes.moved(now.processes)
        if moved:
            words = "more" if moved > 0 else "fewer"
            text = f"{abs(moved)} processes {words}: {now.processes}"
            yield Change("processes", text, now.processes)
        yield from self._links(now.interfaces_up)

    def _links(self, up: frozenset[str]) -> Iterator[Change]:
        before, self._interfaces = self._interfaces, up
        if before is not None:
            for name in sorted(up - before):
                yield Change("interface-up", f"network interface {name} is up", 1)
            for name in sorted(before - up):
                yield Change("interface-down", f"network interface {name} is down", 0)


def _level(name: str, threshold: Threshold, text: str) -> Change:
    state = "high" if threshold.is_high else "normal"
    return Change(f"{name}-{state}", text, round(threshold.mean, 2))
