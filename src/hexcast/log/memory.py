"""The log in this process's memory: as fast as can be, and gone with the process.

It keeps nothing itself: what can be replayed is what the fold holds. So each start is a new epoch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..model import Draft, Record
from .base import Fold, Outcome, Promise

__all__ = ["MemoryLog"]


class MemoryLog:
    """A log of one process. `now` gives the time in milliseconds since 1970 UTC."""

    promise: Promise = "nothing"

    def __init__(self, epoch: str, now: Callable[[], int]) -> None:
        self.epoch = epoch
        self.newest = 0
        self._now = now
        self._fold: Fold | None = None

    def open(self, fold: Fold) -> None:
        self._fold = fold

    def append(self, drafts: Sequence[Draft], done: Callable[[list[Outcome]], None]) -> None:
        fold = self._fold
        if fold is None:
            raise RuntimeError("the log is not open")
        judge, apply, epoch, now = fold.judge, fold.apply, self.epoch, self._now()
        outcomes: list[Outcome] = []
        for draft in drafts:
            outcome = judge(draft)
            if outcome is None:
                self.newest += 1
                record = Record(
                    epoch, self.newest, draft.topic, draft.op, draft.event, draft.type,
                    draft.data, now, draft.end,
                )  # fmt: skip
                outcome = apply(record, draft)
            outcomes.append(outcome)
        done(outcomes)

    def close(self) -> None:
        self._fold = None
