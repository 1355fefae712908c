"""One line of the benchmark's table, and how much work each measure does."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

__all__ = ["FULL", "QUICK", "Amounts", "Row"]


@dataclass(frozen=True, slots=True)
class Amounts:
    """How much of everything a run does. Chosen so that a full run takes a few minutes."""

    small: int = 1_000
    """Subscribers of the small fan-out, of the burst, of the long polls, of the own selectors."""

    large: int = 10_000
    """Subscribers of the large fan-out and of the memory figure."""

    rounds: int = 15
    """Rounds of C loop and server in turn; the median counts."""

    deliveries: int = 50_000
    """Deliveries in one round of a fan-out."""

    deliveries_per_second: int = 40_000
    """Pace of a fan-out: 40 records a second to 1,000 subscribers, 4 to 10,000."""

    burst: int = 2_000
    """Records of one burst."""

    polls: int = 20_000
    """Requests of one round of polling."""

    poll_connections: int = 40
    """Keep-alive connections that poll, one request in flight on each."""

    cycles: int = 15
    """Records of one round of long polling; each client is answered once a record."""

    batch: int = 50_000
    """Lines of one batch."""

    publishes: int = 2_000
    """Single publishes of one round, without a subscriber."""


FULL = Amounts()
QUICK = Amounts(
    small=200,
    large=1_000,
    rounds=2,
    deliveries=10_000,
    burst=200,
    polls=5_000,
    cycles=5,
    batch=10_000,
    publishes=300,
)


@dataclass(slots=True)
class Row:
    """One measured figure and what it is held against."""

    name: str
    """The measure's name, as `--only` takes it."""

    measure: str
    """What was measured, for people."""

    figure: float
    unit: str

    limit: float | None = None
    """The limit of `judged`; None for a figure that is only told."""

    sense: Literal["at most", "at least"] = "at most"

    floor: float | None = None
    """The C loop's figure in the same run, in the same unit."""

    ratio: float | None = None
    """Median over the rounds of figure to floor; where there is one, the limit is the ratio's."""

    rounds: list[float] = field(default_factory=list)
    """What each round gave: ratios where there is a ratio, else figures."""

    note: str = ""

    @property
    def judged(self) -> float:
        """The number that the limit is for."""
        return self.figure if self.ratio is None else self.ratio

    @property
    def verdict(self) -> str:
        """`pass`, `missed`, or nothing for a figure without a limit."""
        if self.limit is None:
            return ""
        good = self.judged <= self.limit if self.sense == "at most" else self.judged >= self.limit
        return "pass" if good else "missed"

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "verdict": self.verdict}
