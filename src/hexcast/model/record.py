"""Records and their ids: what the log is made of.

An id is a record's place in the log, `EPOCH-SEQ`. A cursor is an id that says "I have everything up
to here", or one of the words `earliest` and `now`.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import Literal, NamedTuple

import msgspec

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


class Record(msgspec.Struct, eq=False, gc=False):
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
    retained: bool = True
    """Whether it can still be replayed."""
    skipped: bool = False
    """Whether a client may have been given a later id without having been sent this value."""

    @property
    def id(self) -> str:
        return f"{self.epoch}-{self.seq}"

    def visible(self, horizon: int) -> bool:
        """Whether a scan up to `horizon` has this record: nothing up to there supersedes it."""
        return not self.until or self.until > horizon


class Draft(msgspec.Struct, frozen=True, eq=False, gc=False):
    """A change that a publisher wants, not yet judged."""

    topic: str
    op: Op
    data: bytes = b""
    """The payload; of a `patch` the patch, of an `append` the text to add."""
    type: str = ""
    """Content type of `data`; of a `patch` the kind of patch; empty where it is not known."""
    event: str = ""
    end: bool = False
    key: str = ""
    """Idempotency key, or empty."""
    publisher: str = ""
    """The subject that publishes: idempotency keys of one do not meet another's."""
    if_match: tuple[str, ...] = ()
    """Ids of which one must be the topic's newest; `*` stands for any."""
    if_none: tuple[str, ...] = ()
    """Whether the topic must not exist (`If-None-Match: *`)."""


class Published(NamedTuple):
    """What became of an accepted draft."""

    id: str
    topic: str
    changed: bool
    """False where the topic already was so: `id` is then the id it had."""
    begun: bool
    """Whether something new was made: a stream's record, or a state that was not there."""


class Gap(NamedTuple):
    """Records of `topics` after the cursor `after`, before the id `before`, are not retained."""

    after: str
    before: str
    topics: tuple[str, ...]
    reset: bool = False
    """Whether `after` is of an unknown epoch: every value that the client has is void."""
