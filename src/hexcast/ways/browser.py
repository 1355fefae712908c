"""The browser client as a file of this server: `/hexcast.js`, and under a name for good."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from ..http.exchange import Headers, Response
from ..http.negotiate import entity_tags
from ..http.request import Request

__all__ = ["NAME", "client", "hashed_name", "module"]

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


@cache
def client() -> Response:
    """The module's answer under its name for good."""
    return _whole(_headers("", hashed=True))


def _headers(base: str, *, hashed: bool) -> Headers:
    headers: Headers = (
        ("ETag", f'"{_digest()}"'),
        ("Cache-Control", "public, max-age=31536000, immutable" if hashed else "max-age=60"),
    )
    if not hashed:
        headers = (*headers, ("Link", f'<{base}/{hashed_name()}>; rel="alternate"'))
    return headers


def _whole(headers: Headers) -> Response:
    return Response(
        200,
        (
            ("Content-Type", "text/javascript; charset=utf-8"),
            *headers,
            ("X-Content-Type-Options", "nosniff"),
        ),
        _source(),
    )


def module(request: Request, base: str, *, hashed: bool) -> Response:
    """Answer with the module; under its plain name with a link to the one for good."""
    headers = _headers(base, hashed=hashed)
    match = entity_tags(request.header("if-none-match"))
    if _digest() in match or "*" in match:
        return Response(304, headers)
    return _whole(headers)
