"""A scan: a walk over a part of the log, and one segment of what it yields."""

from __future__ import annotations

from typing import NamedTuple

from ..model import Record

__all__ = ["Scan", "Scanned"]


class Scan(NamedTuple):
    """A walk over (cursor, horizon] in the log's order, for one client or for all at one place.

    It yields every stream record, and of each state only its newest place at or below the horizon.
    The horizon stays fixed while the cursor moves on.
    """

    cursor: int
    """SEQ up to which everything was yielded."""
    horizon: int
    """SEQ at which the scan ends."""
    backlog: int | None = None
    """For a client without a cursor: how many of each stream's newest records come first, beside
    every state's value. None for a client that has a cursor: everything comes."""
    base: int | None = None
    """SEQ as of which the client has the values of states, so that changes can be sent as deltas.
    None where it has none."""
    base_trusted: bool = False
    """Whether the client was sent every value as of `base`. Not so where the client named the
    place: it may have been cut in the middle of a scan."""

    @property
    def done(self) -> bool:
        """Whether everything was yielded."""
        return self.cursor >= self.horizon

    def at(self, cursor: int) -> Scan:
        """The same scan, further on."""
        return self._replace(cursor=cursor)


class Scanned(NamedTuple):
    """One segment of a scan: its records, the SEQ that it reached, and how many it skipped."""

    records: list[Record]
    position: int
    conflated: int
