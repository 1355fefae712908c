"""A subscription: one cursor, carried over every reconnect and every change of way.

The one loop that reconnects. The ways only make a connection and tell what comes; here it is
decided what a broken connection means, how long to wait, and where to go on.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from types import TracebackType
from typing import Self

from ..model import WayName
from .backoff import Backoff
from .encoding import topics_path
from .errors import ConnectionFailed, HexcastError, ProtocolError, Refused
from .fallback import Plan, WayChoice
from .messages import Gap, Record
from .retry import Listener, Retrying
from .transport import Transport
from .ways import WAYS
from .ways.base import Ended, Glimpse, Moved, Opened, Position, Retry

__all__ = ["Subscription"]


class Subscription:
    """An async iterator of records and gaps, in the log's order.

    It ends when the topic does, and goes on for ever otherwise: a lost connection is made again,
    after the cursor. Raises Refused or ProtocolError when coming back would not help. A wait for
    the next item that is cancelled ends it: go on with another, from its `cursor`. Close it with
    `aclose()` or by `async with`.
    """

    def __init__(
        self,
        transport: Transport,
        topics: Sequence[str],
        *,
        way: WayChoice = "auto",
        since: str | None = None,
        last: int | None = None,
        every: float = 5.0,
        listener: Listener | None = None,
        backoff: Backoff | None = None,
    ) -> None:
        topics_path(topics)  # raises ValueError now and not at the first record
        self._transport = transport
        self._position = Position(tuple(topics), since, last, every)
        self._plan = Plan(way)
        self._retrying = Retrying(listener, backoff)
        self._received = self._receive()

    @property
    def cursor(self) -> str | None:
        """Where to go on: give it as `since` to another subscription, over whatever way."""
        return self._position.cursor

    @property
    def way(self) -> WayName:
        """The way in use."""
        return self._plan.way

    def __aiter__(self) -> AsyncIterator[Record | Gap]:
        return self

    async def __anext__(self) -> Record | Gap:
        return await anext(self._received)

    async def aclose(self) -> None:
        """Close the connection. The cursor stays readable."""
        await self._received.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def _receive(self) -> AsyncGenerator[Record | Gap, None]:
        position, plan, retrying = self._position, self._plan, self._retrying
        asked = 0.0  # seconds between connections that the server asked for
        while True:
            way = plan.way
            at_end = opened = progressed = False
            failure: HexcastError | None = None
            try:
                async with aclosing(WAYS[way](self._transport, position)) as items:
                    async for item in items:
                        match item:
                            case Record():
                                position.cursor = item.id
                                at_end = item.end
                                if not progressed:
                                    progressed = True
                                    retrying.progressed()
                                yield item
                            case Gap():
                                yield item
                            case Glimpse():
                                yield item.record
                            case Moved():
                                position.cursor = item.cursor
                            case Opened():
                                opened = True
                                retrying.connected(item.way or way, item.fallback)
                                plan.worked()
                            case Retry():
                                asked = item.seconds
                            case Ended():
                                return
            except ConnectionFailed as error:
                failure = error
                if error.reached and not opened:
                    plan.failed()
            except Refused as error:
                failure = error
                if error.transient:
                    plan.failed()
                elif not (_about_the_way(error, way) and plan.failed(for_good=True)):
                    raise
            except ProtocolError as error:
                failure = error
                if not plan.failed(for_good=True):
                    raise
            if at_end and failure is None:
                continue  # the topic ended; the server will say so, or that it has begun again
            floor = max(asked, failure.retry_after if isinstance(failure, Refused) else 0.0)
            reason = "the server ended the connection" if failure is None else str(failure)
            await retrying.pause(way, reason, floor=floor)


def _about_the_way(error: Refused, way: WayName) -> bool:
    """Whether another way may do where this refusal came; not so for a bad topic or token."""
    return way == "websocket" or error.status in (405, 406, 426, 501)
