"""A feed: all subscribers of one selector in one wire format, and the bytes that they share.

Theory of operation:

1. A feed has a *position*: the SEQ up to which every selected record was written to those that are
   caught up. A record that the hub applies is `pending` until the next flush.
2. A *flush* encodes what is pending once, conflated, and writes the same bytes to every member that
   is caught up. Such a member has no cursor of its own: its cursor is the feed's position.
3. A member that cannot be written to (its socket is full), or that has just come, is *lagging*. It
   has a scan of its own (`Scan`), and takes one segment of it at a time.
4. A scan that is done is followed by another, from its horizon to the feed's position, until there
   is nothing between them. Then the member joins those that are caught up. It joins at the feed's
   position and never at the hub's head: what is between them is pending, and comes with the flush.
5. Segments are encoded once for all members that scan the same part (`_key`). A segment that was
   made for an earlier horizon serves a later one, where the scan sends no deltas and the selector
   names several topics: what has been superseded since is sent all the same, and its newest value
   comes further on in the same scan. The end of a scan, where newer records are, is made anew.
6. Deltas are against the values as of the scan's `base`, for those that are caught up against the
   values as of the flush before. `floor` excludes bases that only some members have.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from ..hub import Scan
from ..model import Record, Selector
from .context import FeedContext
from .deltas import Change
from .encoding import AnswerEncoder, Encoder, StreamEncoder
from .segments import Segment

__all__ = ["PLAIN", "Answer", "DeliveryOptions", "Feed", "Member", "SubscriberHandler", "Write"]

Write = Callable[[bytes], None]
Answer = Callable[[object], None]

STALE_RECORDS = 1_000
"""Records that may have been applied since a cached segment was made; or a quarter of the number
of topics, where that is more: then they are few beside what the scan sends anyway."""


class DeliveryOptions(NamedTuple):
    """How a subscription is served, beside its selector and wire format."""

    deltas: Selector | None = None
    """The topics whose changes are sent as deltas, where they can."""
    rate: float = 0.0
    """How many times a second it is flushed at most; 0 for as often as there is something."""
    lacks_base: bool = False
    """Whether its clients lack the values as of the cursor at which they began."""


PLAIN = DeliveryOptions()


class SubscriberHandler(Protocol):
    """The connection that a subscriber belongs to, as feeds know it."""

    def ended(self) -> None:
        """The record just written was the topic's last for now."""
        ...

    def replayed(self) -> None:
        """A replay has reached its horizon."""
        ...


class Member(Protocol):
    """A subscriber, as its feed knows it."""

    write: Write
    handler: SubscriberHandler

    @property
    def left(self) -> bool:
        """Whether it has left the feed."""
        ...

    @property
    def position(self) -> int:
        """SEQ up to which everything was written to it."""
        ...

    def advance(self) -> None:
        """Write the next segment of its scan, or join those that are caught up."""
        ...


