"""Publishes that the log has not answered yet. Each is answered once, at the latest by a deadline.

All ways of publishing go through here: one request, the lines of a batch, a message over a
WebSocket. A log may answer late, or never. A publisher cannot wait for ever, so after the deadline
the answer is 503, *unknown*: the record may still be committed, and a retry with the same
idempotency key is safe. What the log answers after that is ignored. A publisher that has
disconnected needs no case of its own: an answer to a finished exchange does nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from ..hub import Hub
from ..log import Done, Outcome
from ..model import Draft, Problem

__all__ = ["PendingPublishes"]

UNKNOWN = Problem(
    503,
    "the log has not answered: whether this was published is unknown; "
    "retry with the same Idempotency-Key",
    retry_after=1,
)


class _Pending:
    """One append that is not answered."""

    __slots__ = ("count", "done", "due")

    def __init__(self, count: int, done: Done) -> None:
        self.count = count
        self.done: Done | None = done  # None once it is answered
        self.due = 0.0

    def answer(self, outcomes: list[Outcome]) -> None:
        done, self.done = self.done, None
        if done is not None:
            done(outcomes)


class PendingPublishes:
    """Hands drafts to the hub. `seconds` is how long a publish may wait for the log."""

    def __init__(self, hub: Hub, seconds: float) -> None:
        self._hub = hub
        self._seconds = seconds
        self._pending: deque[_Pending] = deque()  # by deadline, as all wait equally long

    def publish(self, drafts: Sequence[Draft], done: Done) -> None:
        """Append drafts; `done` gets an outcome for each, once, perhaps before this returns."""
        pending = _Pending(len(drafts), done)
        self._hub.publish(drafts, pending.answer)
        if pending.done is not None:
            pending.due = self._hub.clock() + self._seconds
            self._pending.append(pending)

    def sweep(self) -> None:
        """Answer what has waited too long: called every second."""
        now, queue = self._hub.clock(), self._pending
        while queue and (queue[0].done is None or queue[0].due <= now):
            pending = queue.popleft()
            pending.answer([UNKNOWN] * pending.count)

    def drain(self, seconds: float) -> None:
        """The server stops: whatever is pending is answered within this time."""
        self._seconds = min(self._seconds, seconds)
        latest = self._hub.clock() + seconds
        for pending in self._pending:
            pending.due = min(pending.due, latest)

    def __len__(self) -> int:
        return sum(pending.done is not None for pending in self._pending)
