"""The hub: the log's entries folded into topics, and the rules by which a change is accepted.

The fold is deterministic: every node that applies the same entries has the same topics. The hub
knows no clients; `follow` is called with each record once it is applied.

The fold has two heads: what is *applied*, which clients see, and what is *staged*, which is judged
but not committed (rules in `log.base`):

1. A draft is judged upon the newest staged draft of its topic, else upon the topic as applied.
   Only what both heads agree on is an outcome at once: a refusal, or "no change", that depends on
   a staged draft may be wrong once the log refuses that draft, and the id that it would name is
   not known. Such a draft waits (`stage` returns None).
2. A change in part is applied to the value when it is staged; the entry has the whole value.
3. `apply` takes entries in the log's order: the oldest staged, or, with nothing staged, another
   node's. It alone changes topics, history and positions.
4. An idempotency key is in progress from `stage` to `apply` or `unstage`. Its use stands in the
   entry, so that a retry is known on every node and after a restart.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from ..log import Done, Durability, Entry, Log, Outcome, Staged
from ..model import Draft, Gap, Id, Kind, Problem, Published, Record, Selector
from ..value import LIMITS, Limits
from .epochs import Epochs
from .history import SCAN_RECORDS, History
from .idempotency import IdempotencyKeys, use_of
from .patching import apply_change
from .scan import Scan, Scanned
from .topic import Topic

__all__ = ["Hub", "LiveTopic"]


class LiveTopic(NamedTuple):
    """One topic that has a value, for lists of topics."""

    name: str
    kind: Kind
    id: str
    """Of its newest record."""
    rate: float
    """Records a second, over about the last ten seconds."""


def _ignore(record: Record) -> None:
    """Stands in until something follows."""


class Hub:
    """Topics, and publishing to them.

    `now` gives milliseconds since 1970 UTC, `clock` seconds of a monotonic clock; `limits` are
    those of patches and of the values that they lead to. The log hands its entries over when it
    starts.
    """

    def __init__(
        self,
        log: Log,
        history: History,
        now: Callable[[], int],
        clock: Callable[[], float],
        limits: Limits = LIMITS,
    ) -> None:
        self.limits = limits
        self.now = now
        self.clock = clock
        self.follow: Callable[[Record], None] = _ignore
        self.records = 0  # applied since the start
        self._log = log
        self._history = history
        self._topics = history.topics
        self._epochs = Epochs()
        self._keys = IdempotencyKeys()
        self._staged: deque[Staged] = deque()
        self._newest_staged: dict[str, Staged] = {}  # by topic
        self._staged_bytes = 0

    @property
    def durability(self) -> Durability:
        """What an acknowledged record survives."""
        return self._log.durability

    # Publishing

    async def start(self) -> None:
        """Take in what the log has. Raises OSError where its engine cannot be reached."""
        await self._log.start(self)

    async def close(self) -> None:
        """Release the log, when what was acknowledged is flushed."""
        await self._log.close()

    def publish(self, drafts: Sequence[Draft], done: Done) -> None:
        """Append drafts; `done` gets an outcome for each, perhaps before this returns."""
        self._log.append(drafts, done)

    def stage(self, draft: Draft) -> Staged | Outcome | None:
        use = None
        if draft.key:
            use = use_of(draft)
            known = self._keys.find(draft.topic, use, self.clock())
            if known is not None:
                return known
        before = self._newest_staged.get(draft.topic)
        verdict = self._judge(draft, before)
        if not isinstance(verdict, Staged):
            if before is not None:
                return None  # rule 1
            if use is not None and not (isinstance(verdict, Problem) and verdict.status == 503):
                self._keys.settle(draft.topic, use, verdict, self.clock())
            return verdict
        if use is not None:
            self._keys.begin(draft.topic, use, self.clock())
            verdict = Staged(draft, verdict.data, verdict.type, use)
        self._staged.append(verdict)
        self._staged_bytes += len(verdict.data)
        self._newest_staged[draft.topic] = verdict
        return verdict

    def unstage(self) -> None:
        for staged in self._staged:
            if staged.use is not None:
                self._keys.discard(staged.draft.topic, staged.use)
        self._staged.clear()
        self._newest_staged.clear()
        self._staged_bytes = 0

    def _judge(self, draft: Draft, before: Staged | None) -> Staged | Outcome:
        """Judge a draft upon the newest staged one of its topic, or else upon the topic."""
        topic = self._topics.get(draft.topic)
        value: Record | Staged | None
        if before is None:
            value = None if topic is None else topic.value
            is_stream = topic is not None and topic.kind == "stream"
        else:
            value = None if before.draft.op == "delete" else before
            is_stream = before.draft.op == "post"
        if draft.if_match or draft.if_none:
            failed = _failed_expectation(draft, value)
            if failed is not None:
                return failed
        op = draft.op
        if op == "delete":
            if value is None:
                return Problem(404, "there is nothing to delete")
            return Staged(draft, b"", "")
        if (self._history.total + self._staged_bytes > self._history.limit) and not (
            op == "put" and value is not None and len(draft.data) <= len(value.data)
        ):
            return Problem(503, "the server retains as much as it may", retry_after=5)
        data, type = draft.data, draft.type
        if value is not None:
            if op == "post":
                if not is_stream:
                    return Problem(409, "this topic is a state: PUT sets it, DELETE ends it")
            elif is_stream:
                return Problem(409, "this topic is a stream: POST appends to it, DELETE ends it")
        if op == "patch" or op == "append":
            changed = apply_change(draft, value, self.limits)
            if isinstance(changed, Problem):
                return changed
            data, type = changed
        if value is not None and op != "post" and _changes_nothing(draft, data, type, value):
            assert not isinstance(value, Staged) or before is not None
            id = value.id if isinstance(value, Record) else ""  # rule 1: nobody sees this one
            return Published(id, draft.topic, changed=False, begun=False)
        return Staged(draft, data, type)

    # Taking entries in

    def begin_epoch(self, epoch: str, base: int) -> None:
        self._epochs.begin(epoch, base)

    def apply(self, entry: Entry, staged: Staged | None = None) -> Published:
        if self._staged and staged is not self._staged[0]:
            raise RuntimeError("another entry comes first: what is staged has to be taken back")
        if staged is not None:
            self._staged.popleft()
            self._staged_bytes -= len(staged.data)
            if self._newest_staged.get(staged.draft.topic) is staged:
                del self._newest_staged[staged.draft.topic]
        record, use = entry
        name = record.topic
        topic = self._topics.get(name)
        if topic is None:
            topic = Topic(name, "stream" if record.op == "post" else "state")
            # It may have been evicted whole, with what it retained up to here.
            topic.evicted = self._history.floor
            self._topics[name] = topic
        begun = record.op == "post" or (record.op != "delete" and topic.value is None)
        self._history.add(topic, record)
        topic.count(record.time)
        self.records += 1
        self.follow(record)
        published = Published(record.id, name, changed=True, begun=begun)
        if use is not None:
            self._keys.settle(name, use, published, self.clock())
        return published

    # Positions

    @property
    def head(self) -> int:
        """SEQ of the newest record applied."""
        return self._history.head

    @property
    def epoch(self) -> str:
        """The epoch of what is appended now."""
        return self._epochs.newest

    def id(self, seq: int) -> str:
        """The id of a place."""
        return f"{self._epochs.of(seq)}-{seq}"

    def known(self, cursor: Id) -> bool:
        """Whether a cursor is a place in this log's past or present."""
        return self._epochs.known(cursor, self._history.head)

    # What is there

    def value(self, topic: str) -> Record | None:
        """A topic's newest record; None where there is none, or it was deleted."""
        found = self._topics.get(topic)
        return None if found is None else found.value

    def newest(self, selector: Selector) -> list[Record]:
        """The newest record of every selected topic that has one, in the log's order."""
        return self._history.newest(selector)

    def recent(self, topic: str, count: int) -> list[Record]:
        """Up to `count` newest records of a topic, the newest first, past values included."""
        found = self._topics.get(topic)
        return [] if found is None else found.recent(count)

    def record_at(self, topic: str, seq: int) -> Record | None:
        """The record of `topic` with this SEQ, if it is retained."""
        found = self._topics.get(topic)
        return None if found is None else found.find(seq)

    def value_at(self, topic: str, seq: int) -> Record | None:
        """The value that a state had at a place, if that is still known and was not deleted."""
        found = self._topics.get(topic)
        return None if found is None else found.at(seq)

    def ended(self, topic: str, seq: int) -> bool:
        """Whether a client at a place has had the last record, for now, of a topic."""
        found = self._topics.get(topic)
        last = None if found is None else found.newest
        return last is not None and last.end and seq >= last.seq

    def stream_start(self, topic: str, last: int, horizon: int) -> int | None:
        """The place after which a stream's newest `last` records up to `horizon` begin.

        None for a state, and where nothing is retained.
        """
        found = self._topics.get(topic)
        if found is None or found.kind == "state":
            return None
        return found.since_last(last, horizon)

    def live(self) -> Iterator[LiveTopic]:
        """The topics that have a value, in the order in which they began."""
        now = self.now()
        for name, topic in self._topics.items():
            value = topic.value
            if value is not None:
                yield LiveTopic(name, topic.kind, value.id, topic.rate(now))

    @property
    def topic_count(self) -> int:
        """How many topics have retained records, or were deleted lately."""
        return len(self._topics)

    @property
    def retained_bytes(self) -> int:
        """Bytes that can be replayed, with what each record costs beside its payload."""
        return self._history.total

    # Walking over it

    def scan(self, selector: Selector, scan: Scan, *, limit: int = SCAN_RECORDS) -> Scanned:
        """The next segment of a scan. See `History.scan`."""
        return self._history.scan(selector, scan, limit=limit)

    def search(self, selector: Selector, scan: Scan, *, limit: int, size: int) -> Scanned:
        """The first segment of a scan that has a record. See `History.search`."""
        return self._history.search(selector, scan, limit=limit, size=size)

    def conflate(self, records: list[Record]) -> list[Record]:
        """Of records in order, up to the newest of all, those that nothing has superseded."""
        return self._history.conflate(records)

    @property
    def skips(self) -> int:
        """How many values were marked as skipped: what a scan says of bases depends on it."""
        return self._history.skips

    def gap(
        self, selector: Selector, cursor: int, after: str, reported: dict[str, int]
    ) -> Gap | None:
        """What of the selected streams is lost after a known cursor; None where nothing is.

        `reported` has, by topic, the losses that this client knows of; it is brought up to date.
        """
        lost = self._history.lost(selector, cursor)
        news = {name: seq for name, seq in lost.items() if seq > reported.get(name, 0)}
        if not news:
            return None
        reported.update(news)
        return Gap(after, self.id(max(news.values()) + 1), tuple(sorted(news)))

    def gap_of_unknown(self, selector: Selector, after: str, reported: dict[str, int]) -> Gap:
        """The gap after a cursor of which nothing is known: any stream selected may have lost.

        A pattern is named only where no stream that it stands for is known.
        """
        floor = self._history.floor
        lost: dict[str, int] = dict.fromkeys(selector.patterns, floor)
        for name in selector.names:
            topic = self._topics.get(name)
            if topic is None or topic.kind == "stream":
                lost[name] = floor if topic is None else topic.evicted
        if selector.patterns:
            known = [
                name
                for name, topic in self._topics.items()
                if topic.kind == "stream" and selector.matches(name)
            ]
            lost.update((name, self._topics[name].evicted) for name in known)
            if known and not floor:
                for pattern in selector.patterns:
                    del lost[pattern]  # those it stands for are named
        reported.update(lost)
        before = self.id(max(lost.values(), default=floor) + 1)
        return Gap(after, before, tuple(sorted(lost)), reset=True)

    def sweep(self) -> None:
        """Evict what is past its time; called periodically."""
        self._history.sweep(self.clock())
        self._keys.expire(self.clock())
        self._log.trim(self._history.oldest - 1)


def _changes_nothing(draft: Draft, data: bytes, type: str, value: Record | Staged) -> bool:
    """Whether a topic already is as a change would make it."""
    event, end = (
        (value.event, value.end)
        if isinstance(value, Record)
        else (value.draft.event, value.draft.end)
    )
    if value.data != data:
        return False
    if draft.op == "put":
        return value.type == type and event == draft.event and end == draft.end
    return draft.event in ("", event) and (end or not draft.end)


def _failed_expectation(draft: Draft, value: Record | Staged | None) -> Problem | None:
    """RFC 9110, 13.1.1 and 13.1.2: If-Match and If-None-Match on a change.

    The id of a staged value is not known yet: no id that a client may have is it.
    """
    id = value.id if isinstance(value, Record) else ""
    if value is not None and ("*" in draft.if_none or id in draft.if_none):
        return Problem(412, f"the topic is at {id}", etag=id)
    if draft.if_match:
        if value is None:
            return Problem(412, "there is nothing under this topic")
        if "*" not in draft.if_match and id not in draft.if_match:
            return Problem(412, f"the topic has moved on to {id}", etag=id)
    return None
