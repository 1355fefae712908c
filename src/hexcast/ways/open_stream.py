"""What the ways that stay open have in common: one subscriber, and the end of it."""

from __future__ import annotations

from ..feed import Subscriber
from ..http import Exchange
from ..model import PerClient
from .context import Context

__all__ = ["OpenStream"]


class OpenStream(PerClient):
    """One client's open answer, counted for its way, as a feed and a connection know it."""

    __slots__ = ("context", "exchange", "subscriber", "way")

    def __init__(self, context: Context, exchange: Exchange, way: str) -> None:
        self.context = context
        self.exchange = exchange
        self.way = way
        self.subscriber: Subscriber | None = None
        context.counters.ways[way].clients += 1

    def over(self) -> None:
        """Count this client out, once."""
        subscriber, self.subscriber = self.subscriber, None
        if subscriber is not None:
            subscriber.leave()
            self.context.counters.ways[self.way].clients -= 1

    def ended(self) -> None:
        self.over()
        self.exchange.finish()

    def replayed(self) -> None:
        """Only replays are told so."""

    def pause(self) -> None:
        if self.subscriber is not None:
            self.subscriber.pause()

    def resume(self) -> None:
        if self.subscriber is not None:
            self.subscriber.resume()

    def disconnected(self) -> None:
        self.over()
