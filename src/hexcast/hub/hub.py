"""The hub: the log's records folded into topics, and the rules by which a change is accepted.

The fold is deterministic: every node that applies the same log holds the same topics. The hub knows
no clients; whoever follows it (the feeds) is told of each record once it is applied.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..log import Log, Outcome
from ..model import Draft, Gap, Id, Problem, Published, Record, Selector
from ..value import LIMITS, Limits
from .history import History
from .idempotency import IdempotencyKeys
from .patching import resolve
from .topic import Topic

__all__ = ["Hub"]


def _ignore(record: Record) -> None:
    """Stands in until somebody follows."""


class Hub:
    """Topics, and publishing to them.

    `now` gives milliseconds since 1970 UTC; `limits` are those of patches and what they lead to.
    """

    def __init__(
        self, log: Log, history: History, now: Callable[[], int], limits: Limits = LIMITS
    ) -> None:
        self.log = log
        self.limits = limits
        self.history = history
        self.topics = history.topics
        self.now = now
        self.follow: Callable[[Record], None] = _ignore
        self.records = 0  # applied since the start
        self._keys = IdempotencyKeys()
        log.open(self)

    # Publishing

    def publish(self, drafts: Sequence[Draft], done: Callable[[list[Outcome]], None]) -> None:
        """Append drafts; `done` gets an outcome for each, perhaps before this returns."""
        self.log.append(drafts, done)

    def judge(self, draft: Draft) -> Outcome | None:
        if not draft.key:
            return self._judge(draft)
        outcome = self._keys.begin(draft, self.now())
        if outcome is None:
            outcome = self._judge(draft)
            if isinstance(outcome, Problem) and outcome.status == 503:
                self._keys.forget(draft)  # it will pass: a repeat is tried anew
            elif outcome is not None:
                self._keys.settle(draft, outcome)
        return outcome

    def _judge(self, draft: Draft) -> Outcome | None:
        topic = self.topics.get(draft.topic)
        value = None if topic is None else topic.value
        if draft.if_match or draft.if_none:
            failed = _expectation_failed(draft, value)
            if failed is not None:
                return failed
        op = draft.op
        if op == "delete":
            return None if value is not None else Problem(404, "there is nothing to delete")
        if self.history.full and not (
            op == "put" and value is not None and len(draft.data) <= len(value.data)
        ):
            return Problem(503, "the server holds as much as it may", retry_after=5)
        if op == "patch" or op == "append":
            return self._judge_change(draft, topic, value)
        if value is None or topic is None:
            return None
        if op == "post":
            if topic.kind == "state":
                return Problem(409, "this topic is a state: PUT sets it, DELETE ends it")
        elif topic.kind == "stream":
            return Problem(409, "this topic is a stream: POST appends to it, DELETE ends it")
        elif (
            value.data == draft.data
            and value.type == draft.type
            and value.event == draft.event
            and value.end == draft.end
        ):
            return Published(value.id, draft.topic, changed=False, begun=False)
        return None

    def _judge_change(
        self, draft: Draft, topic: Topic | None, value: Record | None
    ) -> Outcome | None:
        """Judge a change in part, and settle the value that it leads to."""
        if value is not None and topic is not None and topic.kind == "stream":
            return Problem(409, "this topic is a stream: POST appends to it, DELETE ends it")
        problem = resolve(draft, value, self.limits)
        if problem is not None or value is None:
            return problem
        same = value.data == draft.data and draft.event in ("", value.event)
        if same and (value.end or not draft.end):
            return Published(value.id, draft.topic, changed=False, begun=False)
        return None

    def apply(self, record: Record, draft: Draft | None) -> Published:
        name = record.topic
        topic = self.topics.get(name)
        if topic is None:
            topic = Topic(name, "stream" if record.op == "post" else "state")
            # It may have been forgotten whole, with what it held up to here.
            topic.evicted = self.history.floor
            self.topics[name] = topic
        begun = record.op == "post" or (record.op != "delete" and topic.value is None)
        self.history.add(topic, record)
        topic.count(record.time)
        self.records += 1
        self.follow(record)
        published = Published(record.id, name, changed=True, begun=begun)
        if draft is not None and draft.key:
            self._keys.settle(draft, published)
        return published

    # Places

    @property
    def head(self) -> int:
        """SEQ of the newest record applied."""
        return self.history.head

    def id(self, seq: int) -> str:
        """The id of a place."""
        return f"{self.log.epoch}-{seq}"

    def known(self, cursor: Id) -> bool:
        """Whether a cursor is a place in this log's past, or its present."""
        return cursor.epoch == self.log.epoch and cursor.seq <= self.history.head

    def gap(self, selector: Selector, cursor: int, after: str, told: dict[str, int]) -> Gap | None:
        """What of the selected streams is lost after a known cursor. See `History.gap`."""
        return self.history.gap(selector, cursor, after, self.log.epoch, told)

    def gap_of_unknown(self, selector: Selector, after: str, told: dict[str, int]) -> Gap | None:
        """The gap after a cursor of which nothing is known: any stream selected may have lost.

        A pattern is named only where no stream that it stands for is known. None where all that
        is selected are states.
        """
        lost: dict[str, int] = dict.fromkeys(selector.patterns, self.history.floor)
        for name in selector.names:
            topic = self.topics.get(name)
            if topic is None or topic.kind == "stream":
                lost[name] = self.history.floor if topic is None else topic.evicted
        if selector.patterns:
            known = [
                name
                for name, topic in self.topics.items()
                if topic.kind == "stream" and selector.matches(name)
            ]
            lost.update((name, self.topics[name].evicted) for name in known)
            if known and not self.history.floor:
                for pattern in selector.patterns:
                    del lost[pattern]  # those it stands for are named
        if not lost:
            return None
        told.update(lost)
        return Gap(after, self.id(max(lost.values()) + 1), tuple(sorted(lost)))

    def record_at(self, topic: str, seq: int) -> Record | None:
        """The record of `topic` with this SEQ, if it is held."""
        found = self.topics.get(topic)
        return None if found is None else found.find(seq)

    def sweep(self) -> None:
        """Let go of what is past its time: called now and then."""
        self.history.sweep(self.now())
        self._keys.expire(self.now())


def _expectation_failed(draft: Draft, value: Record | None) -> Problem | None:
    """RFC 9110, 13.1.1 and 13.1.2: If-Match and If-None-Match on a change."""
    if value is not None and ("*" in draft.if_none or value.id in draft.if_none):
        return Problem(412, f"the topic is at {value.id}", etag=value.id)
    if draft.if_match:
        if value is None:
            return Problem(412, "there is nothing under this topic")
        if "*" not in draft.if_match and value.id not in draft.if_match:
            return Problem(412, f"the topic has moved on to {value.id}", etag=value.id)
    return None
