"""A wire format: how a record, a gap or a position is written for one way, format and framing.

A record is encoded once for each wire format, and all clients of that format share the bytes.
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
    """One wire format. Encoders of equal `key` are of the same one."""

    way: str
    """The protocol's name of the way."""

    def __init__(self, key: tuple[object, ...]) -> None:
        self.key = (type(self), *key)


class StreamEncoder(Encoder):
    """The wire format of a stream that stays open: each record is a fragment of it."""

    def __init__(self, key: tuple[object, ...]) -> None:
        super().__init__(key)
        self._memo: dict[Record | Change, bytes] = {}
        self._memo_bytes = 0

    def record(self, item: Record | Change) -> bytes:
        """The fragment of a record, or of a change; the newest few are cached."""
        fragment = self._memo.get(item)
        if fragment is None:
            fragment = self.encode_change(item) if isinstance(item, Change) else self.encode(item)
            if len(self._memo) >= _MEMO_RECORDS or self._memo_bytes > _MEMO_BYTES:
                self._memo.clear()
                self._memo_bytes = 0
            self._memo[item] = fragment
            self._memo_bytes += len(fragment)
        return fragment

    def chunk(self, items: Sequence[Record | Change]) -> bytes:
        """The fragments of records and changes, one after the other."""
        if len(items) == 1:
            return self.record(items[0])
        return b"".join([self.record(r) for r in items])

    def after_gap(self, gap: Gap, chunk: bytes) -> bytes:
        """A chunk, with a gap before it."""
        return self.gap(gap) + chunk

    def release(self) -> None:
        """Release the cached fragments."""
        self._memo.clear()
        self._memo_bytes = 0

    @abstractmethod
    def encode(self, record: Record) -> bytes:
        """The fragment of a record."""

    def encode_change(self, change: Change) -> bytes:
        """The fragment of a change to a state; of the full value where the format has none."""
        return self.encode(change.record)

    @abstractmethod
    def gap(self, gap: Gap) -> bytes:
        """The fragment of a gap."""


class AnswerEncoder(Encoder):
    """The wire format of a pending answer: one for all that wait, and then it is over."""

    @abstractmethod
    def answer(
        self, records: Sequence[Record], position: int, changes: Mapping[Record, Change]
    ) -> object:
        """The answer with `records`, after which a client has everything up to `position`.

        Those that are in `changes` are encoded as such.
        """
