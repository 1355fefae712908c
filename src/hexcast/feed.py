"""Feeds: one for each distinct (selector, wire form), and the subscribers that share it.

A subscriber is a cursor into the log. One that is caught up has no cursor of its own: its place is
the feed's, and each flush is one write of shared bytes. One that lags (its socket is full, or it
has only just come) makes passes from its own cursor until it reaches the feed's place, and joins.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple, Protocol

from .form import AnswerForm, Form, StreamForm
from .hub import Hub
from .meters import Meters
from .record import Record
from .start import Start
from .topics import PatternIndex, Selector

__all__ = ["Client", "Feed", "Feeds", "Step", "Subscriber"]

_CACHED_PASSES = 16
_CACHED_MATCHES = 65_536
_LINGER_SWEEPS = 5

Write = Callable[[bytes], None]
Answer = Callable[[object], None]


class Client(Protocol):
    """Who a subscriber writes to: told when there will be no more."""

    def ended(self) -> None:
        """The record just written was the topic's last for now."""
        ...

    def replayed(self) -> None:
        """A replay has reached its place."""
        ...


class Step(NamedTuple):
    """One step of a pass, encoded."""

    chunk: bytes
    position: int
    records: int
    first: int
    """SEQ of the first record, or 0."""
    end: bool


class Feed:
    """All subscribers of one selector in one wire form."""

    __slots__ = (
        "_passes", "_writes", "dirty", "feeds", "form", "idle", "lagging", "pending", "ready",
        "selector", "sent", "waiting",
    )  # fmt: skip

    def __init__(self, feeds: Feeds, selector: Selector, form: Form) -> None:
        self.feeds = feeds
        self.selector = selector
        self.form = form
        self.pending: list[Record] = []  # applied, selected, not yet written
        self.dirty = False
        self.ready: dict[Subscriber, None] = {}  # caught up, in the order they came
        self.lagging: set[Subscriber] = set()
        self.waiting: dict[Answer, None] = {}  # held answers, where the form is one
        self.sent = 0  # SEQ of the newest record written
        self.idle = 0  # sweeps without a subscriber
        self._writes: list[Write] | None = None
        self._passes: OrderedDict[tuple[int, int, int | None], Step] = OrderedDict()

    @property
    def position(self) -> int:
        """The place up to which everything selected has been written to those who are ready."""
        return self.pending[0].seq - 1 if self.pending else self.feeds.hub.history.head

    @property
    def subscribers(self) -> int:
        return len(self.ready) + len(self.lagging) + len(self.waiting)

    # Those who are caught up

    def join(self, subscriber: Subscriber) -> None:
        self.lagging.discard(subscriber)
        self.ready[subscriber] = None
        self._writes = None

    def part(self, subscriber: Subscriber) -> None:
        if self.ready.pop(subscriber, subscriber) is None:
            self._writes = None
        self.lagging.discard(subscriber)

    def flush(self) -> None:
        """Write what is pending, folded, to everyone who is caught up."""
        pending, self.pending = self.pending, []
        self.dirty = False
        if not pending or not (self.ready or self.waiting):
            return
        feeds = self.feeds
        meter = feeds.meters.ways[self.form.way]
        if len(pending) > 1:
            horizon = feeds.hub.history.head
            visible = [r for r in pending if r.visible(horizon)]
            meter.folds += (len(pending) - len(visible)) * len(self.ready)
        else:
            visible = pending
        self.sent = visible[-1].seq
        form = self.form
        if isinstance(form, AnswerForm):
            waiting, self.waiting = self.waiting, {}
            answer = form.answer(visible, self.position)
            for tell in waiting:
                tell(answer)
            meter.deliveries += len(waiting) * len(visible)
            feeds.meters.latency(feeds.clock() - feeds.began, len(waiting))
            return
        assert isinstance(form, StreamForm)
        chunk = form.chunk(visible)
        writes = self._writes
        if writes is None:
            writes = self._writes = [s.write for s in self.ready]
        ending = list(self.ready) if visible[-1].end and self.selector.single else ()
        for write in writes:
            write(chunk)
        meter.deliveries += len(writes) * len(visible)
        meter.sent += len(writes) * len(chunk)
        feeds.meters.latency(feeds.clock() - feeds.began, len(writes))
        for subscriber in ending:  # a socket that this write has filled included
            if subscriber.feed is not None:
                subscriber.client.ended()

    # Those who lag

    def step(
        self, cursor: int, target: int, fresh: int | None, told: dict[str, int], first: bool
    ) -> Step:
        """One step of a pass over (cursor, target]; shared by all who are at the same place."""
        form, hub = self.form, self.feeds.hub
        assert isinstance(form, StreamForm)
        gap = None
        if fresh is None or (fresh and not first):
            gap = hub.gap(self.selector, cursor, hub.id(cursor), told)
            if gap is not None:
                self.feeds.meters.ways[form.way].gaps += 1
        key = (cursor, target, fresh)
        step = self._passes.get(key)
        if step is None:
            scanned = hub.history.scan(self.selector, cursor, target, fresh=fresh)
            records = scanned.records
            step = Step(
                form.chunk(records),
                scanned.position,
                len(records),
                records[0].seq if records else 0,
                bool(records) and records[-1].end and bool(self.selector.single),
            )
            self.feeds.meters.ways[form.way].folds += scanned.folded
            self._passes[key] = step
            if len(self._passes) > _CACHED_PASSES:
                self._passes.popitem(last=False)
        if gap is not None:
            step = step._replace(chunk=form.after_gap(gap, step.chunk))
        return step

    def forget(self) -> None:
        """Let go of what was remembered for others at the same place."""
        self._passes.clear()
        if isinstance(self.form, StreamForm):
            self.form.forget()


