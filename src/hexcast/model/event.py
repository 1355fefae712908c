"""The names of events, as `event` of a message: what EventSource and the ways can carry."""

from __future__ import annotations

from .problem import Problem

__all__ = ["check_event"]


def check_event(name: str, *, given: bool = True) -> str:
    """Return an event's name if it is one, or empty if none is given. Raises Problem 400."""
    if not given:
        return ""
    if not name:
        raise Problem(400, "an event's name has at least one byte")
    if len(name.encode("utf-8", "surrogatepass")) > 64:
        raise Problem(400, "an event's name has at most 64 bytes")
    if any(c < " " or "\x7f" <= c <= "\x9f" or "\ud800" <= c <= "\udfff" for c in name):
        raise Problem(400, "an event's name has no control characters")
    if name.startswith("hexcast:") or name in ("open", "error"):
        raise Problem(400, "'open', 'error' and names that begin 'hexcast:' are taken")
    return name