class Feed:
    """All subscribers of one selector in one wire format, with the same delivery options."""

    __slots__ = (
        "_version",
        "_writes",
        "ahead",
        "context",
        "deltas",
        "dirty",
        "encoder",
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
        self, context: FeedContext, selector: Selector, encoder: Encoder, options: DeliveryOptions
    ) -> None:
        self.context = context
        self.selector = selector
        self.encoder = encoder
        self.options = options
        self.deltas = options.deltas
        self.floor = 0  # values that are not newer are known to some members only: no bases
        self.pending: list[Record] = []  # applied, selected, not yet written
        self.dirty = False
        self.ready: dict[Member, None] = {}  # caught up, in the order they came
        self.lagging: set[Member] = set()
        self.ahead: list[Member] = []  # lagging, but beyond the feed's position
        self.waiting: dict[Answer, None] = {}  # pending answers, for an AnswerEncoder
        self.sent = 0  # SEQ of the newest record written
        self.idle = 0  # sweeps without a member
        self._writes: list[Write] | None = None
        self._version = 0  # part of the key of cached segments: a new one releases all

    @property
    def position(self) -> int:
        """SEQ up to which everything selected was written to those that are caught up."""
        return self.pending[0].seq - 1 if self.pending else self.context.hub.head

    @property
    def rest(self) -> Scan:
        """The scan that a member begins with when it can be written to no more."""
        position = self.position
        return Scan(position, position, base=position, base_trusted=True)

    @property
    def subscribers(self) -> int:
        return len(self.ready) + len(self.lagging) + len(self.waiting)

    # Those that are caught up

    def join(self, member: Member) -> None:
        self.lagging.discard(member)
        self.ready[member] = None
        self._writes = None

    def part(self, member: Member) -> None:
        if self.ready.pop(member, member) is None:
            self._writes = None
        self.lagging.discard(member)

    def flush(self) -> None:
        """Write what is pending, conflated, to everyone that is caught up."""
        pending, self.pending = self.pending, []
        self.dirty = False
        if self.ahead:
            self.catch_up()
        if not pending or not (self.ready or self.waiting):
            return
        context = self.context
        meter = context.counters.ways[self.encoder.way]
        visible = pending
        if len(pending) > 1:
            visible = context.hub.conflate(pending)
            meter.folds += (len(pending) - len(visible)) * len(self.ready)
        self.sent = visible[-1].seq
        encoder = self.encoder
        base = pending[0].seq - 1
        if isinstance(encoder, AnswerEncoder):
            waiting, self.waiting = self.waiting, {}
            answer = encoder.answer(visible, self.position, self.changes(visible, base))
            for notify in waiting:
                notify(answer)
            meter.deliveries += len(waiting) * len(visible)
            context.counters.latency(context.clock() - context.began, len(waiting))
            return
        chunk = self.encode(visible, base)
        # Counted before writing: a member whose socket fills is caught up no longer.
        notified = len(self.ready)
        self.write(chunk, len(visible), visible[-1].end and bool(self.selector.single))
        context.counters.latency(context.clock() - context.began, notified)

    def write(self, chunk: bytes, records: int, end: bool) -> None:
        """Write a chunk to everyone that is caught up; with `end` it is the last for now."""
        writes = self._writes
        if writes is None:
            writes = self._writes = [s.write for s in self.ready]
        ending = list(self.ready) if end else ()
        for write in writes:
            write(chunk)
        meter = self.context.counters.ways[self.encoder.way]
        meter.deliveries += len(writes) * records
        meter.sent += len(writes) * len(chunk)
        for member in ending:  # one whose socket this write has filled included
            if not member.left:
                member.handler.ended()

    def catch_up(self) -> None:
        """Resume the members that are beyond the position that the feed had."""
        ahead, self.ahead = self.ahead, []
        for member in ahead:
            self.context.scans.add(member.advance)

    # Deltas

    def change(self, record: Record, base: int, trusted: bool = True) -> Change | None:
        """The change of a record's topic since SEQ `base`; None where its full value is sent."""
        if self.deltas is None or not self.deltas.matches(record.topic):
            return None
        return self.context.change(record, base, trusted=trusted, floor=self.floor)

    def changes(self, records: list[Record], base: int) -> dict[Record, Change]:
        """Those of `records` that can be sent as changes since SEQ `base`."""
        if self.deltas is None:
            return {}
        found = ((r, self.change(r, base)) for r in records)
        return {record: change for record, change in found if change is not None}

    def encode(self, records: list[Record], base: int | None, trusted: bool = True) -> bytes:
        """The chunk of `records` for clients that have the values as of SEQ `base`."""
        encoder = self.encoder
        assert isinstance(encoder, StreamEncoder)
        if self.deltas is None or base is None:
            return encoder.chunk(records)
        return encoder.chunk([self.change(record, base, trusted) or record for record in records])

    # Those that lag

    def segment(self, scan: Scan, known_losses: dict[str, int], *, first: bool = False) -> Segment:
        """The next segment of a scan, with the gap before it that the client has to know of.

        `known_losses` has, by topic, the losses that the client knows of; it is brought up to
        date. `first` is for the first segment of a client that comes without a cursor: what was
        lost before it came is no loss to it.
        """
        context, encoder = self.context, self.encoder
        assert isinstance(encoder, StreamEncoder)
        gap = None
        if scan.backlog is None or (scan.backlog and not first):
            hub = context.hub
            gap = hub.gap(self.selector, scan.cursor, hub.id(scan.cursor), known_losses)
        key, exact = self._key(scan)
        segment = context.segments.get(key)
        if segment is None or not (exact or self._serves(segment, scan)):
            segment = self._make(scan)
            context.segments.put(key, segment)
        if gap is not None:
            context.counters.ways[encoder.way].gaps += 1
            segment = segment._replace(chunk=encoder.after_gap(gap, segment.chunk))
        return segment

    def _key(self, scan: Scan) -> tuple[tuple[object, ...], bool]:
        """The key of a scan's next segment, and whether it is for this horizon only."""
        plain = self.deltas is None or scan.base is None
        if plain and not scan.backlog and not self.selector.single:
            return (self, self._version, scan.cursor, scan.backlog), False
        key = (self, self._version, scan.cursor, scan.backlog, scan.horizon)
        if plain:
            return key, True
        skips = -1 if scan.base_trusted else self.context.hub.skips
        return (*key, scan.base, skips), True

    def _serves(self, segment: Segment, scan: Scan) -> bool:
        """Whether a segment that was made for some horizon serves this scan."""
        newer = scan.horizon - segment.horizon
        if not newer:
            return True
        stale = newer > max(STALE_RECORDS, self.context.hub.topic_count // 4)
        return newer > 0 and segment.position < segment.horizon and not stale

    def _make(self, scan: Scan) -> Segment:
        scanned = self.context.hub.scan(self.selector, scan)
        records = scanned.records
        self.context.counters.ways[self.encoder.way].folds += scanned.conflated
        return Segment(
            self.encode(records, scan.base, scan.base_trusted),
            scanned.position,
            scan.horizon,
            len(records),
            records[0].seq if records else 0,
            records[-1].seq if records else 0,
            bool(records) and records[-1].end and bool(self.selector.single),
        )

    def release(self) -> None:
        """Release every encoded record and segment: a topic that they have was deleted."""
        self._version += 1
        self.release_records()

    def release_records(self) -> None:
        """Release the encoded records."""
        if isinstance(self.encoder, StreamEncoder):
            self.encoder.release()