class Subscriber:
    """A cursor into the log that belongs to one client, and how to write to that client."""

    __slots__ = (
        "client", "cursor", "feed", "fresh", "paused", "replay", "skip", "target", "told",
        "told_position", "write",
    )  # fmt: skip

    def __init__(self, feed: Feed, client: Client, start: Start, *, replay: bool = False) -> None:
        if feed.pending:
            feed.flush()  # the feed's place is now the start's: nothing up to it is still to come
        self.feed: Feed | None = feed
        self.client = client
        self.cursor = start.cursor  # where it is, while it lags
        self.target = start.horizon  # the fixed end of the pass it is in
        self.fresh: int | None = start.fresh
        self.told: dict[str, int] | None = start.told or None  # losses it knows of, while it lags
        self.told_position = 0  # the place it was last told of by a heartbeat
        self.paused = False
        self.replay = replay  # stop at the target instead of joining
        self.skip: Callable[[Record], bool] | None = None  # what it has by another subscription
        self.write: Write = _nowhere
        feed.lagging.add(self)

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
        told = self.told if self.told is not None else {}
        if self.skip is None:
            step = feed.step(self.cursor, self.target, self.fresh, told, first)
        else:
            step = self._step_apart(feed, told, self.skip)
        self.told = told or None
        self.cursor = step.position
        if step.records:
            meter = feed.feeds.meters.ways[feed.form.way]
            meter.deliveries += step.records
            meter.sent += len(step.chunk)
        return step

    def _step_apart(self, feed: Feed, told: dict[str, int], skip: Callable[[Record], bool]) -> Step:
        """A step that nobody shares, because this client has some of the records already."""
        hub, form = feed.feeds.hub, feed.form
        assert isinstance(form, StreamForm)
        pieces = []
        gap = None
        if self.fresh is None:
            gap = hub.gap(feed.selector, self.cursor, hub.id(self.cursor), told)
        if gap is not None:
            feed.feeds.meters.ways[form.way].gaps += 1
            pieces.append(form.gap(gap))
        scanned = hub.history.scan(feed.selector, self.cursor, self.target, fresh=self.fresh)
        records = [r for r in scanned.records if not skip(r)]
        pieces += [form.record(r) for r in records]
        first = records[0].seq if records else 0
        return Step(b"".join(pieces), scanned.position, len(records), first, False)

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
            if self.cursor >= self.target:
                self.told = None
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
            self.cursor = self.target = feed.position
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
        if position <= max(feed.sent, self.told_position):
            return ""
        self.told_position = position
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


class Feeds:
    """All feeds of a hub. `schedule` runs a callable soon; `clock` gives seconds, monotonic."""

    def __init__(
        self,
        hub: Hub,
        meters: Meters,
        schedule: Callable[[Callable[[], None]], object],
        clock: Callable[[], float],
    ) -> None:
        self.hub = hub
        self.meters = meters
        self.schedule = schedule
        self.clock = clock
        self.began = 0.0  # when the first record that waits for a flush was applied
        self._feeds: dict[tuple[Selector, tuple[object, ...]], Feed] = {}
        self._index: PatternIndex[Feed] = PatternIndex()
        self._matches: dict[str, list[Feed]] = {}
        self._forms: dict[tuple[object, ...], Form] = {}
        self._dirty: list[Feed] = []
        hub.follow = self.push

    def feed(self, selector: Selector, form: Form) -> Feed:
        """The feed of a selector in a form, made when first asked for."""
        key = (selector, form.key)
        feed = self._feeds.get(key)
        if feed is None:
            form = self._forms.setdefault(form.key, form)
            feed = self._feeds[key] = Feed(self, selector, form)
            for name in selector.text:
                self._index.add(name, feed)
            self._matches.clear()
        feed.idle = 0
        return feed

    def push(self, record: Record) -> None:
        """Take in a record that the hub has applied."""
        feeds = self._matches.get(record.topic)
        if feeds is None:
            if len(self._matches) >= _CACHED_MATCHES:
                self._matches.clear()
            feeds = self._matches[record.topic] = self._index.find(record.topic)
        if record.op == "delete":
            for feed in feeds:
                feed.forget()
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

    def all(self) -> list[Feed]:
        return list(self._feeds.values())

    def interested(self, topic: str) -> int:
        """How many subscribers a topic has."""
        return sum(feed.subscribers for feed in self._index.find(topic))

    def sweep(self) -> None:
        """Let go of feeds that nobody has used for a while, and of what the others remember."""
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
        used = {feed.form.key for feed in self._feeds.values()}
        for form in [form for form in self._forms if form not in used]:
            del self._forms[form]
