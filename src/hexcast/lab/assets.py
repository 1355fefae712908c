"""The lab's page and what it loads: files of this package."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files

import msgspec

from ..http import Headers, Request, Response, entity_tags

__all__ = ["PAGE_POLICY", "file_response", "words"]

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "frame-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'"
)
_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "json": "application/json",
    "js": "text/javascript; charset=utf-8",
    "txt": "text/plain; charset=utf-8",
}
PAGE = "lab.html"


@cache
def _names() -> frozenset[str]:
    root = files(__package__) / "web"
    names = {f.name for f in root.iterdir() if f.is_file()}
    names |= {f"vendor/{f.name}" for f in (root / "vendor").iterdir() if f.is_file()}
    return frozenset(names)


@cache
def _load(name: str) -> tuple[bytes, str]:
    data = (files(__package__) / "web").joinpath(*name.split("/")).read_bytes()
    return data, hashlib.sha256(data).hexdigest()[:16]


def words() -> list[dict[str, str]]:
    """What is said of each way: `way`, `name`, `proxies`, `script`, `both`, `choose`, `said`."""
    return msgspec.json.decode(_load("words.json")[0], type=list[dict[str, str]])


def file_response(request: Request, name: str) -> Response | None:
    """The answer that is a file; None where there is none of this name."""
    if name not in _names():
        return None
    data, tag = _load(name)
    headers: Headers = (
        ("Content-Type", _TYPES[name.rpartition(".")[2]]),
        ("Cache-Control", "no-cache"),
        ("ETag", f'"{tag}"'),
        ("X-Content-Type-Options", "nosniff"),
    )
    if name == PAGE:
        headers = (*headers, ("Content-Security-Policy", PAGE_POLICY))
    if tag in entity_tags(request.header("if-none-match")):
        return Response(304, headers)
    return Response(200, headers, data)
