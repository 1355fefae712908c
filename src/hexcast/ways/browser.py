"""The browser client as a file of this server: `/hexcast.js`, and under a name for good."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from ..http.exchange import Headers, Response
from ..http.negotiate import entity_tags
from ..http.request import Request

__all__ = ["NAME", "hashed_name", "module"]

NAME = "hexcast.js"

# In an installed package it stands beside this room, in a checkout where it is written.
_PLACES = (
    Path(__file__).parents[1] / "web" / NAME,
    Path(__file__).parents[3] / "js" / NAME,
)


@cache
def _source() -> bytes:
    for place in _PLACES:
        if place.is_file():
            return place.read_bytes()
    raise FileNotFoundError(f"{NAME} is not in this installation")


@cache
def _digest() -> str:
    return hashlib.sha256(_source()).hexdigest()[:16]


@cache
def hashed_name() -> str:
    """The file's name with its hash: what is under it never changes."""
    return f"hexcast-{_digest()}.js"


def module(request: Request, base: str, *, hashed: bool) -> Response:
    """Answer with the module; under its plain name with a link to the one for good."""
    tag = _digest()
    headers: Headers = (
        ("ETag", f'"{tag}"'),
        ("Cache-Control", "public, max-age=31536000, immutable" if hashed else "max-age=60"),
    )
    if not hashed:
        headers = (*headers, ("Link", f'<{base}/{hashed_name()}>; rel="alternate"'))
    match = entity_tags(request.header("if-none-match"))
    if tag in match or "*" in match:
        return Response(304, headers)
    return Response(
        200,
        (
            ("Content-Type", "text/javascript; charset=utf-8"),
            *headers,
            ("X-Content-Type-Options", "nosniff"),
        ),
        _source(),
    )
