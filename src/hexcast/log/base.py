"""The ordered log: what every engine does, and what the fold does for it.

The log alone gives records their ids and their order. It knows no rules of topics: the fold judges
each draft (`Fold.stage`) and takes in what was committed (`Fold.apply`). Theory of operation:

1. An engine stages drafts in the order in which it will append them. A draft that is to become a
   record is a `Staged`; the next draft is judged as if that record were applied already. So a log
   that commits later than it judges (a group commit, a server elsewhere) accepts neither two
   records under one `If-None-Match: *` nor a patch of a value that is about to change.
2. Committed entries are applied in the log's order, the oldest staged first. An acknowledgement
   follows its entry's `apply`.
3. Entries of other nodes that come before ours were not seen when ours were staged. The engine
   takes back what is staged (`Fold.unstage`), applies the others' entries and stages again.
   Appending must therefore depend on the place: an engine commits staged entries only right after
   the entry that it has applied last, or not at all.
4. An engine that cannot commit takes back what is staged and refuses the drafts.
5. `stage` returns None for a draft whose outcome depends on a record that is staged but may yet be
   refused. It is staged again when what is staged has been applied or taken back.

`staging.Staging` keeps rules 1, 2, 4 and 5 for engines that commit later than they judge.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple, Protocol

import msgspec

from ..model import Draft, Problem, Published, Record

__all__ = ["Done", "Durability", "Entry", "Fold", "KeyUse", "Log", "Outcome", "Staged"]

Outcome = Published | Problem
"""What becomes of a draft."""

Durability = Literal["nothing", "process", "power", "failover"]
"""What an acknowledged record survives the loss of."""

Done = Callable[[list[Outcome]], None]
"""Takes an outcome for each draft of one `append`; called exactly once."""


class KeyUse(NamedTuple):
    """The use of an idempotency key: kept in the log, so that every node knows a retry."""

    publisher: str
    key: str
    digest: bytes
    """Of all that was asked for (op, type, event, end, payload)."""


class Entry(NamedTuple):
    """One entry of a log."""

    record: Record
    use: KeyUse | None = None
    """Where it was published under an idempotency key."""


class Staged(msgspec.Struct, frozen=True, eq=False, gc=False):
    """A draft that will be a record once the log has committed it, its value settled."""

    draft: Draft
    data: bytes
    """The payload; of a change in part the value that it leads to."""
    type: str
    use: KeyUse | None = None

    def entry(self, epoch: str, seq: int, time: int) -> Entry:
        """The entry at a place in the log; `time` in milliseconds since 1970 UTC."""
        draft = self.draft
        return Entry(
            Record(
                epoch, seq, draft.topic, draft.op, draft.event, self.type, self.data, time,
                draft.end,
            ),
            self.use,
        )  # fmt: skip


class Fold(Protocol):
    """What a log drives: the state that its entries add up to."""

    def stage(self, draft: Draft) -> Staged | Outcome | None:
        """Judge a draft upon what is applied and staged. None: not before that is applied."""
        ...

    def apply(self, entry: Entry, staged: Staged | None = None) -> Published:
        """Take in a committed entry, in order; `staged` is the oldest, where this is its entry.

        Raises RuntimeError where another entry comes while something is staged (rule 3).
        """
        ...

    def unstage(self) -> None:
        """Take back all that is staged."""
        ...

    def begin_epoch(self, epoch: str, base: int) -> None:
        """Entries after the place `base` are of `epoch`, until the next one begins."""
        ...


class Log(Protocol):
    """An ordered log of entries, shared by all nodes that use it."""

    newest: int
    """SEQ of the newest entry committed, on any node, as far as this node knows."""

    durability: Durability
    """What an acknowledged record survives."""

    async def start(self, fold: Fold) -> None:
        """Hand the log's epochs and every entry that is still there to `fold`, then go on.

        Raises OSError where the engine cannot be reached.
        """
        ...

    def append(self, drafts: Sequence[Draft], done: Done) -> None:
        """Stage and append drafts in order, then call `done` with an outcome for each.

        `done` is called once, when the entries are as safe as `durability` promises and the fold
        has applied them; it may be called before `append` returns.
        """
        ...

    def trim(self, floor: int) -> None:
        """Nothing up to the place `floor` is needed any more: the engine may delete it."""
        ...

    async def close(self) -> None:
        """Flush what was acknowledged and release the engine; what is pending is refused."""
        ...
