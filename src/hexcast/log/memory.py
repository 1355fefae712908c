"""The log in this process's memory: fast, and lost with the process.

It keeps no entries itself: what can be replayed is what the fold retains. Each start is a new
epoch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..model import Draft
from .base import Done, Durability, Fold, Outcome, Staged

__all__ = ["MemoryLog"]


class MemoryLog:
    """A log of one process. `now` gives the time in milliseconds since 1970 UTC."""

    durability: Durability = "nothing"

    def __init__(self, epoch: str, now: Callable[[], int]) -> None:
        self.newest = 0
        self._epoch = epoch
        self._now = now
        self._fold: Fold | None = None

    async def start(self, fold: Fold) -> None:
        fold.begin_epoch(self._epoch, self.newest)
        self._fold = fold

    def append(self, drafts: Sequence[Draft], done: Done) -> None:
        """Each draft is applied before the next is staged, so that nothing stays staged."""
        fold = self._fold
        if fold is None:
            raise RuntimeError("the log is not started")
        stage, apply, epoch, now = fold.stage, fold.apply, self._epoch, self._now()
        outcomes: list[Outcome] = []
        for draft in drafts:
            staged = stage(draft)
            if isinstance(staged, Staged):
                self.newest += 1
                outcomes.append(apply(staged.entry(epoch, self.newest, now), staged))
            else:
                if staged is None:
                    raise RuntimeError("a draft cannot wait: nothing is staged")
                outcomes.append(staged)
        done(outcomes)

    def trim(self, floor: int) -> None:
        """Nothing is kept here that could be deleted."""

    async def close(self) -> None:
        self._fold = None
