"""The unacknowledged part of a batch: which record each answer belongs to. No I/O, no clock.

Records go in by `add`, are taken by `take` to be sent, and are matched to answers by `answer`, in
the order they were sent. When a connection is lost, `lost` makes all that was sent and not answered
due again, in order. `done` gives back the finished ones, in the order they came in; until then
each keeps its place, so that never more than `limit` records are held.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from .encoding import Message
from .errors import HexcastError, ProtocolError, Refused

__all__ = ["Acknowledged", "Published", "Unknown", "Window"]

# A server remembers an idempotency key for two minutes or more. Whether a record sent longer ago
# was published cannot be found out by sending it again: it might be published twice.
KEY_SECONDS = 110.0

# A record that was sent before may be "in hand" still (409): the server is not yet sure of it.
IN_HAND_TRIES = 8


class Unknown(HexcastError):
    """A record was sent, but no answer came for so long that its key may have been forgotten."""


@dataclass(frozen=True, slots=True)
class Published:
    """What became of a publish: the record's id, and whether it changed anything.

    `changed` is False where the topic already was so; the id is then the one it had. A batch is
    answered without it: it is True there.
    """

    id: str
    topic: str
    changed: bool = True


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """The server's word on one message of a batch: `published`, or the `error` that it got."""

    message: Message
    published: Published | None
    error: HexcastError | None


@dataclass(slots=True, eq=False)
class _Entry:
    number: int
    message: Message
    line: bytes
    sent_at: float | None = None  # when it was first sent
    tries: int = 0
    outcome: Acknowledged | None = None


class Window:
    """Holds up to `limit` records, sent or not, and about `limit_bytes` of their lines."""

    def __init__(self, limit: int, limit_bytes: int = 16 * 2**20) -> None:
        if limit < 1:
            raise ValueError("a window holds at least one record")
        self._limit = limit
        self._limit_bytes = limit_bytes
        self._bytes = 0
        self._count = 0
        self._entries: deque[_Entry] = deque()  # all that `done` has not given back
        self._due: deque[_Entry] = deque()  # to be sent, in order
        self._sent: deque[_Entry] = deque()  # sent on this connection, in order
        self._again: list[_Entry] = []  # answered "not now" on this connection

    @property
    def full(self) -> bool:
        """True when `add` must wait."""
        return len(self._entries) >= self._limit or self._bytes >= self._limit_bytes

    @property
    def due(self) -> bool:
        """True when something waits to be sent on this connection."""
        return bool(self._due)

    @property
    def unanswered(self) -> int:
        """Records sent on this connection whose answers are outstanding."""
        return len(self._sent)

    @property
    def refused(self) -> bool:
        """True when an answer said "not now": `lost` makes those records due again."""
        return bool(self._again)

    @property
    def held(self) -> int:
        """Records that `done` has not given back."""
        return len(self._entries)

    @property
    def finished(self) -> bool:
        """True when `done` has something to give back."""
        return bool(self._entries) and self._entries[0].outcome is not None

    def add(self, message: Message, line: bytes) -> None:
        """Take in the next record. Must not be called while `full`."""
        assert not self.full
        entry = _Entry(self._count, message, line)
        self._count += 1
        self._bytes += len(line)
        self._entries.append(entry)
        self._due.append(entry)

    def add_failed(self, message: Message, error: HexcastError) -> None:
        """Take in a record that cannot be sent at all, so that its error comes in its place."""
        assert not self.full
        entry = _Entry(self._count, message, b"", outcome=Acknowledged(message, None, error))
        self._count += 1
        self._entries.append(entry)

    def take(self, now: float, size: int) -> bytes:
        """Lines to send now, at most about `size` bytes and at least one line if any is due."""
        lines: list[bytes] = []
        total = 0
        while self._due and (not lines or total + len(self._due[0].line) <= size):
            entry = self._due.popleft()
            if entry.sent_at is None:
                entry.sent_at = now
            entry.tries += 1
            self._sent.append(entry)
            lines.append(entry.line)
            total += len(entry.line)
        return b"".join(lines)

    def answer(self, value: object) -> None:
        """Match the next answer line to its record. Raises ProtocolError."""
        if not self._sent:
            raise ProtocolError("an answer to a record that was not sent")
        if not isinstance(value, dict):
            raise ProtocolError(f"not an answer to a record: {value!r:.200}")
        entry = self._sent.popleft()
        if "error" in value:
            error = Refused.from_object(value["error"])
            if error.status == 429:
                entry.sent_at = None  # turned away, so certainly not published
            if error.transient or (error.status == 409 and 1 < entry.tries <= IN_HAND_TRIES):
                self._again.append(entry)
            else:
                entry.outcome = Acknowledged(entry.message, None, error)
        elif isinstance(value.get("id"), str):
            published = Published(value["id"], entry.message.topic)
            entry.outcome = Acknowledged(entry.message, published, None)
        else:
            raise ProtocolError(f"not an answer to a record: {value!r:.200}")

    def lost(self, now: float) -> None:
        """The connection is over: what is without an outcome is due again, in order.

        What was sent too long ago to be sent again safely ends as Unknown.
        """
        entries = sorted([*self._again, *self._sent, *self._due], key=lambda entry: entry.number)
        self._again.clear()
        self._sent.clear()
        self._due.clear()
        for entry in entries:
            if entry.sent_at is not None and now - entry.sent_at > KEY_SECONDS:
                error = Unknown(
                    f"sent, and not acknowledged for {now - entry.sent_at:.0f} s: "
                    "whether it was published is not known"
                )
                entry.outcome = Acknowledged(entry.message, None, error)
            else:
                self._due.append(entry)

    def done(self) -> Iterator[Acknowledged]:
        """Give back what is finished, up to the first record that is not."""
        while self._entries and (outcome := self._entries[0].outcome) is not None:
            self._bytes -= len(self._entries.popleft().line)
            yield outcome
