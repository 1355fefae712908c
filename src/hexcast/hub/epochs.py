"""Epochs: the stretches of a log's life in which it is known to be whole.

SEQ goes on across epochs. An epoch begins after a place of its parent, `base`: what the parent had
beyond that place is lost, so that a cursor there means nothing, while one up to it is still good.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import NamedTuple

from ..model import Id

__all__ = ["Epoch", "Epochs"]


class Epoch(NamedTuple):
    """One row of the table."""

    name: str
    base: int
    """The place after which its entries begin; 0 for the first."""


class Epochs:
    """The table of a log's epochs, oldest first."""

    def __init__(self) -> None:
        self._rows: list[Epoch] = []
        self._newest = ""

    def begin(self, name: str, base: int) -> None:
        """Entries after `base` are of this epoch. Raises ValueError where it is out of order."""
        if any(row.name == name for row in self._rows):
            raise ValueError(f"the epoch {name} has begun already")
        if self._rows and base < self._rows[-1].base:
            raise ValueError(f"the epoch {name} begins before its parent")
        self._rows.append(Epoch(name, base))
        self._newest = name

    @property
    def newest(self) -> str:
        """The epoch of entries that are appended now; empty before the first has begun."""
        return self._newest

    def of(self, seq: int) -> str:
        """The epoch of a place: the newest that begins before it."""
        if len(self._rows) == 1 or seq > self._rows[-1].base:
            return self._newest
        # The place at which an epoch begins is the last of its parent.
        index = bisect_left(self._rows, seq, key=lambda row: row.base) - 1
        return self._rows[max(index, 0)].name

    def known(self, cursor: Id, head: int) -> bool:
        """Whether a cursor is a place in this log's past or present; `head` is its newest place."""
        for index, row in enumerate(self._rows):
            if row.name == cursor.epoch:
                last = index + 1 == len(self._rows)
                return row.base <= cursor.seq <= (head if last else self._rows[index + 1].base)
        return False
