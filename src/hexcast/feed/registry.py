"""All feeds of a hub: which of them a record concerns, and when they are flushed."""

from __future__ import annotations

from collections.abc import Callable

from ..hub import Hub
from ..model import Counters, PatternIndex, Record, Selector
from .deltas import Change, Deltas
from .encoding import Encoder
from .feed import PLAIN, DeliveryOptions, Feed
from .throttled import ThrottledFeed

__all__ = ["Feeds"]

_CACHED_MATCHES = 65_536
_LINGER_SWEEPS = 5


class Feeds:
    """All feeds of a hub.

    `schedule` runs a callable soon, `later` after some seconds; `clock` gives seconds, monotonic.
    """

    def __init__(
        self,
        hub: Hub,
        counters: Counters,
        schedule: Callable[[Callable[[], None]], object],
        clock: Callable[[], float],
        later: Callable[[float, Callable[[], None]], object],
    ) -> None:
        self.later = later
        self.deltas = Deltas(hub.limits)
        self.hub = hub
        self.counters = counters
        self.schedule = schedule
        self.clock = clock
        self.began = 0.0  # when the first record that waits for a flush was applied
        self._feeds: dict[tuple[Selector, tuple[object, ...], DeliveryOptions], Feed] = {}
        self._index: PatternIndex[Feed] = PatternIndex()
        self._matches: dict[str, tuple[list[Feed], list[ThrottledFeed]]] = {}
        self._encoders: dict[tuple[object, ...], Encoder] = {}
        self._dirty: list[Feed] = []
        hub.follow = self.push

    def feed(self, selector: Selector, encoder: Encoder, options: DeliveryOptions = PLAIN) -> Feed:
        """The feed of a selector in a form, made when first asked for."""
        key = (selector, encoder.key, options)
        feed = self._feeds.get(key)
        if feed is None:
            encoder = self._encoders.setdefault(encoder.key, encoder)
            feed = (ThrottledFeed if options.rate else Feed)(self, selector, encoder, options)
            self._feeds[key] = feed
            for name in selector.text:
                self._index.add(name, feed)
            self._matches.clear()
        feed.idle = 0
        return feed

    def push(self, record: Record) -> None:
        """Take in a record that the hub has applied."""
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
                feed.forget()
            self.deltas.forget()
        for slow in paced:
            slow.news()
        for feed in feeds:
            feed.pending.append(record)
            if not feed.dirty:
                feed.dirty = True
                if not self._dirty:
                    self.began = self.clock()
                    self.schedule(self.flush)
                self._dirty.append(feed)
            if record.end and feed.selector.single:
                feed.flush()

    def flush(self) -> None:
        """Write what is pending in any feed."""
        dirty, self._dirty = self._dirty, []
        for feed in dirty:
            if feed.dirty:
                feed.flush()

    def change(
        self, record: Record, origin: int, *, careful: bool = False, floor: int = 0
    ) -> Change | None:
        """What a record has changed since a place; None where it has to be told in full.

        `careful` is for a place that a client names: it may have been cut in the middle of a pass,
        so that the value there is not sure to be one that it was sent. What is not newer than
        `floor` is not held by all who are told.
        """
        if record.op == "post" or record.op == "delete":
            return None
        base = self.hub.value_at(record.topic, origin)
        if base is None or base.seq <= floor:
            return None
        if careful and base.skipped and base.seq != origin:
            return None
        return self.deltas.change(base, record)

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
        """Let go of feeds that nobody has used for a while, and of what the others remember."""
        self.deltas.forget()
        for key, feed in list(self._feeds.items()):
            if feed.subscribers or feed.pending:
                feed.idle = 0
            else:
                feed.idle += 1
            feed.forget()
            if feed.idle >= _LINGER_SWEEPS:
                del self._feeds[key]
                for name in feed.selector.text:
                    self._index.remove(name, feed)
                self._matches.clear()
        used = {feed.encoder.key for feed in self._feeds.values()}
        for encoder in [encoder for encoder in self._encoders if encoder not in used]:
            del self._encoders[encoder]
