"""A wire form: how a record, a gap or a place is written for one way, format and framing.

A record is encoded once for each form and the bytes are shared by all clients of it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

from ..model import Gap, Record
from .deltas import Change

__all__ = ["AnswerEncoder", "Encoder", "StreamEncoder"]

_MEMO_RECORDS = 1024
_MEMO_BYTES = 2**20


class Encoder(ABC):
    """One wire form. Forms of equal `key` are one form."""

    way: str
    """The protocol's name of the way."""

    def __init__(self, key: tuple[object, ...]) -> None:
        self.key = (type(self), *key)


class StreamEncoder(Encoder):
    """The form of a stream that stays open: each record is a piece of it."""

    def __init__(self, key: tuple[object, ...]) -> None:
        super().__init__(key)
        self._memo: dict[Record | Change, bytes] = {}
        self._memo_bytes = 0

    def record(self, item: Record | Change) -> bytes:
        """The piece that tells of a record, or of a change; the newest few are remembered."""
        piece = self._memo.get(item)
        if piece is None:
            piece = self.encode_change(item) if isinstance(item, Change) else self.encode(item)
            if len(self._memo) >= _MEMO_RECORDS or self._memo_bytes > _MEMO_BYTES:
                self._memo.clear()
                self._memo_bytes = 0
            self._memo[item] = piece
            self._memo_bytes += len(piece)
        return piece

    def chunk(self, items: Sequence[Record | Change]) -> bytes:
        """What tells of records and changes, one after the other."""
        if len(items) == 1:
            return self.record(items[0])
        return b"".join([self.record(r) for r in items])

    def after_gap(self, gap: Gap, chunk: bytes) -> bytes:
        """A chunk, with a gap before it."""
        return self.gap(gap) + chunk

    def forget(self) -> None:
        """Let go of what is remembered."""
        self._memo.clear()
        self._memo_bytes = 0

    @abstractmethod
    def encode(self, record: Record) -> bytes:
        """The piece that tells of a record."""

    def encode_change(self, change: Change) -> bytes:
        """The piece that tells of a change to a state; the full value where the form has none."""
        return self.encode(change.record)

    @abstractmethod
    def gap(self, gap: Gap) -> bytes:
        """The piece that tells of a gap."""


class AnswerEncoder(Encoder):
    """The form of a held answer: one for all who wait, and then it is over."""

    @abstractmethod
    def answer(
        self, records: Sequence[Record], position: int, changes: Mapping[Record, Change]
    ) -> object:
        """The answer that tells of `records`, after which a client has all up to `position`.

        Those that are in `changes` are encoded as such.
        """
