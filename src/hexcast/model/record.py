"""Records and their ids: what the log is made of.

An id is a record's place in the log, `EPOCH-SEQ`. A cursor is an id that says "I have everything up
to here", or one of the words `earliest` and `now`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import Literal, NamedTuple

__all__ = ["Cursor", "Draft", "Gap", "Id", "Kind", "Op", "Place", "Published", "Record"]

Op = Literal["post", "put", "patch", "append", "delete"]
Kind = Literal["stream", "state"]

# SEQ is bounded so that a cursor always fits 63 bits; it has no leading zeros.
_ID = re.compile(r"([a-z0-9]{1,16})-(0|[1-9][0-9]{0,17})", re.ASCII)


class Id(NamedTuple):
    """A place in the log. `seq` 0 is the place before the first record of its epoch."""

    epoch: str
    seq: int

    def __str__(self) -> str:
        return f"{self.epoch}-{self.seq}"

    @classmethod
    def parse(cls, text: str) -> Id:
        """Read an id. Raises ValueError where `text` is not of the form EPOCH-SEQ."""
        found = _ID.fullmatch(text)
        if found is None:
            raise ValueError("an id is EPOCH-SEQ, such as k3f9-1043")
        return cls(found[1], int(found[2]))


class Place(Enum):
    """The cursors that are words."""

    EARLIEST = "earliest"
    NOW = "now"


Cursor = Id | Place


def parse_cursor(text: str) -> Cursor:
    """Read a cursor: an id, `earliest` or `now`. Raises ValueError on anything else."""
    if text == "earliest":
        return Place.EARLIEST
    if text == "now":
        return Place.NOW
    return Id.parse(text)


@dataclass(slots=True, eq=False)
class Record:
    """One accepted change. Every member is fixed but the last three, the hub's own marks."""

    epoch: str
    seq: int
    topic: str
    op: Op
    event: str
    """The event's name, or empty."""
    type: str
    """Content type of `data`; empty for a delete."""
    data: bytes
    """The payload as published; of a state its full value."""
    time: int
    """When it was accepted, in milliseconds since 1970 UTC."""
    end: bool
    """Whether it is the topic's last for now."""
    until: int = 0
    """SEQ of the record that superseded this one; 0 while nothing has."""
    held: bool = True
    """Whether it can still be replayed."""
    passed: bool = False
    """Whether some client may have been passed over it and yet hold an id beyond it."""

    @property
    def id(self) -> str:
        return f"{self.epoch}-{self.seq}"

    def visible(self, horizon: int) -> bool:
        """Whether a pass up to `horizon` has this record: nothing up to there supersedes it."""
        return not self.until or self.until > horizon


@dataclass(slots=True, eq=False)
class Draft:
    """A change that a publisher asks for, not yet judged."""

    topic: str
    op: Op
    data: bytes = b""
    type: str = ""
    event: str = ""
    end: bool = False
    key: str = ""
    """Idempotency key, or empty."""
    publisher: str = ""
    """Who asks: idempotency keys of one do not meet another's."""
    if_match: tuple[str, ...] = ()
    """Ids of which one must be the topic's newest; `*` stands for any."""
    if_none: tuple[str, ...] = ()
    """Whether the topic must not exist (`If-None-Match: *`)."""
    change: bytes = b""
    """Of a patch or an append what was asked for; `data` is then the value that it leads to."""
    change_type: str = ""
    """Content type of `change`."""


class Published(NamedTuple):
    """What became of an accepted draft."""

    id: str
    topic: str
    changed: bool
    """False where the topic already was so: `id` is then the id it had."""
    begun: bool
    """Whether something new was made: a stream's record, or a state that was not there."""


class Gap(NamedTuple):
    """Records of `topics` after the cursor `after`, before the id `before`, are not held now."""

    after: str
    before: str
    topics: tuple[str, ...]
