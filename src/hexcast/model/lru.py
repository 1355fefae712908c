"""A cache that is bounded in bytes and lets go of what was used least lately. Pure."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

__all__ = ["ByteLRU"]

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

_ENTRY_BYTES = 256
"""What an entry costs beside what it holds."""


class ByteLRU(Generic[K, V]):
    """Holds values up to `limit` bytes, as counted by who puts them there."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.size = 0
        self._held: OrderedDict[K, tuple[V, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._held)

    def get(self, key: K) -> V | None:
        """What is held under a key, which is thereby used; None where nothing is."""
        found = self._held.get(key)
        if found is None:
            return None
        self._held.move_to_end(key)
        return found[0]

    def fits(self, size: int) -> bool:
        """Whether something of this size is held at all: it must not drive out all the rest."""
        return size + _ENTRY_BYTES <= self.limit // 4

    def put(self, key: K, value: V, size: int) -> None:
        """Hold a value of `size` bytes, unless it does not fit."""
        if not self.fits(size):
            return
        before = self._held.pop(key, None)
        if before is not None:
            self.size -= before[1]
        size += _ENTRY_BYTES
        self._held[key] = (value, size)
        self.size += size
        while self.size > self.limit:
            _, (_, gone) = self._held.popitem(last=False)
            self.size -= gone

    def clear(self) -> None:
        """Let go of everything."""
        self._held.clear()
        self.size = 0
