"""Long polling: a poll that is held until there is something, or the time is over."""

from __future__ import annotations

from collections.abc import Sequence

from ..feed import Feed
from ..form import AnswerForm
from ..http.exchange import Exchange, Response
from ..http.problems import problem_response
from ..problem import Problem
from ..record import Record
from .ask import Ask
from .context import Context
from .encode import batch_json
from .poll import batch_headers, batch_response, newest, value_responses

__all__ = ["long_poll"]


def long_poll(context: Context, ask: Ask, exchange: Exchange) -> None:
    """Answer now if there is something to tell, else hold."""
    context.meters.ways["long-poll"].requests += 1
    form: AnswerForm
    if ask.cursor_given or not ask.one:
        response, tells = batch_response(context, ask)
        form = BatchForm(context, ask)
    else:
        record = newest(context, ask)
        tells = record is not None and record.id not in ask.none_match
        if record is None:
            response = _nothing()
        else:
            response = value_responses(context, ask, record)[0 if tells else 1]
        form = ValueForm(context, ask)
    if tells or ask.wait <= 0 or context.draining or exchange.request.method == "HEAD":
        exchange.respond(response)
        return
    feed = context.feeds.feed(ask.selector, form)
    if feed.pending:
        # Published in this very moment: held already, not yet written to those who wait.
        context.feeds.flush()
    exchange.owner = held = Held(context, ask, exchange, feed)
    feed.waiting[held.tell] = None
    exchange.wake(ask.wait)


class Held:
    """One held request."""

    __slots__ = ("ask", "context", "exchange", "feed")

    def __init__(self, context: Context, ask: Ask, exchange: Exchange, feed: Feed) -> None:
        self.context = context
        self.ask = ask
        self.exchange = exchange
        self.feed = feed
        context.meters.ways["long-poll"].clients += 1

    def tell(self, answer: object) -> None:
        """The feed's answer, which is the same for all who wait."""
        assert isinstance(answer, Response)
        self.context.meters.ways["long-poll"].clients -= 1
        self.context.meters.ways["long-poll"].sent += len(answer.body)
        self.exchange.respond(answer)

    def timeout(self) -> None:
        """The time is over: say where the client is now."""
        if self._let_go():
            self.exchange.respond(self._empty())

    def _empty(self) -> Response:
        if self.ask.cursor_given or not self.ask.one:
            position = self.context.hub.id(self.feed.position)
            body = batch_json((), position, None, more=False, end=False)
            return Response(200, batch_headers(self.ask, position), body)
        record = newest(self.context, self.ask)
        return _nothing() if record is None else value_responses(self.context, self.ask, record)[1]

    def drain(self) -> None:
        self.timeout()

    def gone(self) -> None:
        self._let_go()

    def pause(self) -> None:
        """Nothing is being written."""

    def resume(self) -> None:
        """Nothing is being written."""

    def _let_go(self) -> bool:
        """Stop waiting; False where the answer was given already."""
        if self.tell not in self.feed.waiting:
            return False
        del self.feed.waiting[self.tell]
        self.context.meters.ways["long-poll"].clients -= 1
        return True


class BatchForm(AnswerForm):
    """A batch for all who wait with a cursor: none of them has anything of it."""

    way = "long-poll"

    def __init__(self, context: Context, ask: Ask) -> None:
        super().__init__((ask.limit, ask.vary, ask.selector.single))
        self._context = context
        self._ask = ask

    def answer(self, records: Sequence[Record], position: int) -> Response:
        ask, hub = self._ask, self._context.hub
        more = len(records) > ask.limit
        if more:
            records = records[: ask.limit]
            position = records[-1].seq
        end = records[-1].end and bool(ask.selector.single)
        if end:
            position, more = records[-1].seq, False
        body = batch_json(records, hub.id(position), None, more=more, end=end)
        return Response(200, batch_headers(ask, hub.id(records[0].seq - 1)), body)


class ValueForm(AnswerForm):
    """The value for all who wait for another than they have, or for the first."""

    way = "long-poll"

    def __init__(self, context: Context, ask: Ask) -> None:
        super().__init__((ask.format, ask.vary))
        self._context = context
        self._ask = ask

    def answer(self, records: Sequence[Record], position: int) -> Response:
        record = records[-1]
        if record.op == "delete":
            return _nothing()
        return value_responses(self._context, self._ask, record)[0]


def _nothing() -> Response:
    return problem_response(
        Problem(404, "there is nothing under this topic"), (("Hexcast-Way", "long-poll"),)
    )
