"""Idempotency keys: a publish repeated under its key answers as the first did.

A key is known for at least `RETAINED_SECONDS`, for one publisher and topic. Uses that became
records stand in the log's entries, so that every node knows them; a refusal is known to this node
alone.
"""

from __future__ import annotations

import hashlib

from ..log import KeyUse
from ..model import Draft, Problem, Published

__all__ = ["MAX_KEY_BYTES", "IdempotencyKeys", "use_of"]

RETAINED_SECONDS = 150
MAX_KEYS = 1_000_000
MAX_KEY_BYTES = 255

_Name = tuple[str, str, str]


class _Use:
    __slots__ = ("digest", "outcome", "time")

    def __init__(self, digest: bytes, time: float) -> None:
        self.digest = digest
        self.time = time
        self.outcome: Published | Problem | None = None  # None while the first is in progress


class IdempotencyKeys:
    """The keys used lately, oldest first. Times are in seconds of a monotonic clock."""

    def __init__(self) -> None:
        self._uses: dict[_Name, _Use] = {}

    def find(self, topic: str, use: KeyUse, now: float) -> Published | Problem | None:
        """The answer to a repeat; None where the key is new."""
        self.expire(now)
        known = self._uses.get((use.publisher, topic, use.key))
        if known is None:
            if len(self._uses) >= MAX_KEYS:
                return Problem(503, "too many idempotency keys are in use", retry_after=5)
            return None
        if known.digest != use.digest:
            return Problem(422, "this Idempotency-Key was used with other content")
        if known.outcome is None:
            return Problem(409, "the first request with this Idempotency-Key is still in progress")
        return known.outcome

    def begin(self, topic: str, use: KeyUse, now: float) -> None:
        """Note that the first request under a key is in progress."""
        self._uses[use.publisher, topic, use.key] = _Use(use.digest, now)

    def settle(self, topic: str, use: KeyUse, outcome: Published | Problem, now: float) -> None:
        """Note the outcome of the first request under a key, on this node or another."""
        name = (use.publisher, topic, use.key)
        known = self._uses.get(name)
        if known is None:
            known = self._uses[name] = _Use(use.digest, now)
        known.outcome = outcome

    def discard(self, topic: str, use: KeyUse) -> None:
        """The request under a key came to nothing: a repeat is a first one."""
        self._uses.pop((use.publisher, topic, use.key), None)

    def expire(self, now: float) -> None:
        """Delete the keys that are older than they have to be."""
        before = now - RETAINED_SECONDS
        while self._uses:
            name, use = next(iter(self._uses.items()))
            if use.time >= before:
                break
            del self._uses[name]


def use_of(draft: Draft) -> KeyUse:
    """The use of a draft's key, with a digest so that the payload need not be kept."""
    asked = repr((draft.op, draft.event, draft.type, draft.end)).encode()
    digest = hashlib.blake2b(asked + b"\0" + draft.data, digest_size=16).digest()
    return KeyUse(draft.publisher, draft.key, digest)
