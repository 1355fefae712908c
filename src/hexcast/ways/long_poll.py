"""Long polling: a poll that is held until there is something, or the time is over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..feed import PLAIN, AnswerEncoder, Change, DeliveryOptions, Feed
from ..http import Exchange, Response, problem_response
from ..hub import MERGE_PATCH
from ..model import JSON, Id, PerClient, Problem, Record
from .context import Context
from .json_format import batch_json, record_json
from .poll import (
    PAYLOAD_HEADERS,
    STREAM_HEADERS,
    batch_answer,
    batch_response,
    gather,
    newest,
    value_responses,
)
from .query import ReceiveQuery

__all__ = ["LongPoll"]


class LongPoll:
    """Serves one request's long polls, and those of all who ask the same."""

    __slots__ = ("_context", "_feed", "_query", "_quiet_at", "_recent")

    def __init__(self, context: Context, query: ReceiveQuery) -> None:
        self._context = context
        self._query = query
        self._feed: Feed | None = None  # where the last who asked this was held
        self._quiet_at = -1  # the log's head when there was nothing for them
        # The log's head, the answer and its records, for others who ask in this turn of the loop.
        self._recent: tuple[int, Response, int] | None = None

    def __call__(self, exchange: Exchange) -> None:
        """Answer now if there is something to send, else wait."""
        context, feed = self._context, self._feed
        context.counters.ways["long-poll"].requests += 1
        if (
            feed is not None
            and feed.waiting  # so that it is still fed
            and self._quiet_at == context.hub.head
            and not context.draining
        ):
            self._hold(feed, exchange)  # nothing has happened since
            return
        if self._recent is not None and self._recent[0] == context.hub.head:
            _, answer, records = self._recent
            context.send("long-poll", exchange, answer, records)
            return
        at_once = self._query.wait <= 0 or context.draining or exchange.request.method == "HEAD"
        feed = self._answer_or_feed(exchange, at_once)
        if feed is None:
            return
        self._feed = feed
        if feed.pending:
            # Published in this very moment: known here, not sent yet to those that wait.
            context.feeds.flush()
        self._quiet_at = context.hub.head
        self._hold(feed, exchange)

    def _answer_or_feed(self, exchange: Exchange, at_once: bool) -> Feed | None:
        """Answer what can be answered now; else the feed to wait in."""
        context, query = self._context, self._query
        if query.cursor_given or not query.one:
            return self._batch_or_feed(exchange, at_once)
        record = newest(context, query)
        if record is not None and record.id not in query.none_match:
            change = _change_since(context, query, record) if query.delta else None
            answer = (
                value_responses(context, query, record)[0]
                if change is None
                else change_response(context, query, change)
            )
            context.send("long-poll", exchange, answer, 1)
        elif at_once:
            exchange.respond(_unchanged(context, query, record))
        else:
            # All who wait have the value that there is now.
            options = DeliveryOptions(query.selector) if query.delta else PLAIN
            return context.feeds.feed(query.selector, ValueEncoder(context, query), options)
        return None

    def _batch_or_feed(self, exchange: Exchange, at_once: bool) -> Feed | None:
        context, query = self._context, self._query
        feed = None
        encoder = BatchEncoder(context, query)
        if query.rate and not at_once:
            # What came since the feed was last flushed waits until it is flushed again.
            feed = context.feeds.feed(query.selector, encoder, DeliveryOptions(rate=query.rate))
            batch = gather(context, query, feed.position)
        else:
            batch = gather(context, query)
        if at_once or batch.has_content:
            answer = batch_response(context, query, batch)
            if not query.rate:
                self._recent = context.hub.head, answer, len(batch.records)
                context.feeds.context.schedule(self._forget)
            context.send("long-poll", exchange, answer, len(batch.records))
            return None
        if feed is None:
            feed = context.feeds.feed(query.selector, encoder, query.options(batch.start))
            if batch.start.lacks_base:
                feed.floor = max(feed.floor, batch.start.scan.cursor)
        return feed

    def _forget(self) -> None:
        self._recent = None

    def _hold(self, feed: Feed, exchange: Exchange) -> None:
        exchange.handler = held = Held(self._context, self._query, exchange, feed)
        feed.waiting[held.notify] = None
        exchange.set_deadline(self._query.wait)


