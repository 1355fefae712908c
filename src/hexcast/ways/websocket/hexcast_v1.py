"""The WebSocket subprotocol `hexcast.v1` (protocol 4): subscribe, unsubscribe, publish, ping.

However many subscriptions a connection has, it is one subscriber: a cursor in the feed of their
union. A new one is replayed first, up to the place where the union goes on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from ...feed import DeliveryOptions, StreamEncoder, Subscriber
from ...http import frames
from ...hub import Hub, ResumePoint, Scan, resume_point
from ...log import Outcome
from ...model import PerClient, Problem, Record, Selector, matches
from ...publish import Line, draft_of_line
from ..context import Context
from ..poll import MAX_SEQ, ended
from ..query import MAX_RATE, MIN_RATE, ReceiveQuery

if TYPE_CHECKING:
    from .session import Session

__all__ = ["Conversation"]

_NO_REF = msgspec.Raw()

MAX_GIVEN = 16
"""Times that one name may be asked for anew without its records coming again."""


class _Message(msgspec.Struct):
    """A client's message."""

    subscribe: list[str] | None = None
    unsubscribe: list[str] | None = None
    publish: str | None = None
    ping: msgspec.Raw = _NO_REF
    since: str = ""
    last: int = 0
    delta: bool | int = False
    rate: float = 0.0
    data: msgspec.Raw = _NO_REF
    op: str = "post"
    event: str | None = None
    type: str = ""
    key: str = ""
    end: bool = False
    ref: msgspec.Raw = _NO_REF


class _Given(NamedTuple):
    """What one subscription was given from its start: all after a place, and before it the newest
    `last` of each stream up to a horizon."""

    after: int
    last: int
    horizon: int

    def begins(self, hub: Hub, topic: str) -> int:
        """The place after which all records of a topic were given."""
        start = hub.stream_start(topic, self.last, self.horizon)
        if start is None:
            return 0  # a state
        return start if self.last else self.after


class _Union(NamedTuple):
    """What follows a replay: all subscriptions, from the place where the connection was."""

    selector: Selector
    cursor: int
    before: Selector | None
    """The subscriptions that there were already."""
    given: bool
    """Whether the client came with a cursor."""


class _Asked(NamedTuple):
    """How one subscription is to be served."""

    delta: bool
    rate: float
    unheld: int


class _Ref(msgspec.Struct):
    """What is left to answer to of a message that cannot be meant."""

    ref: msgspec.Raw = _NO_REF


_decode_ref = msgspec.json.Decoder(_Ref).decode
_decode = msgspec.json.Decoder(_Message).decode
_encode = msgspec.json.Encoder().encode


