"""Waiting between tries, and telling about it: one helper for all that reconnects."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from .backoff import Backoff

__all__ = ["Connected", "Listener", "Lost", "Notice", "Retrying"]

# A connection that held this long was a good one: the next failure is a first one again. A server
# that takes connections only to drop them does not get a fresh start each time.
GOOD_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Connected:
    """A connection is up; `way` says what for: a way of receiving, or `publish`.

    `fallback` says why it is not the way that was asked for (`http1`, `push-off`, `no-streams`).
    """

    way: str
    fallback: str = ""


@dataclass(frozen=True, slots=True)
class Lost:
    """A connection is over or could not be made; the next try comes after `seconds`."""

    way: str
    reason: str
    seconds: float


Notice = Connected | Lost
Listener = Callable[[Notice], None]


class Retrying:
    """Counts failures, waits before the next try, and tells `listener` of both."""

    def __init__(self, listener: Listener | None = None, backoff: Backoff | None = None) -> None:
        self._listener = listener
        self._backoff = backoff or Backoff()
        self._connected_at: float | None = None

    def connected(self, way: str, fallback: str = "") -> None:
        """A try came through, as far as can be told."""
        self._connected_at = asyncio.get_running_loop().time()
        if self._listener is not None:
            self._listener(Connected(way, fallback))

    def progressed(self) -> None:
        """Something worth having came through."""
        if self._backoff.failures:
            self._backoff.reset()

    async def pause(self, way: str, reason: str, *, floor: float = 0.0) -> None:
        """Wait before the next try: at least `floor` seconds, more with every failure."""
        now = asyncio.get_running_loop().time()
        if self._connected_at is not None and now - self._connected_at >= GOOD_SECONDS:
            self._backoff.reset()
        self._connected_at = None
        seconds = self._backoff.next(floor)
        if self._listener is not None:
            self._listener(Lost(way, reason, seconds))
        await asyncio.sleep(seconds)
