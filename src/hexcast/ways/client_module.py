"""The browser client as a file of this server: `/hexcast.js`, and under a name for good."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from ..http import Headers, Request, Response, accepted_codings, code, entity_tags
from .compressed import entity_tag

__all__ = ["MODULE_NAME", "hashed_module_name", "module_response", "serve_module"]

MODULE_NAME = "hexcast.js"

# In an installed package it stands beside this room, in a checkout where it is written.
_PLACES = (
    Path(__file__).parents[1] / "web" / MODULE_NAME,
    Path(__file__).parents[3] / "js" / MODULE_NAME,
)


@cache
def _source() -> bytes:
    for place in _PLACES:
        if place.is_file():
            return place.read_bytes()
    raise FileNotFoundError(f"{MODULE_NAME} is not in this installation")


@cache
def _digest() -> str:
    return hashlib.sha256(_source()).hexdigest()[:16]


@cache
def hashed_module_name() -> str:
    """The file's name with its hash: what is under it never changes."""
    return f"hexcast-{_digest()}.js"


@cache
def _coded(coding: str) -> bytes:
    return code(coding, _source()) or _source()


@cache
def module_response() -> Response:
    """The module's answer under its name for good."""
    return _whole(_headers("", hashed=True), "")


def _headers(base: str, *, hashed: bool) -> Headers:
    headers: Headers = (
        ("Cache-Control", "public, max-age=31536000, immutable" if hashed else "max-age=60"),
        ("Vary", "Accept-Encoding"),
    )
    if not hashed:
        headers = (*headers, ("Link", f'<{base}/{hashed_module_name()}>; rel="alternate"'))
    return headers


def _whole(headers: Headers, coding: str) -> Response:
    coded: Headers = (("Content-Encoding", coding),) if coding else ()
    return Response(
        200,
        (
            ("Content-Type", "text/javascript; charset=utf-8"),
            ("ETag", entity_tag(_digest(), coding)),
            *headers,
            *coded,
            ("X-Content-Type-Options", "nosniff"),
        ),
        _coded(coding) if coding else _source(),
    )


def serve_module(request: Request, base: str, *, hashed: bool, compress: bool) -> Response:
    """Answer with the module; under its plain name with a link to the one for good."""
    headers = _headers(base, hashed=hashed)
    codings = accepted_codings(request.header("accept-encoding"), ("zstd", "gzip", "identity"))
    coding = codings[0] if compress and codings and codings[0] != "identity" else ""
    match = entity_tags(request.header("if-none-match"))
    if _digest() in match or "*" in match:
        return Response(304, (("ETag", entity_tag(_digest(), coding)), *headers))
    return _whole(headers, coding)
