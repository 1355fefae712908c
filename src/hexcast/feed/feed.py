"""A feed: all subscribers of one selector in one wire form, and the bytes that they share."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from ..model import Record, Selector
from .deltas import Change
from .encoding import AnswerEncoder, Encoder, StreamEncoder

if TYPE_CHECKING:
    from .registry import Feeds
    from .subscriber import Subscriber

__all__ = ["PLAIN", "Answer", "DeliveryOptions", "Feed", "Step", "Write"]

_CACHED_PASSES = 16

Write = Callable[[bytes], None]
Answer = Callable[[object], None]


class DeliveryOptions(NamedTuple):
    """How a subscription is served, beside its selector and form."""

    deltas: Selector | None = None
    """The topics of which changes come as deltas, where they can."""
    rate: float = 0.0
    """How many times a second it is flushed at most; 0 for as often as there is something."""
    lacks_base: bool = False
    """Whether it is of clients that do not hold the values as of the place where they began."""


PLAIN = DeliveryOptions()


class Step(NamedTuple):
    """One step of a pass, encoded."""

    chunk: bytes
    position: int
    records: int
    first: int
    """SEQ of the first record, or 0."""
    last: int
    """SEQ of the last record, or 0."""
    end: bool


class Feed:
    """All subscribers of one selector in one wire form, on the same terms."""

    __slots__ = (
        "_passes",
        "_writes",
        "ahead",
        "deltas",
        "dirty",
        "encoder",
        "feeds",
        "floor",
        "idle",
        "lagging",
        "options",
        "pending",
        "ready",
        "selector",
        "sent",
        "waiting",
    )  # fmt: skip

    def __init__(
        self, feeds: Feeds, selector: Selector, encoder: Encoder, options: DeliveryOptions
    ) -> None:
        self.feeds = feeds
        self.selector = selector
        self.encoder = encoder
        self.options = options
        self.deltas = options.deltas
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
        return self.pending[0].seq - 1 if self.pending else self.feeds.hub.head

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
        meter = feeds.counters.ways[self.encoder.way]
        visible = pending
        if len(pending) > 1:
            visible = feeds.hub.conflate(pending)
            meter.folds += (len(pending) - len(visible)) * len(self.ready)
        self.sent = visible[-1].seq
        encoder = self.encoder
        before = pending[0].seq - 1
        if isinstance(encoder, AnswerEncoder):
            waiting, self.waiting = self.waiting, {}
            answer = encoder.answer(visible, self.position, self.changes(visible, before))
            for notify in waiting:
                notify(answer)
            meter.deliveries += len(waiting) * len(visible)
            feeds.counters.latency(feeds.clock() - feeds.began, len(waiting))
            return
        chunk = self.encode(visible, before)
        # Taken before writing: a socket that fills leaves those who are caught up.
        notified = len(self.ready)
        self.write(chunk, len(visible), visible[-1].end and bool(self.selector.single))
        feeds.counters.latency(feeds.clock() - feeds.began, notified)

    def write(self, chunk: bytes, records: int, end: bool) -> None:
        """Write a chunk to everyone who is caught up; with `end` it is the last for now."""
        writes = self._writes
        if writes is None:
            writes = self._writes = [s.write for s in self.ready]
        ending = list(self.ready) if end else ()
        for write in writes:
            write(chunk)
        meter = self.feeds.counters.ways[self.encoder.way]
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
        encoder = self.encoder
        assert isinstance(encoder, StreamEncoder)
        if self.deltas is None or origin < 0:
            return encoder.chunk(records)
        return encoder.chunk([self.change(record, origin, careful) or record for record in records])

    # Those who lag

    def step(
        self,
        cursor: int,
        target: int,
        fresh: int | None,
        known_losses: dict[str, int],
        first: bool,
        origin: int,
        careful: bool,
    ) -> Step:
        """One step of a pass over (cursor, target]; shared by all who are at the same place.

        `origin` is where the pass began, -1 where it is a client's first without a cursor.
        """
        encoder, hub = self.encoder, self.feeds.hub
        assert isinstance(encoder, StreamEncoder)
        gap = None
        if fresh is None or (fresh and not first):
            gap = hub.gap(self.selector, cursor, hub.id(cursor), known_losses)
            if gap is not None:
                self.feeds.counters.ways[encoder.way].gaps += 1
        key: tuple[int, ...] = (cursor, target, -1 if fresh is None else fresh)
        if self.deltas is not None:
            key = (*key, origin, hub.skips if careful else -1)
        step = self._passes.get(key)
        if step is None:
            scanned = hub.scan(self.selector, cursor, target, backlog=fresh)
            records = scanned.records
            step = Step(
                self.encode(records, origin, careful),
                scanned.position,
                len(records),
                records[0].seq if records else 0,
                records[-1].seq if records else 0,
                bool(records) and records[-1].end and bool(self.selector.single),
            )
            self.feeds.counters.ways[encoder.way].folds += scanned.conflated
            self._passes[key] = step
            if len(self._passes) > _CACHED_PASSES:
                self._passes.popitem(last=False)
        if gap is not None:
            step = step._replace(chunk=encoder.after_gap(gap, step.chunk))
        return step

    def forget(self) -> None:
        """Let go of what was remembered for others at the same place."""
        self._passes.clear()
        if isinstance(self.encoder, StreamEncoder):
            self.encoder.forget()
