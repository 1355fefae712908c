"""What a request's headers prefer: `Accept`, `Prefer`, entity tags. Pure."""

from __future__ import annotations

import re

__all__ = ["accepts", "entity_tags", "prefers_html", "wait_preference"]


def _ranges(accept: str) -> list[tuple[str, float]]:
    """The media ranges of an `Accept` with their weights (RFC 9110, 12.5.1)."""
    found = []
    for part in accept.split(","):
        name, *parameters = (p.strip().lower() for p in part.split(";"))
        weight = 1.0
        for parameter in parameters:
            key, _, value = parameter.partition("=")
            if key.strip() == "q":
                try:
                    weight = float(value)
                except ValueError:
                    weight = 0.0
        if name:
            found.append((name, weight))
    return found


def accepts(accept: str, type: str) -> bool:
    """Whether `type` itself is named, with a weight above 0."""
    return any(name == type and weight > 0 for name, weight in _ranges(accept))


def prefers_html(accept: str) -> bool:
    """Whether `text/html` is the first of the most wanted ranges."""
    ranges = [r for r in _ranges(accept) if r[1] > 0]
    if not ranges:
        return False
    most = max(weight for _, weight in ranges)
    return next(name for name, weight in ranges if weight == most) in (
        "text/html",
        "application/xhtml+xml",
    )


def wait_preference(prefer: str) -> float | None:
    """The seconds of `Prefer: wait=N` (RFC 7240, 4.3), or None."""
    for part in prefer.split(","):
        name, _, value = part.partition(";")[0].partition("=")
        if name.strip().lower() == "wait":
            try:
                return max(0.0, float(value.strip().strip('"')))
            except ValueError:
                return None
    return None


_TAG = re.compile(r'[\s,]*(?:(\*)|(?:W/)?"([^"]*)")\s*(?:,|$)')


def entity_tags(header: str) -> tuple[str, ...]:
    """The ids named by `If-Match` or `If-None-Match`, or `*`.

    Looks through `W/` and the coding behind `~`, since they name the same version (contract 3).
    """
    tags = []
    place = 0
    while place < len(header):
        found = _TAG.match(header, place)
        if found is None:
            break
        tags.append("*" if found[1] else found[2].partition("~")[0])
        place = found.end()
    return tuple(tags)
