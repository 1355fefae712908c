"""The WebSocket subprotocol `hexcast.v1` (contract 4): subscribe, unsubscribe, publish, ping.

However many subscriptions a connection has, it is one subscriber: a cursor in the feed of their
union. A new one is replayed first, up to the place where the union goes on.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import msgspec

from ..feed import Subscriber
from ..form import StreamForm
from ..log.base import Outcome
from ..problem import Problem
from ..publishing import Line, draft_of_line
from ..record import Record
from ..start import Start, begin
from ..topics import Selector, matches
from . import frames
from .ask import Ask
from .context import Context

if TYPE_CHECKING:
    from .websocket import Session

__all__ = ["Conversation"]

_NO_REF = msgspec.Raw()


class _Said(msgspec.Struct):
    """A client's message."""

    subscribe: list[str] | None = None
    unsubscribe: list[str] | None = None
    publish: str | None = None
    ping: msgspec.Raw = _NO_REF
    since: str = ""
    last: int = 0
    data: msgspec.Raw = _NO_REF
    op: str = "post"
    event: str | None = None
    type: str = ""
    key: str = ""
    end: bool = False
    ref: msgspec.Raw = _NO_REF


class _Ref(msgspec.Struct):
    """What is left to answer to of a message that cannot be meant."""

    ref: msgspec.Raw = _NO_REF


_decode_ref = msgspec.json.Decoder(_Ref).decode
_decode = msgspec.json.Decoder(_Said).decode
_encode = msgspec.json.Encoder().encode


class Conversation:
    """One client's side of the subprotocol."""

    __slots__ = ("_context", "_form", "_ref", "_session", "_starts", "_todo", "_union")

    def __init__(
        self, context: Context, session: Session, form: StreamForm, ask: Ask, start: Start
    ) -> None:
        self._context = context
        self._session = session
        self._form = form
        # What it is subscribed to, each with the place after which it was given everything.
        self._starts: dict[str, int] = dict.fromkeys(ask.selector.text, _given_after(start))
        self._todo: deque[bytes] | None = None  # said while a replay goes on
        self._union: tuple[Selector, int, Selector | None] | None = None  # what follows a replay
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

    def _do(self, said: _Said) -> None:
        if said.subscribe is not None:
            self._subscribe(said)
        elif said.unsubscribe is not None:
            self._unsubscribe(said.unsubscribe, said.ref)
        elif said.publish is not None:
            self._publish(said.publish, said)
        elif said.ping:
            self._send(b'{"pong":1}')
        else:
            raise Problem(400, "say subscribe, unsubscribe, publish or ping")

    # Subscribing

    def _subscribe(self, said: _Said) -> None:
        names = said.subscribe or []
        if not names:
            raise Problem(400, "subscribe names at least one topic or pattern")
        try:
            added = Selector(names)
            union = Selector((*self._starts, *added.text))
        except ValueError as error:
            raise Problem(400, str(error)) from None
        context, session = self._context, self._session
        start = begin(context.hub, added, since=said.since, last=said.last)
        context.feeds.flush()  # so that who is caught up is caught up to this moment
        before = Selector(self._starts) if self._starts else None
        cursor = self._cursor
        subscriber = session.subscriber
        if subscriber is not None:
            subscriber.leave()
        had = dict(self._starts)
        for name in added.text:
            given = _given_after(start)
            topic = context.hub.topics.get(name)
            if start.fresh and topic is not None and topic.kind == "stream":
                given = topic.since_last(start.fresh, start.horizon)
            self._starts[name] = min(given, self._starts.get(name, given))
        replay = Subscriber(context.feeds.feed(added, self._form), session, start, replay=True)
        replay.paused = session.paused
        if had:
            replay.skip = lambda record: self._has(record, had)
        session.subscriber = replay
        self._union, self._ref = (union, cursor, before), said.ref
        if start.gap is not None:
            context.meters.ways["websocket"].gaps += 1
            session.write(self._form.gap(start.gap))
        self.mind_reading()
        replay.go(session.write)

    def _has(self, record: Record, had: dict[str, int]) -> bool:
        """Whether a record comes, or has come, by an earlier subscription."""
        for name, after in had.items():
            if matches(name, record.topic):
                topic = self._context.hub.topics.get(record.topic)
                if record.seq > after or (topic is not None and topic.kind == "state"):
                    return True
        return False

    def replayed(self) -> None:
        """The replay is over: go on with the union from where the connection was."""
        if self._union is None:
            return
        (union, cursor, before), self._union = self._union, None
        head = self._session.subscriber.target if self._session.subscriber else cursor
        subscriber = self._follow(union, cursor)
        if before is not None and cursor < head:
            # It lagged: what the replay has covered must not come again by the union.
            old = before
            subscriber.skip = lambda record: record.seq <= head and not old.matches(record.topic)
        elif before is None:
            subscriber.cursor = subscriber.target = head
        self._ok(self._ref, cursor=self._context.hub.id(subscriber.cursor))
        self.mind_reading()
        subscriber.go(self._session.write)
        todo, self._todo = self._todo, None
        while todo and self._union is None and not self._session.closing:
            self.take(todo.popleft())
        if todo:
            self._todo = todo

    def _unsubscribe(self, names: list[str], ref: msgspec.Raw) -> None:
        for name in names:
            if name not in self._starts:
                raise Problem(404, f"there is no subscription to {name}")
        context, session = self._context, self._session
        context.feeds.flush()
        cursor = self._cursor
        for name in names:
            self._starts.pop(name, None)
        if session.subscriber is not None:
            session.subscriber.leave()
            session.subscriber = None
        if self._starts:
            self._follow(Selector(self._starts), cursor).go(session.write)
        self._ok(ref, cursor=context.hub.id(cursor))

    def _follow(self, selector: Selector, cursor: int) -> Subscriber:
        """Go on with a selector from a place that the connection has reached."""
        feed = self._context.feeds.feed(selector, self._form)
        subscriber = Subscriber(feed, self._session, Start(cursor, cursor))
        subscriber.paused = self._session.paused
        self._session.subscriber = subscriber
        return subscriber

    def tell_position(self) -> None:
        """Tell a quiet client where it is."""
        subscriber = self._session.subscriber
        moved = "" if subscriber is None else subscriber.news_of_position()
        if moved:
            self._send(b'{"cursor":"%b"}' % moved.encode())

    # Publishing

    def _publish(self, topic: str, said: _Said) -> None:
        line = Line(topic, said.data, said.op, said.event, said.type, said.key, said.end)
        ref = said.ref

        def done(outcomes: list[Outcome]) -> None:
            if self._session.closing:
                return
            if isinstance(outcomes[0], Problem):
                self._error(outcomes[0], ref)
            else:
                self._ok(ref, id=outcomes[0].id)

        self._context.hub.publish([draft_of_line(line)], done)

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


def _given_after(start: Start) -> int:
    """The place after which a subscription is given everything."""
    return start.horizon if start.fresh is not None else start.cursor