class Held(PerClient):
    """One held request."""

    __slots__ = ("context", "exchange", "feed", "query")

    def __init__(
        self, context: Context, query: ReceiveQuery, exchange: Exchange, feed: Feed
    ) -> None:
        self.context = context
        self.query = query
        self.exchange = exchange
        self.feed = feed
        context.counters.ways["long-poll"].clients += 1

    def notify(self, answer: object) -> None:
        """The feed's answer, which is the same for all who wait; None: each from its cursor."""
        records = 0  # those of the feed's answer it has counted itself
        if answer is None:
            batch = gather(self.context, self.query, self.feed.position)
            if not batch.has_content:
                self.feed.waiting[self.notify] = None
                return
            answer, records = batch_response(self.context, self.query, batch), len(batch.records)
        assert isinstance(answer, Response)
        self.context.counters.ways["long-poll"].clients -= 1
        self.context.send("long-poll", self.exchange, answer, records)

    def timeout(self) -> None:
        """The time is over: say where the client is now."""
        if self._stop_waiting():
            self.context.send("long-poll", self.exchange, *self._empty())

    def _empty(self) -> tuple[Response, int]:
        """The answer when the time is over, and how many records it has."""
        if self.feed.options.rate:
            batch = gather(self.context, self.query, self.feed.position)
            return batch_response(self.context, self.query, batch), len(batch.records)
        if self.query.cursor_given or not self.query.one:
            position = self.context.hub.id(self.feed.position)
            body = batch_json((), position, None, more=False, end=False)
            return batch_answer(self.query, position, body), 0
        return _unchanged(self.context, self.query, newest(self.context, self.query)), 0

    def drain(self) -> None:
        self.timeout()

    def disconnected(self) -> None:
        self._stop_waiting()

    def pause(self) -> None:
        """Nothing is being written."""

    def resume(self) -> None:
        """Nothing is being written."""

    def _stop_waiting(self) -> bool:
        """Stop waiting; False where the answer was given already."""
        if self.notify not in self.feed.waiting:
            return False
        del self.feed.waiting[self.notify]
        self.context.counters.ways["long-poll"].clients -= 1
        return True


class BatchEncoder(AnswerEncoder):
    """A batch for all who wait with a cursor: none of them has anything of it."""

    way = "long-poll"

    def __init__(self, context: Context, query: ReceiveQuery) -> None:
        super().__init__((query.limit, query.vary, query.coding, query.selector.single))
        self._context = context
        self._query = query

    def answer(
        self, records: Sequence[Record], position: int, changes: Mapping[Record, Change]
    ) -> Response:
        query, hub = self._query, self._context.hub
        more = len(records) > query.limit
        if more:
            records = records[: query.limit]
            position = records[-1].seq
        end = records[-1].end and bool(query.selector.single)
        if end:
            position, more = records[-1].seq, False
        body = batch_json(records, hub.id(position), None, more=more, end=end, changes=changes)
        return batch_answer(query, hub.id(records[0].seq - 1), body)


class ValueEncoder(AnswerEncoder):
    """The value for all who wait for another than they have, or for the first."""

    way = "long-poll"

    def __init__(self, context: Context, query: ReceiveQuery) -> None:
        super().__init__((*query.shape, query.dictionary))
        self._context = context
        self._query = query

    def answer(
        self, records: Sequence[Record], position: int, changes: Mapping[Record, Change]
    ) -> Response:
        record = records[-1]
        if record.op == "delete":
            return _nothing()
        if record in changes:
            return change_response(self._context, self._query, changes[record])
        return value_responses(self._context, self._query, record)[0]


def _change_since(context: Context, query: ReceiveQuery, record: Record) -> Change | None:
    """What has changed since the value that the client names; None where that is not held."""
    hub = context.hub
    for tag in query.none_match:
        if tag == "*":
            continue
        try:
            place = Id.parse(tag)
        except ValueError:
            continue
        base = hub.record_at(query.selector.single, place.seq) if hub.known(place) else None
        if base is not None and base.op not in ("post", "delete"):
            return context.feeds.context.deltas.change(base, record)
    return None


def change_response(context: Context, query: ReceiveQuery, change: Change) -> Response:
    """The answer that is only what has changed since the value that the client names.

    In raw format it is not the value, and says so by its status: 226 (RFC 3229, 10.4.1).
    """
    record, base = change.record, change.base
    json = query.format == "json"
    if json:
        type, body = JSON, record_json(record, change) + b"\n"
    else:
        type = MERGE_PATCH if change.op == "patch" else record.type
        body = change.data
    coded = context.coder.coded(query, (record.id, base.id, json), type, body)
    head: list[tuple[str, str]] = [("Content-Type", type), ("ETag", f'"{record.id}"')]
    head += STREAM_HEADERS
    if query.vary:
        head.append(("Vary", query.vary))
    head.append(("Hexcast-Way", query.way))
    if not json:
        head += [("IM", change.op), ("Hexcast-Op", change.op), ("Hexcast-Base", base.id)]
    return Response(200 if json else 226, (*head, *coded.headers, *PAYLOAD_HEADERS), coded.body)


def _unchanged(context: Context, query: ReceiveQuery, record: Record | None) -> Response:
    """The answer to a client that waited for another value when there is none."""
    return _nothing() if record is None else value_responses(context, query, record)[1]


def _nothing() -> Response:
    return problem_response(
        Problem(404, "there is nothing under this topic"), (("Hexcast-Way", "long-poll"),)
    )
