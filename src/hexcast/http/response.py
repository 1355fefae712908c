"""A complete answer, and how its head is written over HTTP/1.1."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import NamedTuple

__all__ = ["Headers", "Preload", "Response", "head_block"]

Headers = tuple[tuple[str, str], ...]


def head_block(status: int, headers: Headers) -> bytes:
    """A status line and headers for HTTP/1.1, without the empty line that ends them."""
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}"]
    lines += [f"{name}: {value}" for name, value in headers]
    return ("\r\n".join(lines) + "\r\n").encode("latin-1")


class Response:
    """A complete answer. One object may answer many requests."""

    __slots__ = ("_block", "body", "headers", "status")

    def __init__(self, status: int, headers: Headers = (), body: bytes = b"") -> None:
        self.status = status
        self.headers = headers
        self.body = body
        self._block: bytes | None = None

    @property
    def all_headers(self) -> Headers:
        """The headers, with the body's length where it may be sent."""
        # RFC 9110, 8.6: no Content-Length in 1xx and 204; in 304 it would be that of the 200.
        if self.status in (204, 304):
            return self.headers
        return (*self.headers, ("Content-Length", str(len(self.body))))

    @property
    def block(self) -> bytes:
        """Status line and headers for HTTP/1.1: made when first needed, kept for the next."""
        block = self._block
        if block is None:
            block = self._block = head_block(self.status, self.all_headers)
        return block


class Preload(NamedTuple):
    """An answer that a client will probably request next."""

    target: str
    kind: str
    """The destination as `Link: rel=preload` names it (`script`); empty: only for server push."""
    response: Callable[[], Response]
