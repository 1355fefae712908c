"""What the streams of a connection send and nobody can use before its end has come.

Bodies that a plan wants whole, lines of batches and messages of WebSockets are buffered until they
are complete. All streams of a connection share a bound on that. Beyond it only the oldest may send
on, so that one after the other comes to its end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .exchange import H2Exchange

__all__ = ["MAX_BUFFERED", "Uploads"]

MAX_BUFFERED = 4 * 2**20
"""Bytes buffered over all streams above which only the oldest goes on."""


class Uploads:
    """The exchanges of one connection that buffer, or will, and how much they have together."""

    __slots__ = ("_exchanges", "size")

    def __init__(self) -> None:
        self._exchanges: dict[H2Exchange, None] = {}  # oldest first
        self.size = 0

    def add(self, exchange: H2Exchange) -> None:
        """An exchange takes its turn behind the others."""
        self._exchanges[exchange] = None

    def set_buffered(self, exchange: H2Exchange, size: int) -> None:
        """An exchange has buffered so many bytes whose rest has not come."""
        if not size:
            if exchange.size:
                self.remove(exchange)
            return
        if size < exchange.size:
            self._exchanges.pop(exchange, None)  # part of it was complete: others have a turn
        self._exchanges[exchange] = None
        self.size += size - exchange.size
        exchange.size = size

    def remove(self, exchange: H2Exchange) -> None:
        """A body is complete, or will not be."""
        self._exchanges.pop(exchange, None)
        self.size -= exchange.size
        exchange.size = 0
        self.reopen_windows()

    def reopen_windows(self) -> None:
        """Let those send on whose bodies may still grow."""
        for place, exchange in enumerate(self._exchanges):
            if place and self.size >= MAX_BUFFERED:
                break
            if not exchange.reading_paused:
                exchange.reopen_window()
