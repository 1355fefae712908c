"""How a long publication goes: a line that is kept up to date on a terminal, and a last count."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self, TextIO

from .console import printable

__all__ = ["Progress"]

SHOWN_EVERY = 0.5  # seconds
REFUSALS_TOLD = 10


class Progress:
    """Counts, in `async with`; tells on `stream`, and at the end how many there were.

    Only a terminal gets the line that changes.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._terminal = stream.isatty()
        self._begun = time.monotonic()
        self._shown_at = self._begun
        self._shown_count = 0
        self._count = 0
        self._showing: asyncio.Task[None] | None = None
        self.refusals = 0
        self.pending: Callable[[], int] = lambda: 0
        """How many records are sent or about to be, and not acknowledged yet."""

    def acknowledged(self) -> None:
        """One more record is safe."""
        self._count += 1

    def refused(self, reason: str) -> None:
        """One record will not be published. The first few reasons are told."""
        self.refusals += 1
        if self.refusals <= REFUSALS_TOLD:
            self.tell(reason)
        if self.refusals == REFUSALS_TOLD:
            self.tell("further refusals are counted, not told")

    def tell(self, text: str) -> None:
        """Print a message on a line of its own."""
        clear = "\r\x1b[K" if self._terminal else ""
        self._stream.write(f"{clear}hexcast: {printable(text)}\n")
        self._stream.flush()

    async def __aenter__(self) -> Self:
        if self._terminal:
            self._showing = asyncio.create_task(self._show())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._showing is not None:
            self._showing.cancel()
            with suppress(asyncio.CancelledError):
                await self._showing
        self.tell(self.summary(time.monotonic()))

    def summary(self, now: float) -> str:
        """The last count, at the clock's reading `now`."""
        seconds = max(now - self._begun, 1e-6)
        parts = [f"{self._count:,} acknowledged"]
        if self.refusals:
            parts.append(f"{self.refusals:,} refused")
        if pending := self.pending():
            parts.append(f"{pending:,} unacknowledged")
        return f"{', '.join(parts)} in {seconds:.1f} s ({self._count / seconds:,.0f}/s)"

    def line(self, now: float) -> str:
        """The line of the moment: counts, and the rate since the last such line."""
        seconds = max(now - self._shown_at, 1e-6)
        rate = (self._count - self._shown_count) / seconds
        self._shown_at, self._shown_count = now, self._count
        refused = f", {self.refusals:,} refused" if self.refusals else ""
        return f"{self._count:,} acknowledged{refused}, {self.pending():,} under way, {rate:,.0f}/s"

    async def _show(self) -> None:
        while True:
            await asyncio.sleep(SHOWN_EVERY)
            self._stream.write(f"\r\x1b[K{self.line(time.monotonic())}")
            self._stream.flush()
