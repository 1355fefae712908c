"""The caller: on whose behalf a request is made, and what that caller may do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["ALL_RIGHTS", "ANONYMOUS", "Caller", "Right"]

Right = Literal["read", "write", "admin"]

ALL_RIGHTS: frozenset[Right] = frozenset(("read", "write", "admin"))
ANONYMOUS = "anyone"
"""The subject of a caller without credentials."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Made once for each request, from its credentials and its connection.

    Nothing that depends on a caller may be kept for longer than its request.
    """

    subject: str = ANONYMOUS
    address: str = ""
    """The client's IP address; empty where the transport has none."""
    rights: frozenset[Right] = ALL_RIGHTS
    expires: float | None = None
    """When the rights end, in seconds since 1970 UTC; None for never."""
