"""What a request's headers prefer: `Accept`, `Accept-Encoding`, `Prefer`, entity tags. Pure."""

from __future__ import annotations

import binascii
import re
from functools import lru_cache

__all__ = ["BODY_CODINGS", "STREAM_CODINGS", "accepted_codings", "accepts",
           "available_dictionary", "entity_tags", "pattern_of", "prefers_html", "revalidates",
           "wait_preference"]  # fmt: skip


def _ranges(accept: str) -> list[tuple[str, float]]:
    """The members of an `Accept` or `Accept-Encoding` with their weights (RFC 9110, 12.4.2)."""
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

    Looks through `W/` and the coding behind `~`, since they name the same version (protocol 3).
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


BODY_CODINGS = ("dcz", "zstd", "gzip", "identity")
"""The content codings of a whole body, the smallest first."""

STREAM_CODINGS = ("gzip", "zstd", "identity")
"""The content codings of an open body. A stream in zstd is many frames in a row, of which some
decoders read the first alone (httpx 0.28 is one); small pieces are no larger in gzip."""


def accepted_codings(header: str, known: tuple[str, ...] = BODY_CODINGS) -> tuple[str, ...]:
    """Those of the `known` codings that an `Accept-Encoding` allows, the most wanted first.

    Those wanted alike stay in their order. Empty where none is allowed.
    """
    accepted = _accepted if len(header) <= 256 else _accepted.__wrapped__
    return accepted(header, known)


@lru_cache(256)
def _accepted(header: str, known: tuple[str, ...]) -> tuple[str, ...]:
    weights: dict[str, float] = {}
    for name, weight in _ranges(header):
        weights.setdefault({"x-gzip": "gzip"}.get(name, name), weight)
    rest = weights.get("*")
    if rest is not None:
        # RFC 9110, 12.5.3: all that is not named. What few can read is not sent on the strength
        # of a `*`.
        weights.setdefault("gzip", rest)
        weights.setdefault("identity", rest)
    # Unless it is ruled out, no coding is always good enough, but nobody's wish.
    weights.setdefault("identity", 1e-6)
    found = [coding for coding in known if weights.get(coding, 0) > 0]
    return tuple(sorted(found, key=lambda coding: -weights[coding]))


def available_dictionary(header: str) -> bytes:
    """The SHA-256 that `Available-Dictionary` names (RFC 9842, 2.2); empty where it is none."""
    value = header.partition(";")[0].strip()
    if len(value) != 46 or value[0] != ":" or value[-1] != ":":
        return b""
    try:
        name = binascii.a2b_base64(value[1:-1], strict_mode=True)
    except (binascii.Error, ValueError):  # the latter: not ASCII
        return b""
    return name if len(name) == 32 else b""


def revalidates(cache_control: str) -> bool:
    """Whether a `ByteLRU-Control` asks for what is not older than this moment: `max-age=0`."""
    return any(part.strip().lower() == "max-age=0" for part in cache_control.split(","))


# What has a meaning in a URL pattern (WHATWG URL Pattern, 2.1). Even an escaped colon would end a
# protocol (2.2.1), unless it stands in a group.
_SYNTAX = re.compile(r"[*+?{}()\\]|(:)")


def _plain(found: re.Match[str]) -> str:
    return r"{\:}" if found[1] else "\\" + found[0]


def pattern_of(target: bytes) -> str:
    """The URL pattern that stands for a request target and no other path, as a structured
    field's string (RFC 8941, 3.3.3); empty where it has none.

    A target without a query stands for its path with any query.
    """
    if len(target) > 1024 or not target.startswith(b"/") or target.startswith(b"//"):
        return ""
    try:
        text = target.decode("ascii").partition("#")[0]
    except UnicodeDecodeError:
        return ""
    if not text.isprintable():
        return ""
    path, mark, query = text.partition("?")
    pattern = _SYNTAX.sub(_plain, path) + mark + _SYNTAX.sub(_plain, query)
    return '"' + pattern.replace("\\", "\\\\").replace('"', '\\"') + '"'
