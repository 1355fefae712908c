"""All feeds of a hub: which of them a record concerns, and when they are flushed."""

from __future__ import annotations

from collections.abc import Callable

from ..hub import Hub
from ..model import Counters, PatternIndex, Record, Selector
from .context import FeedContext
from .encoding import Encoder
from .feed import PLAIN, DeliveryOptions, Feed
from .throttled import ThrottledFeed

__all__ = ["Feeds"]

_CACHED_MATCHES = 65_536
_LINGER_SWEEPS = 5


class Feeds:
    """All feeds of a hub. The arguments are those of `FeedContext`."""

    def __init__(
        self,
        hub: Hub,
        counters: Counters,
        schedule: Callable[[Callable[[], None]], object],
        clock: Callable[[], float],
        later: Callable[[float, Callable[[], None]], object],
    ) -> None:
        self.context = FeedContext(hub, counters, schedule, clock, later)
        self._feeds: dict[tuple[Selector, tuple[object, ...], DeliveryOptions], Feed] = {}
        self._index: PatternIndex[Feed] = PatternIndex()
        self._matches: dict[str, tuple[list[Feed], list[ThrottledFeed]]] = {}
        self._encoders: dict[tuple[object, ...], Encoder] = {}
        self._dirty: list[Feed] = []
        hub.follow = self.push

    def feed(self, selector: Selector, encoder: Encoder, options: DeliveryOptions = PLAIN) -> Feed:
        """The feed of a selector in a wire format, made when it is first wanted."""
        key = (selector, encoder.key, options)
        feed = self._feeds.get(key)
        if feed is None:
            encoder = self._encoders.setdefault(encoder.key, encoder)
            feed = (ThrottledFeed if options.rate else Feed)(
                self.context, selector, encoder, options
            )
            self._feeds[key] = feed
            for name in selector.text:
                self._index.add(name, feed)
            self._matches.clear()
        feed.idle = 0
        return feed

    def push(self, record: Record) -> None:
        """Hand a record that the hub has applied to the feeds that select it."""
        both = self._matches.get(record.topic)
        if both is None:
            if len(self._matches) >= _CACHED_MATCHES:
                self._matches.clear()
            found = self._index.find(record.topic)
            paced = [f for f in found if isinstance(f, ThrottledFeed)]
            both = [f for f in found if not isinstance(f, ThrottledFeed)] if paced else found, paced
            self._matches[record.topic] = both
        feeds, paced = both
        if record.op == "delete":
            for feed in (*feeds, *paced):
                feed.release()
            self.context.deltas.release()
        for slow in paced:
            slow.applied()
        for feed in feeds:
            feed.pending.append(record)
            if not feed.dirty:
                feed.dirty = True
                if not self._dirty:
                    context = self.context
                    context.began = context.clock()
                    context.schedule(self.flush)
                self._dirty.append(feed)
            if record.end and feed.selector.single:
                feed.flush()

    def flush(self) -> None:
        """Write what is pending in any feed."""
        dirty, self._dirty = self._dirty, []
        for feed in dirty:
            if feed.dirty:
                feed.flush()

    def all(self) -> list[Feed]:
        return list(self._feeds.values())

    def interested(self, topic: str) -> dict[str, int]:
        """How many subscribers a topic has, by way."""
        found: dict[str, int] = {}
        for feed in self._index.find(topic):
            if feed.subscribers:
                way = feed.encoder.way
                found[way] = found.get(way, 0) + feed.subscribers
        return found

    def sweep(self) -> None:
        """Release the feeds that nobody has used for a while, and what the others have cached."""
        self.context.deltas.release()
        self.context.segments.sweep()
        for key, feed in list(self._feeds.items()):
            if feed.subscribers or feed.pending:
                feed.idle = 0
            else:
                feed.idle += 1
            feed.release_records()
            if feed.idle >= _LINGER_SWEEPS:
                del self._feeds[key]
                for name in feed.selector.text:
                    self._index.remove(name, feed)
                self._matches.clear()
        used = {feed.encoder.key for feed in self._feeds.values()}
        for encoder in [encoder for encoder in self._encoders if encoder not in used]:
            del self._encoders[encoder]
