"""Feeds: one for each distinct (selector, wire form), and the subscribers that share it.

A subscriber is a cursor into the log. One that is caught up has no cursor of its own: its place is
the feed's, and each flush is one write of shared bytes. One that lags (its socket is full, or it
has only just come) makes passes from its own cursor until it reaches the feed's place, and joins.

Everyone at one place holds the same values of states, so that deltas are shared bytes as well: a
pass from a place tells of each change against the value there.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple, Protocol

from .deltas import Change, Deltas
from .form import AnswerForm, Form, StreamForm
from .hub import Hub
from .meters import Meters
from .record import Record
from .start import Start
from .topics import PatternIndex, Selector

__all__ = ["PLAIN", "Client", "Feed", "Feeds", "Step", "Subscriber", "Terms"]

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


class Terms(NamedTuple):
    """How a subscription is served, beside its selector and form."""

    deltas: Selector | None = None
    """The topics of which changes come as deltas, where they can."""
    rate: float = 0.0
    """How many times a second it is flushed at most; 0 for as often as there is something."""
    strangers: bool = False
    """Whether it is of clients that do not hold the values as of the place where they began."""


PLAIN = Terms()


class Step(NamedTuple):
    """One step of a pass, encoded."""

    chunk: bytes
    position: int
    records: int
    first: int
    """SEQ of the first record, or 0."""
    end: bool


class Feed:
    """All subscribers of one selector in one wire form, on the same terms."""

    __slots__ = (
        "_passes", "_writes", "ahead", "deltas", "dirty", "feeds", "floor", "form", "idle",
        "lagging", "pending", "ready", "selector", "sent", "terms", "waiting",
    )  # fmt: skip

    def __init__(self, feeds: Feeds, selector: Selector, form: Form, terms: Terms) -> None:
        self.feeds = feeds
        self.selector = selector
        self.form = form
        self.terms = terms
        self.deltas = terms.deltas
        self.floor = 0  # what is not newer is held by some subscribers only: no base of a delta
        self.pending: list[Record] = []  # applied, selected, not yet written
        self.dirty = False
        self.ready: dict[Subscriber, None] = {}  # caught up, in the order they came
        self.lagging: set[Subscriber] = set()
        self.ahead: list[Subscriber] = []  # those who lag, but are beyond the feed's place
        self.waiting: dict[Answer, None] = {}  # held answers, where the form is one
        self.sent = 0  # SEQ of the newest record written
        self.idle = 0  # sweeps without a subscriber
        self._writes: list[Write] | None = None
        self._passes: OrderedDict[tuple[int, ...], Step] = OrderedDict()

    @property
    def position(self) -> int:
        """The place up to which everything selected has been written to those who are ready."""
        return self.pending[0].seq - 1 if self.pending else self.feeds.hub.history.head

    @property
    def place(self) -> tuple[int, int, int]:
        """Where a subscriber is that is written to no more: its cursor, and the end and the
        beginning of the pass it is in."""
        position = self.position
        return position, position, position

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
        if self.ahead:
            self.catch_up()
        if not pending or not (self.ready or self.waiting):
            return
        feeds = self.feeds
        meter = feeds.meters.ways[self.form.way]
        visible = pending
        if len(pending) > 1:
            visible = feeds.hub.history.fold(pending)
            meter.folds += (len(pending) - len(visible)) * len(self.ready)
        self.sent = visible[-1].seq
        form = self.form
        before = pending[0].seq - 1
        if isinstance(form, AnswerForm):
            waiting, self.waiting = self.waiting, {}
            answer = form.answer(visible, self.position, self.changes(visible, before))
            for tell in waiting:
                tell(answer)
            meter.deliveries += len(waiting) * len(visible)
            feeds.meters.latency(feeds.clock() - feeds.began, len(waiting))
            return
        chunk = self.encode(visible, before)
        # Taken before writing: a socket that fills leaves those who are caught up.
        told = len(self.ready)
        self.write(chunk, len(visible), visible[-1].end and bool(self.selector.single))
        feeds.meters.latency(feeds.clock() - feeds.began, told)

    def write(self, chunk: bytes, records: int, end: bool) -> None:
        """Write a chunk to everyone who is caught up; with `end` it is the last for now."""
        writes = self._writes
        if writes is None:
            writes = self._writes = [s.write for s in self.ready]
        ending = list(self.ready) if end else ()
        for write in writes:
            write(chunk)
        meter = self.feeds.meters.ways[self.form.way]
        meter.deliveries += len(writes) * records
        meter.sent += len(writes) * len(chunk)
        for subscriber in ending:  # a socket that this write has filled included
            if subscriber.feed is not None:
                subscriber.client.ended()

    def catch_up(self) -> None:
        """Let those go on who are beyond the place that the feed had."""
        ahead, self.ahead = self.ahead, []
        for subscriber in ahead:
            self.feeds.schedule(subscriber.advance)

    # Deltas

    def change(self, record: Record, origin: int, careful: bool = False) -> Change | None:
        """What a record has changed for those whose pass began at a place; None: all of it."""
        if self.deltas is None or not self.deltas.matches(record.topic):
            return None
        return self.feeds.change(record, origin, careful=careful, floor=self.floor)

    def changes(self, records: list[Record], origin: int) -> dict[Record, Change]:
        """The changes that `records` are, for those whose pass began at a place."""
        if self.deltas is None:
            return {}
        found = ((r, self.change(r, origin)) for r in records)
        return {record: change for record, change in found if change is not None}

    def encode(self, records: list[Record], origin: int, careful: bool = False) -> bytes:
        """The chunk that tells of records to those whose pass began at a place."""
        form = self.form
        assert isinstance(form, StreamForm)
        if self.deltas is None or origin < 0:
            return form.chunk(records)
        return form.chunk([self.change(record, origin, careful) or record for record in records])

    # Those who lag

    def step(
        self,
        cursor: int,
        target: int,
        fresh: int | None,
        told: dict[str, int],
        first: bool,
        origin: int,
        careful: bool,
    ) -> Step:
        """One step of a pass over (cursor, target]; shared by all who are at the same place.

        `origin` is where the pass began, -1 where it is a client's first without a cursor.
        """
        form, hub = self.form, self.feeds.hub
        assert isinstance(form, StreamForm)
        gap = None
        if fresh is None or (fresh and not first):
            gap = hub.gap(self.selector, cursor, hub.id(cursor), told)
            if gap is not None:
                self.feeds.meters.ways[form.way].gaps += 1
        key: tuple[int, ...] = (cursor, target, -1 if fresh is None else fresh)
        if self.deltas is not None:
            key = (*key, origin, hub.history.doubts if careful else -1)
        step = self._passes.get(key)
        if step is None:
            scanned = hub.history.scan(self.selector, cursor, target, fresh=fresh)
            records = scanned.records
            step = Step(
                self.encode(records, origin, careful),
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


class PacedFeed(Feed):
    """A feed that is flushed at most so many times a second.

    It is a cursor into the log itself: whatever the rate, nothing is gathered for it. Each flush is
    one pass from the place of the last one.
    """

    __slots__ = ("_awaited", "_flushed", "_next", "_place", "_told")

    def __init__(self, feeds: Feeds, selector: Selector, form: Form, terms: Terms) -> None:
        super().__init__(feeds, selector, form, terms)
        self._flushed = feeds.hub.history.head
        self._place: tuple[int, int, int] | None = None  # while a flush goes on
        self._next = 0.0  # when it may be flushed again
        self._awaited = False
        self._told: dict[str, int] = {}  # losses that its subscribers know of

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
        self._next = self.feeds.clock() + 1 / self.terms.rate
        origin, target = self._flushed, self.feeds.hub.history.head
        if isinstance(self.form, AnswerForm):
            self._flushed = target
            waiting, self.waiting = self.waiting, {}
            for tell in waiting:
                tell(None)  # each from its own cursor
        elif self.ready:
            self._pass(origin, target)
        self._flushed = target
        if self.ahead:
            self.catch_up()

    def _pass(self, origin: int, target: int) -> None:
        """Write a pass to everyone who is caught up."""
        cursor, ended = origin, False
        while cursor < target and self.ready and not ended:
            step = self.step(cursor, target, None, self._told, False, origin, False)
            cursor, ended = step.position, step.end
            # Who cannot take it all goes on with the rest of this pass alone.
            self._place = (cursor, target, origin)
            if step.chunk:
                self.sent = max(self.sent, step.first)
                self.write(step.chunk, step.records, ended)
        self._place = None
        self._told.clear()


class Subscriber:
    """A cursor into the log that belongs to one client, and how to write to that client."""

    __slots__ = (
        "careful", "client", "cursor", "feed", "fresh", "least", "origin", "paused", "replay",
        "skip", "target", "told", "told_position", "write",
    )  # fmt: skip

    def __init__(self, feed: Feed, client: Client, start: Start, *, replay: bool = False) -> None:
        if feed.pending:
            feed.flush()  # the feed's place is now the start's: nothing up to it is still to come
        self.feed: Feed | None = feed
        self.client = client
        self.cursor = start.cursor  # where it is, while it lags
        self.target = start.horizon  # the fixed end of the pass it is in
        self.fresh: int | None = start.fresh
        self.origin = start.cursor if start.fresh is None else -1  # where the pass began
        self.careful = True  # whether it began at a cursor that the client brought
        self.least = 0  # the least place at which it may join the feed
        self.told: dict[str, int] | None = start.told or None  # losses it knows of, while it lags
        self.told_position = 0  # the place it was last told of by a heartbeat
        self.paused = False
        self.replay = replay  # stop at the target instead of joining
        self.skip: Callable[[Record], bool] | None = None  # what it has by another subscription
        self.write: Write = _nowhere
        feed.lagging.add(self)
        if not start.holds:
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
        told = self.told if self.told is not None else {}
        if self.skip is None:
            step = feed.step(
                self.cursor, self.target, self.fresh, told, first, self.origin, self.careful
            )
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
        """A step that nobody shares, because this client has some of the records already.

        All values are sent in full: which of them the client holds depends on what is left out.
        """
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
            self.origin, self.careful = self.cursor, False
            if self.target < max(self.cursor, self.least):
                self.target = self.cursor
                feed.ahead.append(self)  # what the feed writes next is in part what it has
                return
            if self.cursor >= self.target:
                self.told = self.skip = None
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
    """All feeds of a hub.

    `schedule` runs a callable soon, `later` after some seconds; `clock` gives seconds, monotonic.
    """

    def __init__(
        self,
        hub: Hub,
        meters: Meters,
        schedule: Callable[[Callable[[], None]], object],
        clock: Callable[[], float],
        later: Callable[[float, Callable[[], None]], object],
    ) -> None:
        self.later = later
        self.deltas = Deltas(hub.limits)
        self.hub = hub
        self.meters = meters
        self.schedule = schedule
        self.clock = clock
        self.began = 0.0  # when the first record that waits for a flush was applied
        self._feeds: dict[tuple[Selector, tuple[object, ...], Terms], Feed] = {}
        self._index: PatternIndex[Feed] = PatternIndex()
        self._matches: dict[str, tuple[list[Feed], list[PacedFeed]]] = {}
        self._forms: dict[tuple[object, ...], Form] = {}
        self._dirty: list[Feed] = []
        hub.follow = self.push

    def feed(self, selector: Selector, form: Form, terms: Terms = PLAIN) -> Feed:
        """The feed of a selector in a form, made when first asked for."""
        key = (selector, form.key, terms)
        feed = self._feeds.get(key)
        if feed is None:
            form = self._forms.setdefault(form.key, form)
            feed = (PacedFeed if terms.rate else Feed)(self, selector, form, terms)
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
            paced = [f for f in found if isinstance(f, PacedFeed)]
            both = [f for f in found if not isinstance(f, PacedFeed)] if paced else found, paced
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
        topic = self.hub.topics.get(record.topic)
        base = None if topic is None else topic.at(origin)
        if base is None or base.seq <= floor:
            return None
        if careful and base.passed and base.seq != origin:
            return None
        return self.deltas.change(base, record)

    def all(self) -> list[Feed]:
        return list(self._feeds.values())

    def interested(self, topic: str) -> int:
        """How many subscribers a topic has."""
        return sum(feed.subscribers for feed in self._index.find(topic))

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
        used = {feed.form.key for feed in self._feeds.values()}
        for form in [form for form in self._forms if form not in used]:
            del self._forms[form]
