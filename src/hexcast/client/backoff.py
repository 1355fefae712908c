"""How long to wait before trying again: exponential backoff with full jitter."""

from __future__ import annotations

import random
from collections.abc import Callable

__all__ = ["Backoff"]


class Backoff:
    """Gives one waiting time after another.

    Full jitter: the time is drawn evenly between zero and a bound that doubles with each failure
    up to `cap` seconds. Clients that a stopping server let go at the same moment come back
    spread over the whole time, not in waves.
    """

    def __init__(
        self,
        *,
        base: float = 0.5,
        cap: float = 30.0,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._base = base
        self._cap = cap
        self._draw = draw
        self._failures = 0

    @property
    def failures(self) -> int:
        """Waiting times given since the last success."""
        return self._failures

    def next(self, floor: float = 0.0) -> float:
        """Seconds to wait now: never less than `floor`, which the server asked for."""
        # The exponent is bounded so that a client that tries for weeks does not overflow a float.
        bound = min(self._cap, self._base * 2.0 ** min(self._failures, 60))
        self._failures += 1
        return floor + self._draw() * bound

    def reset(self) -> None:
        """Something came through: the next failure is a first one."""
        self._failures = 0
