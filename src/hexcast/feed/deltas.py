"""Deltas: what has changed between two values of a state, found once and shared by all feeds.

Only the full values count: what leads from one to a later one is found by comparing the two, so
that any number of changes between them is one delta, however each was published.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Literal

from ..model import Record, is_json
from ..value import Document, LimitExceeded, Limits, Malformed

__all__ = ["Change", "Deltas"]

_CHANGES = 1024
_CHANGES_BYTES = 2**20
_DOCUMENTS = 256
_DOCUMENTS_BYTES = 8 * 2**20


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """What leads from the value `base` to the value `record`; smaller than the latter."""

    record: Record
    base: Record
    op: Literal["patch", "append"]
    data: bytes
    """A merge patch, or the text that was added."""


class Deltas:
    """The changes found lately. `limits` are those of JSON values that are compared."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._changes: dict[tuple[Record, Record], Change | None] = {}
        self._changes_bytes = 0
        self._documents: OrderedDict[Record, Document] = OrderedDict()
        self._documents_bytes = 0

    def change(self, base: Record, record: Record) -> Change | None:
        """The change from one value to another of its topic; None where the full value is to go."""
        key = (base, record)
        try:
            return self._changes[key]
        except KeyError:
            pass
        if len(self._changes) >= _CHANGES or self._changes_bytes > _CHANGES_BYTES:
            self._changes.clear()
            self._changes_bytes = 0
        change = self._changes[key] = self._find(base, record)
        if change is not None:
            self._changes_bytes += len(change.data)
        return change

    def release(self) -> None:
        """Release the cached changes, and the parsed values that are not the newest."""
        self._changes.clear()
        self._changes_bytes = 0
        for record in [r for r in self._documents if r.until or not r.retained]:
            self._documents_bytes -= len(self._documents.pop(record).text)

    def _find(self, base: Record, record: Record) -> Change | None:
        if base.type != record.type:
            return None
        if is_json(record.type):
            return self._patch(base, record)
        # Both are UTF-8 or the piece between them is not sent: a client adds text to text.
        size = len(base.data)
        if not size or len(record.data) < size or not record.data.startswith(base.data):
            return None
        try:
            record.data.decode()
            record.data[size:].decode()
        except UnicodeDecodeError:
            return None
        return Change(record, base, "append", record.data[size:])

    def _patch(self, base: Record, record: Record) -> Change | None:
        try:
            document = self._documents.get(base)
            if document is None:
                document = Document(base.data, self._limits)
                self._keep(base, document)
            after, patch = document.followed_by(record.data)
        except (Malformed, LimitExceeded):
            return None
        self._keep(record, after)
        return None if patch is None else Change(record, base, "patch", patch)

    def _keep(self, record: Record, document: Document) -> None:
        if record not in self._documents:
            self._documents[record] = document
            self._documents_bytes += len(document.text)
        while len(self._documents) > _DOCUMENTS or self._documents_bytes > _DOCUMENTS_BYTES:
            _, gone = self._documents.popitem(last=False)
            self._documents_bytes -= len(gone.text)
