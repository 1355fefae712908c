"""What the ways work with."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..feed import Feeds
from ..http.exchange import Response
from ..hub import Hub
from ..meters import Meters
from ..record import Record
from ..settings import Settings

__all__ = ["Context"]

_CACHED_VALUES = 1024


@dataclass(slots=True)
class Context:
    """One server's hub and feeds, with its settings and meters."""

    hub: Hub
    feeds: Feeds
    meters: Meters
    settings: Settings
    draining: bool = False
    values: dict[tuple[Record, str, str], tuple[Response, Response]] = field(default_factory=dict)
    """The answers 200 and 304 for a record in a format, remembered for a second."""

    def remember(
        self, key: tuple[Record, str, str], responses: tuple[Response, Response]
    ) -> tuple[Response, Response]:
        """Keep the answers that tell of a value."""
        if len(self.values) >= _CACHED_VALUES:
            self.values.clear()
        self.values[key] = responses
        return responses

    def sweep(self) -> None:
        """Let go of what is past its time: called every second."""
        self.values.clear()
        self.hub.sweep()
        self.feeds.sweep()
