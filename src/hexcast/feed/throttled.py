"""A feed for subscribers that want to be written to at most so many times a second."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..model import Selector
from .encoding import AnswerEncoder, Encoder
from .feed import DeliveryOptions, Feed

if TYPE_CHECKING:
    from .registry import Feeds

__all__ = ["ThrottledFeed"]


class ThrottledFeed(Feed):
    """A feed that is flushed at most so many times a second.

    It is a cursor into the log itself: whatever the rate, nothing is gathered for it. Each flush is
    one pass from the place of the last one.
    """

    __slots__ = ("_awaited", "_flushed", "_known_losses", "_next", "_place")

    def __init__(
        self, feeds: Feeds, selector: Selector, encoder: Encoder, options: DeliveryOptions
    ) -> None:
        super().__init__(feeds, selector, encoder, options)
        self._flushed = feeds.hub.head
        self._place: tuple[int, int, int] | None = None  # while a flush goes on
        self._next = 0.0  # when it may be flushed again
        self._awaited = False
        self._known_losses: dict[str, int] = {}  # losses that its subscribers know of

    @property
    def position(self) -> int:
        return self._flushed

    @property
    def place(self) -> tuple[int, int, int]:
        return self._place or super().place

    def news(self) -> None:
        """Something selected was applied."""
        if self._awaited:
            return
        self._awaited = True
        wait = self._next - self.feeds.clock()
        if wait > 0:
            self.feeds.later(wait, self.flush)
        else:
            self.feeds.schedule(self.flush)

    def flush(self) -> None:
        self._awaited = False
        self._next = self.feeds.clock() + 1 / self.options.rate
        origin, target = self._flushed, self.feeds.hub.head
        if isinstance(self.encoder, AnswerEncoder):
            self._flushed = target
            waiting, self.waiting = self.waiting, {}
            for notify in waiting:
                notify(None)  # each from its own cursor
        elif self.ready:
            self._pass(origin, target)
        self._flushed = target
        if self.ahead:
            self.catch_up()

    def _pass(self, origin: int, target: int) -> None:
        """Write a pass to everyone who is caught up."""
        cursor, ended = origin, False
        while cursor < target and self.ready and not ended:
            step = self.step(cursor, target, None, self._known_losses, False, origin, False)
            cursor, ended = step.position, step.end
            # Who cannot take it all goes on with the rest of this pass alone.
            self._place = (cursor, target, origin)
            if step.chunk:
                self.sent = max(self.sent, step.first)
                self.write(step.chunk, step.records, ended)
        self._place = None
        self._known_losses.clear()
