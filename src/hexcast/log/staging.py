"""Drafts on their way through an engine that commits later than it judges. No I/O.

An engine gives drafts to `add`, takes staged ones with `take` and appends them, and reports what
came of it: `committed` or `refused` for the oldest, `withdrawn` for all. Answers go out in order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from ..model import Draft, Problem
from .base import Done, Entry, Fold, Outcome, Staged

__all__ = ["Staging"]


class _Append:
    """One call of `append`: its drafts, and the outcomes that are there so far."""

    __slots__ = ("done", "drafts", "outcomes", "taken")

    def __init__(self, drafts: Sequence[Draft], done: Done) -> None:
        self.drafts = drafts
        self.done = done
        self.taken = 0  # drafts that are staged or have an outcome
        self.outcomes: list[Outcome | None] = [None] * len(drafts)

    def settle(self, index: int, outcome: Outcome) -> None:
        self.outcomes[index] = outcome


class Staging:
    """The queue of one engine: what waits to be staged, what is staged, what is to be answered."""

    def __init__(self, fold: Fold) -> None:
        self._fold = fold
        self._appends: deque[_Append] = deque()  # not answered, oldest first
        self._staged: deque[tuple[Staged, _Append, int]] = deque()

    def __len__(self) -> int:
        """How many drafts are staged."""
        return len(self._staged)

    @property
    def waiting(self) -> bool:
        """Whether there are drafts that are not staged."""
        return any(a.taken < len(a.drafts) for a in self._appends)

    def add(self, drafts: Sequence[Draft], done: Done) -> None:
        """Queue drafts; `done` gets an outcome for each."""
        self._appends.append(_Append(drafts, done))
        self._answer()

    def take(self, limit: int) -> list[Staged]:
        """Stage up to `limit` more drafts, and return those that are to be appended, in order."""
        taken: list[Staged] = []
        for append in self._appends:
            while append.taken < len(append.drafts):
                if len(taken) >= limit:
                    return taken
                verdict = self._fold.stage(append.drafts[append.taken])
                if verdict is None:
                    return taken  # it, and all behind it, wait for what is staged
                if isinstance(verdict, Staged):
                    self._staged.append((verdict, append, append.taken))
                    taken.append(verdict)
                else:
                    append.settle(append.taken, verdict)
                append.taken += 1
        self._answer()
        return taken

    def committed(self, entry: Entry) -> None:
        """The oldest staged draft has become `entry`."""
        staged, append, index = self._staged.popleft()
        append.settle(index, self._fold.apply(entry, staged))
        self._answer()

    def refused(self, count: int, problem: Problem) -> None:
        """The engine will not take the `count` oldest staged drafts; the rest is judged again."""
        self._fold.unstage()
        for _ in range(count):
            _, append, index = self._staged.popleft()
            append.settle(index, problem)
        self._requeue()
        self._answer()

    def withdrawn(self) -> None:
        """Others' entries came first: what is staged has to be judged again, upon those."""
        self._fold.unstage()
        self._requeue()

    def _requeue(self) -> None:
        for _, append, index in self._staged:
            append.taken = min(append.taken, index)
        self._staged.clear()
        for append in self._appends:
            append.outcomes[append.taken :] = [None] * (len(append.drafts) - append.taken)

    def close(self, problem: Problem) -> None:
        """Refuse everything that is not answered."""
        self.refused(len(self._staged), problem)
        for append in self._appends:
            for index in range(append.taken, len(append.drafts)):
                append.settle(index, problem)
            append.taken = len(append.drafts)
        self._answer()

    def _answer(self) -> None:
        while self._appends and None not in self._appends[0].outcomes:
            append = self._appends.popleft()
            append.done([outcome for outcome in append.outcomes if outcome is not None])
