"""A subscriber: a cursor into the log that belongs to one client."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from ..hub import ResumePoint
from ..model import PerClient, Record
from .encoding import StreamEncoder
from .feed import Feed, Step, Write

__all__ = ["Client", "Subscriber"]


class Client(Protocol):
    """Who a subscriber writes to: told when there will be no more."""

    def ended(self) -> None:
        """The record just written was the topic's last for now."""
        ...

    def replayed(self) -> None:
        """A replay has reached its place."""
        ...


class Subscriber(PerClient):
    """A cursor into the log that belongs to one client, and how to write to that client."""

    __slots__ = (
        "careful",
        "client",
        "cursor",
        "feed",
        "fresh",
        "known_losses",
        "least",
        "origin",
        "paused",
        "replay",
        "reported_position",
        "skip",
        "target",
        "write",
    )  # fmt: skip

    def __init__(
        self, feed: Feed, client: Client, start: ResumePoint, *, replay: bool = False
    ) -> None:
        if feed.pending:
            feed.flush()  # the feed's place is now the start's: nothing up to it is still to come
        self.feed: Feed | None = feed
        self.client = client
        self.cursor = start.cursor  # where it is, while it lags
        self.target = start.horizon  # the fixed end of the pass it is in
        self.fresh: int | None = start.backlog
        self.origin = start.cursor if start.backlog is None else -1  # where the pass began
        self.careful = True  # whether it began at a cursor that the client brought
        self.least = 0  # the least place at which it may join the feed
        self.known_losses: dict[str, int] | None = (
            dict(start.reported) or None
        )  # losses it knows of, while it lags
        self.reported_position = 0  # the place it was last told of beside what its feed has sent
        self.paused = False
        self.replay = replay  # stop at the target instead of joining
        self.skip: Callable[[Record], bool] | None = None  # what it has by another subscription
        self.write: Write = _nowhere
        feed.lagging.add(self)
        if not start.has_base:
            feed.floor = max(feed.floor, start.cursor)

    def first(self) -> Step:
        """The first step, for the way to write with what it begins with."""
        return self._step(first=True)

    def go(self, write: Write) -> None:
        """Write from now on with `write`, and catch up."""
        self.write = write
        self.advance()

    def _step(self, *, first: bool = False) -> Step:
        feed = self.feed
        assert feed is not None
        known_losses = self.known_losses if self.known_losses is not None else {}
        if self.skip is None:
            step = feed.step(
                self.cursor, self.target, self.fresh, known_losses, first, self.origin, self.careful
            )
        else:
            step = self._step_apart(feed, known_losses, self.skip)
        self.known_losses = known_losses or None
        self.cursor = step.position
        if step.records:
            self.reported_position = step.last
            meter = feed.feeds.counters.ways[feed.encoder.way]
            meter.deliveries += step.records
            meter.sent += len(step.chunk)
        return step

    def _step_apart(
        self, feed: Feed, known_losses: dict[str, int], skip: Callable[[Record], bool]
    ) -> Step:
        """A step that nobody shares, because this client has some of the records already.

        All values are sent in full: which of them the client holds depends on what is left out.
        """
        hub, encoder = feed.feeds.hub, feed.encoder
        assert isinstance(encoder, StreamEncoder)
        pieces = []
        gap = None
        if self.fresh is None:
            gap = hub.gap(feed.selector, self.cursor, hub.id(self.cursor), known_losses)
        if gap is not None:
            feed.feeds.counters.ways[encoder.way].gaps += 1
            pieces.append(encoder.gap(gap))
        scanned = hub.scan(feed.selector, self.cursor, self.target, backlog=self.fresh)
        records = [r for r in scanned.records if not skip(r)]
        pieces += [encoder.record(r) for r in records]
        first, last = (records[0].seq, records[-1].seq) if records else (0, 0)
        return Step(b"".join(pieces), scanned.position, len(records), first, last, False)

    def advance(self) -> None:
        """Make the next step towards the feed's place, or join it there."""
        feed = self.feed
        if feed is None or self.paused or self not in feed.lagging:
            return
        if self.cursor >= self.target:
            if self.replay:
                self.leave()
                self.client.replayed()
                return
            # The pass is over; whatever came meanwhile is the next one.
            self.fresh, self.target = None, feed.position
            self.origin, self.careful = self.cursor, False
            if self.target < max(self.cursor, self.least):
                self.target = self.cursor
                feed.ahead.append(self)  # what the feed writes next is in part what it has
                return
            if self.cursor >= self.target:
                self.known_losses = self.skip = None
                feed.join(self)
                return
        step = self._step()
        if step.chunk:
            self.write(step.chunk)
        if step.end:
            self.client.ended()
            return
        feed.feeds.schedule(self.advance)

    def pause(self) -> None:
        """The client's socket is full: from here on it lags."""
        self.paused = True
        feed = self.feed
        if feed is not None and self in feed.ready:
            self.cursor, self.target, self.origin = feed.place
            feed.part(self)
            feed.lagging.add(self)

    def resume(self) -> None:
        """The client's socket has drained."""
        self.paused = False
        if self.feed is not None:
            self.feed.feeds.schedule(self.advance)

    @property
    def position(self) -> int:
        """The place up to which this client has been written everything."""
        feed = self.feed
        return feed.position if feed is not None and self in feed.ready else self.cursor

    def news_of_position(self) -> str:
        """The id to tell with a heartbeat: where a quiet client is now; empty if it knows."""
        feed = self.feed
        if feed is None or self not in feed.ready:
            return ""
        position = feed.position
        if position <= max(feed.sent, self.reported_position):
            return ""
        self.reported_position = position
        return feed.feeds.hub.id(position)

    def leave(self) -> None:
        """Stop for good."""
        feed, self.feed = self.feed, None
        if feed is not None:
            if self in feed.ready:
                self.cursor = feed.position
            feed.part(self)


def _nowhere(chunk: bytes) -> None:
    raise RuntimeError("a subscriber writes only after it has begun")
