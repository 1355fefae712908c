"""A subscriber: a cursor into the log that belongs to one client.

While it is caught up its cursor is its feed's position; while it lags it has a scan. See `feed`.
"""

from __future__ import annotations

from collections.abc import Callable

from ..hub import ResumePoint, Scan
from ..model import PerClient, Record
from .encoding import StreamEncoder
from .feed import Feed, SubscriberHandler, Write
from .segments import Segment

__all__ = ["Subscriber"]


class Subscriber(PerClient):
    """A cursor into the log that belongs to one client, and how to write to that client."""

    __slots__ = (
        "feed",
        "handler",
        "known_losses",
        "not_before",
        "paused",
        "replay",
        "reported_position",
        "scan",
        "skip",
        "write",
    )  # fmt: skip

    def __init__(
        self, feed: Feed, handler: SubscriberHandler, start: ResumePoint, *, replay: bool = False
    ) -> None:
        if feed.pending:
            feed.flush()  # the feed's position is now the horizon: nothing up to it is pending
        self.feed: Feed | None = feed
        self.handler = handler
        self.scan: Scan | None = start.scan  # None while it is caught up
        self.not_before = 0  # the least SEQ at which it may join those that are caught up
        # By topic, the losses that the client knows of, while it lags.
        self.known_losses: dict[str, int] | None = dict(start.reported) or None
        self.reported_position = 0  # SEQ that the client was last sent beside the feed's records
        self.paused = False
        self.replay = replay  # stop at the horizon instead of joining
        # Whether the client has a record by another subscription.
        self.skip: Callable[[Record], bool] | None = None
        self.write: Write = _nowhere
        feed.lagging.add(self)
        if start.lacks_base:
            feed.floor = max(feed.floor, start.scan.cursor)

    def first(self) -> Segment:
        """The first segment, for the way to write with what the answer begins with."""
        return self._segment(self._scan, first=True)

    def go(self, write: Write) -> None:
        """Write from now on with `write`, and catch up."""
        self.write = write
        self.advance()

    @property
    def left(self) -> bool:
        return self.feed is None

    @property
    def _scan(self) -> Scan:
        assert self.scan is not None, "it is caught up"
        return self.scan

    def _segment(self, scan: Scan, *, first: bool = False) -> Segment:
        feed = self.feed
        assert feed is not None
        known_losses = self.known_losses if self.known_losses is not None else {}
        if self.skip is None:
            segment = feed.segment(scan, known_losses, first=first)
        else:
            segment = self._unshared(feed, scan, known_losses, self.skip)
        self.known_losses = known_losses or None
        self.scan = scan.at(segment.position)
        if segment.records:
            self.reported_position = segment.last
            meter = feed.context.counters.ways[feed.encoder.way]
            meter.deliveries += segment.records
            meter.sent += len(segment.chunk)
        return segment

    def _unshared(
        self, feed: Feed, scan: Scan, known_losses: dict[str, int], skip: Callable[[Record], bool]
    ) -> Segment:
        """A segment of which this client has some of the records already.

        All values are sent in full: which of them the client has depends on what is left out.
        """
        hub, encoder = feed.context.hub, feed.encoder
        assert isinstance(encoder, StreamEncoder)
        fragments = []
        gap = None
        if scan.backlog is None:
            gap = hub.gap(feed.selector, scan.cursor, hub.id(scan.cursor), known_losses)
        if gap is not None:
            feed.context.counters.ways[encoder.way].gaps += 1
            fragments.append(encoder.gap(gap))
        scanned = hub.scan(feed.selector, scan)
        records = [r for r in scanned.records if not skip(r)]
        fragments += [encoder.record(r) for r in records]
        first, last = (records[0].seq, records[-1].seq) if records else (0, 0)
        return Segment(
            b"".join(fragments), scanned.position, scan.horizon, len(records), first, last, False
        )

    def advance(self) -> None:
        """Write the next segment of the scan, or join those that are caught up."""
        feed, scan = self.feed, self.scan
        if feed is None or scan is None or self.paused:
            return
        if scan.done:
            if self.replay:
                self.leave()
                self.handler.replayed()
                return
            cursor, position = scan.cursor, feed.position
            if position < max(cursor, self.not_before):
                self.scan = Scan(cursor, cursor, base=cursor, base_trusted=True)
                feed.ahead.append(self)  # some of what the feed writes next was written to it
                return
            if cursor >= position:
                self.scan = self.known_losses = self.skip = None
                feed.join(self)
                return
            scan = Scan(cursor, position, base=cursor, base_trusted=True)
        segment = self._segment(scan)
        if segment.chunk:
            self.write(segment.chunk)
        if segment.end:
            self.handler.ended()
            return
        feed.context.scans.add(self.advance)

    def pause(self) -> None:
        """The client's socket is full: from here on it lags."""
        self.paused = True
        feed = self.feed
        if feed is not None and self.scan is None:
            self.scan = feed.rest
            feed.part(self)
            feed.lagging.add(self)

    def resume(self) -> None:
        """The client's socket has drained."""
        self.paused = False
        if self.feed is not None and self.scan is not None:
            self.feed.context.scans.add(self.advance)

    @property
    def position(self) -> int:
        """SEQ up to which everything was written to this client."""
        if self.scan is not None:
            return self.scan.cursor
        assert self.feed is not None
        return self.feed.position

    def unreported_position(self) -> str:
        """The id of where a quiet client is, for a heartbeat; empty where the client knows."""
        feed = self.feed
        if feed is None or self.scan is not None:
            return ""
        position = feed.position
        if position <= max(feed.sent, self.reported_position):
            return ""
        self.reported_position = position
        return feed.context.hub.id(position)

    def leave(self) -> None:
        """Stop permanently."""
        feed, self.feed = self.feed, None
        if feed is not None:
            if self.scan is None:
                self.scan = Scan(feed.position, feed.position)
            feed.part(self)


def _nowhere(chunk: bytes) -> None:
    raise RuntimeError("a subscriber writes only after it has begun")
