"""What the ways work with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import random

from ..feed import Feeds
from ..http import Exchange, Response
from ..hub import Hub
from ..model import ByteLRU, Counters, Record
from ..publish import PendingPublishes
from ..settings import Settings
from .compressed import Coder

__all__ = ["Context"]

_ANSWERS_BYTES = 16 * 2**20
_ANSWER_BYTES = 1500  # the two heads of a remembered answer

Responses = tuple[Response, Response]


@dataclass(slots=True)
class Context:
    """One server's hub and feeds, with its settings and meters."""

    hub: Hub
    feeds: Feeds
    counters: Counters
    settings: Settings
    publishes: PendingPublishes = field(init=False)
    draining: bool = False
    draw: Callable[[], float] = random
    """A random number in [0, 1)."""
    coder: Coder = field(default_factory=Coder)
    values: ByteLRU[tuple[Record, tuple[object, ...], bytes], Responses] = field(
        default_factory=lambda: ByteLRU(_ANSWERS_BYTES)
    )
    """The answers 200 and 304 for a record, as a client asks for it and with the dictionary that
    it has; remembered for a second."""

    def __post_init__(self) -> None:
        self.publishes = PendingPublishes(self.hub, self.settings.publish_timeout)

    def drawn_retry(self) -> float:
        """Seconds that a client waits after a stop: drawn, so that not all return at once."""
        return self.settings.retry * (1 + self.draw())

    def remember(
        self, key: tuple[Record, tuple[object, ...], bytes], responses: Responses
    ) -> Responses:
        """Keep the answers for a value."""
        self.values.put(key, responses, len(responses[0].body) + _ANSWER_BYTES)
        return responses

    def send(self, way: str, exchange: Exchange, response: Response, records: int = 0) -> None:
        """Send an answer with so many records, and count it."""
        meter = self.counters.ways[way]
        meter.deliveries += records
        if exchange.request.method != "HEAD":
            meter.sent += len(response.body)
        exchange.respond(response)

    def sweep(self) -> None:
        """Evict and answer what is past its time: called every second."""
        self.values.clear()
        self.hub.sweep()
        self.publishes.sweep()
        self.feeds.sweep()
