"""Lines out of bytes that come cut anywhere; used for NDJSON answers and for standard input."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["LineSplitter", "TooLong"]


@dataclass(frozen=True, slots=True)
class TooLong:
    """Stands where a line was that is longer than the limit; its bytes are dropped."""

    size: int
    """The line's length in bytes, without its end."""


class LineSplitter:
    """Cuts at LF, takes a CR before it away, and holds at most `limit` bytes of an open line."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._pending = bytearray()
        self._dropped = 0  # bytes of the open line already dropped because it is too long

    def feed(self, data: bytes) -> Iterator[bytes | TooLong]:
        """Take the next bytes; yield each line they complete. Exhaust it before feeding again."""
        first, *rest = data.split(b"\n")
        self._add(first)
        for piece in rest:
            line = self._take()
            self._add(piece)
            yield line

    def finish(self) -> Iterator[bytes | TooLong]:
        """The input is over: yield what came after the last line end, if anything."""
        if self._pending or self._dropped:
            yield self._take()

    def _add(self, piece: bytes) -> None:
        # One byte more than the limit is let in, since it may be the CR of the line's end.
        if self._dropped or len(self._pending) + len(piece) > self._limit + 1:
            self._dropped += len(self._pending) + len(piece)
            self._pending.clear()
        else:
            self._pending += piece

    def _take(self) -> bytes | TooLong:
        line = bytes(self._pending).removesuffix(b"\r")
        size = self._dropped or len(line)
        self._pending.clear()
        self._dropped = 0
        return TooLong(size) if size > self._limit else line
