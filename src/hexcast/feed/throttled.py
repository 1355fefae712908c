"""A feed for subscribers that want to be written to at most so many times a second."""

from __future__ import annotations

from ..hub import Scan
from ..model import Selector
from .context import FeedContext
from .encoding import AnswerEncoder, Encoder
from .feed import DeliveryOptions, Feed

__all__ = ["ThrottledFeed"]


class ThrottledFeed(Feed):
    """A feed that is flushed at most so many times a second.

    It is a cursor into the log itself: whatever the rate, no record is pending for it. Each flush
    is one scan from where the last one ended.
    """

    __slots__ = ("_flushed", "_known_losses", "_next", "_rest", "_scheduled")

    def __init__(
        self, context: FeedContext, selector: Selector, encoder: Encoder, options: DeliveryOptions
    ) -> None:
        super().__init__(context, selector, encoder, options)
        self._flushed = context.hub.head
        self._rest: Scan | None = None  # while a flush goes on
        self._next = 0.0  # when it may be flushed again
        self._scheduled = False
        self._known_losses: dict[str, int] = {}  # losses that its members know of

    @property
    def position(self) -> int:
        return self._flushed

    @property
    def rest(self) -> Scan:
        return self._rest or super().rest

    def applied(self) -> None:
        """A record that is selected was applied."""
        if self._scheduled:
            return
        self._scheduled = True
        context = self.context
        wait = self._next - context.clock()
        if wait > 0:
            context.later(wait, self.flush)
        else:
            context.schedule(self.flush)

    def flush(self) -> None:
        self._scheduled = False
        context = self.context
        self._next = context.clock() + 1 / self.options.rate
        start, head = self._flushed, context.hub.head
        if isinstance(self.encoder, AnswerEncoder):
            self._flushed = head
            waiting, self.waiting = self.waiting, {}
            for notify in waiting:
                notify(None)  # each from its own cursor
        elif self.ready:
            self._write(Scan(start, head, base=start, base_trusted=True))
        self._flushed = head
        if self.ahead:
            self.catch_up()

    def _write(self, scan: Scan) -> None:
        """Write a scan to everyone that is caught up."""
        ended = False
        while not scan.done and self.ready and not ended:
            segment = self.segment(scan, self._known_losses)
            scan, ended = scan.at(segment.position), segment.end
            # A member that cannot take it all goes on with the rest of this scan alone.
            self._rest = scan
            if segment.chunk:
                self.sent = max(self.sent, segment.first)
                self.write(segment.chunk, segment.records, ended)
        self._rest = None
        self._known_losses.clear()