class Conversation(PerClient):
    """One client's side of the subprotocol."""

    __slots__ = ("_asked", "_context", "_encoder", "_ref", "_session", "_starts", "_todo", "_union")

    def __init__(
        self,
        context: Context,
        session: Session,
        encoder: StreamEncoder,
        query: ReceiveQuery,
        start: ResumePoint,
    ) -> None:
        self._context = context
        self._session = session
        self._encoder = encoder
        # What it is subscribed to, each with what it was given by whom it was asked for.
        self._starts: dict[str, tuple[_Given, ...]] = dict.fromkeys(
            query.selector.text, (_given(start),)
        )
        # How it is served: for each subscription whether by deltas, at what rate at most, and the
        # place of which its values are not held, where it began with `now`.
        asked = _Asked(query.delta, query.rate, start.scan.cursor if start.lacks_base else 0)
        self._asked = dict.fromkeys(query.selector.text, asked) if any(asked) else {}
        self._todo: deque[bytes] | None = None  # said while a replay goes on
        self._union: _Union | None = None  # what follows a replay
        self._ref: msgspec.Raw = _NO_REF

    def over(self) -> None:
        """The connection closes."""
        self._todo = self._union = None

    @property
    def _cursor(self) -> int:
        subscriber = self._session.subscriber
        return self._context.hub.head if subscriber is None else subscriber.position

    def mind_reading(self) -> None:
        """Hear no more while the client does not read, or has much to be done yet."""
        if self._session.paused or self._union is not None:
            self._session.exchange.pause_reading()
        else:
            self._session.exchange.resume_reading()

    def take(self, text: bytes) -> None:
        """Do what a message says, or keep it until the replay in hand is over."""
        if self._union is not None:
            if self._todo is None:
                self._todo = deque()
            self._todo.append(text)
            return
        ref = _NO_REF
        try:
            ref = _decode_ref(text).ref
            self._do(_decode(text))
        except Problem as problem:
            self._error(problem, ref)
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            self._error(Problem(400, f"the message is not one of hexcast.v1: {error}"), ref)

    def _do(self, message: _Message) -> None:
        if (message.subscribe, message.unsubscribe, message.publish).count(None) < 2:
            raise Problem(400, "say one of subscribe, unsubscribe, publish")
        if message.subscribe is not None:
            self._subscribe(message)
        elif message.unsubscribe is not None:
            self._unsubscribe(message.unsubscribe, message.ref)
        elif message.publish is not None:
            self._publish(message.publish, message)
        elif message.ping:
            self._send(b'{"pong":1}')
        else:
            raise Problem(400, "say subscribe, unsubscribe, publish or ping")

    # Subscribing

    def _subscribe(self, message: _Message) -> None:
        names = message.subscribe or []
        if not names:
            raise Problem(400, "subscribe names at least one topic or pattern")
        try:
            added = Selector(names)
            union = Selector((*self._starts, *added.text))
        except ValueError as error:
            raise Problem(400, str(error)) from None
        context, session = self._context, self._session
        start = resume_point(context.hub, added, since=message.since, last=message.last)
        context.feeds.flush()  # so that who is caught up is caught up to this moment
        before = Selector(self._starts) if self._starts else None
        cursor = self._cursor
        subscriber = session.subscriber
        if subscriber is not None:
            subscriber.leave()
        had = dict(self._starts)
        for name in added.text:
            self._starts[name] = (*self._starts.get(name, ())[1 - MAX_GIVEN :], _given(start))
        rate = min(max(message.rate, MIN_RATE), MAX_RATE) if message.rate > 0 else 0.0
        asked = _Asked(bool(message.delta), rate, start.scan.cursor if start.lacks_base else 0)
        for name in added.text:
            self._asked.pop(name, None)
            if any(asked):
                self._asked[name] = asked
        options = DeliveryOptions(
            added if message.delta else None, lacks_base=bool(message.delta) and start.lacks_base
        )
        feed = context.feeds.feed(added, self._encoder, options)
        replay = Subscriber(feed, session, start, replay=True)
        replay.paused = session.paused
        if had:
            replay.skip = self._had(had)
        session.subscriber = replay
        self._union, self._ref = _Union(union, cursor, before, bool(start.given)), message.ref
        if start.gap is not None:
            context.counters.ways["websocket"].gaps += 1
            session.write(self._encoder.gap(start.gap))
        self.mind_reading()
        replay.go(session.write)

    def _had(self, had: dict[str, tuple[_Given, ...]]) -> Callable[[Record], bool]:
        """What tells whether a record comes, or has come, by an earlier subscription."""
        hub = self._context.hub
        begins: dict[str, int] = {}

        def resume_point(name: str) -> int:
            found = (g for pattern in had if matches(pattern, name) for g in had[pattern])
            return min((given.begins(hub, name) for given in found), default=MAX_SEQ)

        def has(record: Record) -> bool:
            name = record.topic
            if name not in begins:
                begins[name] = resume_point(name)
            return record.seq > begins[name]

        return has

    def replayed(self) -> None:
        """The replay is over: go on with the union from where the connection was."""
        if self._union is None:
            return
        (union, cursor, before, given), self._union = self._union, None
        head = self._session.subscriber.position if self._session.subscriber else cursor
        position = head if before is None else cursor
        subscriber = self._follow(union, position)
        if before is not None and cursor < head:
            # It lagged: what the replay has covered must not come again by the union.
            old = before
            subscriber.skip = lambda record: record.seq <= head and not old.matches(record.topic)
            subscriber.not_before = head
        self._ok(self._ref, cursor=self._context.hub.id(position))
        if given and ended(self._context, union.single, position):
            self._session.ended()
            return
        self.mind_reading()
        subscriber.go(self._session.write)
        todo, self._todo = self._todo, None
        while todo and self._union is None and not self._session.closing:
            self.take(todo.popleft())
        if todo:
            self._todo = todo

    def goes_on(self) -> bool:
        """Whether the end of a topic that is being replayed is not the connection's."""
        replay = self._session.subscriber
        if self._union is None or replay is None:
            return False
        if self._union.selector.single:
            self._ok(self._ref, cursor=self._context.hub.id(replay.position))
            return False
        self._context.feeds.context.scans.add(replay.advance)
        return True

    def _unsubscribe(self, names: list[str], ref: msgspec.Raw) -> None:
        for name in names:
            if name not in self._starts:
                raise Problem(404, f"there is no subscription to {name}")
        context, session = self._context, self._session
        context.feeds.flush()
        cursor = self._cursor
        for name in names:
            self._starts.pop(name, None)
            self._asked.pop(name, None)
        if session.subscriber is not None:
            session.subscriber.leave()
            session.subscriber = None
        if self._starts:
            self._follow(Selector(self._starts), cursor).go(session.write)
        self._ok(ref, cursor=context.hub.id(cursor))

    def _follow(self, selector: Selector, cursor: int) -> Subscriber:
        """Go on with a selector from a place that the connection has reached."""
        deltas, rate, unheld = self._options()
        options = DeliveryOptions(deltas, rate, lacks_base=unheld > 0)
        feed = self._context.feeds.feed(selector, self._encoder, options)
        feed.floor = max(feed.floor, unheld)
        subscriber = Subscriber(feed, self._session, ResumePoint(Scan(cursor, cursor, base=cursor)))
        subscriber.paused = self._session.paused
        self._session.subscriber = subscriber
        return subscriber

    def _options(self) -> tuple[Selector | None, float, int]:
        """How the union is served: what comes as deltas, at the lowest of the rates asked for, and
        the newest place of which not all values are held."""
        asked = self._asked
        deltas = [name for name in asked if asked[name].delta]
        rates = [a.rate for a in asked.values() if a.rate]
        unheld = max((asked[name].unheld for name in deltas), default=0)
        return Selector(deltas) if deltas else None, min(rates, default=0.0), unheld

    def report_position(self) -> None:
        """Tell a quiet client where it is."""
        subscriber = self._session.subscriber
        moved = "" if subscriber is None else subscriber.unreported_position()
        if moved:
            self._send(b'{"cursor":"%b"}' % moved.encode())

    # Publishing

    def _publish(self, topic: str, message: _Message) -> None:
        line = Line(
            topic, message.data, message.op, message.event, message.type, message.key, message.end
        )
        ref = message.ref

        def done(outcomes: list[Outcome]) -> None:
            if self._session.closing:
                return
            if isinstance(outcomes[0], Problem):
                self._error(outcomes[0], ref)
            else:
                self._ok(ref, id=outcomes[0].id)

        self._context.publishes.publish([draft_of_line(line)], done)

    # Answers

    def _send(self, text: bytes) -> None:
        self._session.write(frames.text(text))

    def _ok(self, ref: msgspec.Raw, **members: str) -> None:
        if ref:
            self._send(_encode({"ok": ref, **members}))

    def _error(self, problem: Problem, ref: msgspec.Raw) -> None:
        answer: dict[str, object] = {"error": problem.members()}
        if ref:
            answer["ref"] = ref
        self._send(_encode(answer))


def _given(start: ResumePoint) -> _Given:
    scan = start.scan
    if scan.backlog is None:
        return _Given(scan.cursor, 0, 0)
    return _Given(scan.horizon, scan.backlog, scan.horizon)
