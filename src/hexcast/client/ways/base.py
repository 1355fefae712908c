"""What the ways have in common: where a subscription stands, and what a way tells the loop.

A way is an async generator function that makes one connection (or, for a way that asks again and
again, one run of requests), yields what comes, and returns or raises when that is over. It never
reconnects and never waits for another try: `hexcast.client.subscription` does, for all of them.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field

from ...model import WayName
from ..messages import Gap, Record
from ..transport import Transport

__all__ = [
    "Ended",
    "Glimpse",
    "Item",
    "Moved",
    "Opened",
    "Position",
    "Retry",
    "WayFunction",
]


@dataclass(slots=True)
class Position:
    """What a subscription asks for and how far it has come. The loop alone moves it."""

    topics: tuple[str, ...]

    cursor: str | None
    """Everything up to here has been received; also `earliest` and `now`, or None to begin."""

    last: int | None
    """How many of each stream's newest records to begin with; of no meaning with a cursor."""

    every: float
    """Seconds between two requests, for the ways that ask again and again."""

    seen: dict[str, str] = field(default_factory=dict)
    """By topic, the id last seen on a page: pages are looked at again and again."""

    def query(self) -> dict[str, str]:
        """The parameters that say where to begin."""
        if self.cursor is not None:
            return {"since": self.cursor}
        return {} if self.last is None else {"last": str(self.last)}


@dataclass(frozen=True, slots=True)
class Opened:
    """The server has taken the subscription on this way."""

    way: WayName | None = None
    """The way that serves, where it is not the one asked for."""

    fallback: str = ""
    """Why it is not: `http1`, `push-off` or `no-streams`."""


@dataclass(frozen=True, slots=True)
class Moved:
    """Everything up to `cursor` has been received, though no record says so."""

    cursor: str


@dataclass(frozen=True, slots=True)
class Glimpse:
    """A record that came without those before it: it does not move the cursor."""

    record: Record


@dataclass(frozen=True, slots=True)
class Retry:
    """The server asks for this many seconds between the end of a connection and the next."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Ended:
    """The topic has come to its end: nothing more will come, and there is no reconnecting."""


Item = Record | Gap | Glimpse | Opened | Moved | Retry | Ended
WayFunction = Callable[[Transport, Position], AsyncGenerator[Item, None]]
