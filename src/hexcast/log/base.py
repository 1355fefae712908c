"""What every log must do, whatever it is kept on.

The log alone gives order and ids. It judges each draft by the fold's rules at the very place in the
sequence that the record will have, so that an expectation (`If-Match`, the topic's kind, an
idempotency key) and the append are one step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, Protocol

from ..model import Draft, Problem, Published, Record

__all__ = ["Fold", "Log", "Outcome", "Promise"]

Outcome = Published | Problem
Promise = Literal["nothing", "process", "power", "failover"]


class Fold(Protocol):
    """What a log drives: the state that its records add up to."""

    def judge(self, draft: Draft) -> Outcome | None:
        """What becomes of a draft without a record, or None where it is to be one."""
        ...

    def apply(self, record: Record, draft: Draft | None) -> Published:
        """Take in a committed record, in order. `draft` is given where this node appended it."""
        ...


class Log(Protocol):
    """An ordered log of records."""

    epoch: str
    """The epoch of the records that are appended now."""

    newest: int
    """SEQ of the newest record committed, on any node."""

    promise: Promise
    """What an acknowledged record survives."""

    def open(self, fold: Fold) -> None:
        """Begin to hand committed records to `fold`, oldest first."""
        ...

    def append(self, drafts: Sequence[Draft], done: Callable[[list[Outcome]], None]) -> None:
        """Judge and append drafts in order, then call `done` with an outcome for each.

        `done` is called once, when the records are as safe as `promise` says and the fold has
        applied them; it may be called before `append` returns.
        """
        ...

    def close(self) -> None:
        """Flush what was acknowledged and let go of the engine."""
        ...
