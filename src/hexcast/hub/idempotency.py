"""Idempotency keys: a publish repeated under its key answers as the first did.

A key is known for at least `HELD_SECONDS`, for one publisher and topic.
"""

from __future__ import annotations

import hashlib

from ..model import Draft, Problem, Published

__all__ = ["IdempotencyKeys"]

HELD_SECONDS = 150
MAX_KEYS = 1_000_000
MAX_KEY_BYTES = 255

_Name = tuple[str, str, str]


class _Use:
    __slots__ = ("content", "outcome", "time")

    def __init__(self, content: bytes, time: int) -> None:
        self.content = content
        self.time = time
        self.outcome: Published | Problem | None = None  # None while the first is in hand


class IdempotencyKeys:
    """The keys used lately, oldest first."""

    def __init__(self) -> None:
        self._uses: dict[_Name, _Use] = {}

    def begin(self, draft: Draft, now: int) -> Published | Problem | None:
        """What a draft's key says of it; None where it is new, which is noted. `now` in ms."""
        self.expire(now)
        name = (draft.publisher, draft.topic, draft.key)
        content = _content(draft)
        use = self._uses.get(name)
        if use is None:
            if len(self._uses) >= MAX_KEYS:
                return Problem(503, "too many idempotency keys are in use", retry_after=5)
            self._uses[name] = _Use(content, now)
            return None
        if use.content != content:
            return Problem(422, "this Idempotency-Key was used with other content")
        if use.outcome is None:
            return Problem(409, "the first request with this Idempotency-Key is still in hand")
        return use.outcome

    def settle(self, draft: Draft, outcome: Published | Problem) -> None:
        """Note what became of the first use of a draft's key."""
        use = self._uses.get((draft.publisher, draft.topic, draft.key))
        if use is not None:
            use.outcome = outcome

    def forget(self, draft: Draft) -> None:
        """Take back that a draft's key was used."""
        self._uses.pop((draft.publisher, draft.topic, draft.key), None)

    def expire(self, now: int) -> None:
        """Forget the keys that were held long enough at `now` (milliseconds)."""
        before = now - HELD_SECONDS * 1000
        while self._uses:
            name, use = next(iter(self._uses.items()))
            if use.time >= before:
                break
            del self._uses[name]


def _content(draft: Draft) -> bytes:
    """A digest of all that a publish says, so that the payload need not be kept."""
    if draft.op in ("patch", "append"):  # what it leads to is not what was said
        type, data = draft.change_type, draft.change
    else:
        type, data = draft.type, draft.data
    said = repr((draft.op, draft.event, type, draft.end)).encode()
    return hashlib.blake2b(said + b"\0" + data, digest_size=16).digest()
