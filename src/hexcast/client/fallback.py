"""Which way a subscription uses next, as far as that is left to the client. No I/O."""

from __future__ import annotations

from typing import Literal

from ..model import WayName

__all__ = ["Plan", "WayChoice"]

WayChoice = WayName | Literal["auto"]

# From the best to the one that gets through everything. A stream over SSE is plain HTTP; what cuts
# or holds back long answers often lets a WebSocket pass; short requests always pass.
_PREFERENCE: tuple[WayName, ...] = ("sse", "websocket", "long-poll", "poll")

# One broken connection says little about a way.
_PATIENCE = 2


class Plan:
    """With `auto`, goes on to the next way when one does not work, and round again at the end.

    A server that cannot be reached says nothing about a way, so that does not count.
    """

    def __init__(self, choice: WayChoice) -> None:
        self._ways = _PREFERENCE if choice == "auto" else (choice,)
        self._at = 0
        self._failures = 0  # of the current way since it last worked
        self._hopeless = 0  # ways in a row that failed in a manner that trying again does not mend

    @property
    def way(self) -> WayName:
        """The way to use now."""
        return self._ways[self._at]

    def worked(self) -> None:
        """The current way has brought something."""
        self._failures = self._hopeless = 0

    def failed(self, *, for_good: bool = False) -> bool:
        """The current way was taken up and brought nothing; False when no way is left to try.

        `for_good` says that the same request would fail again.
        """
        self._failures += 1
        if for_good:
            self._hopeless += 1
            if self._hopeless >= len(self._ways):
                return False
        if for_good or self._failures >= _PATIENCE:
            self._failures = 0
            self._at = (self._at + 1) % len(self._ways)
        return True
