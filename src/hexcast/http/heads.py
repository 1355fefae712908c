"""Heads of requests that were parsed before, so that equal heads are parsed once.

Clients that poll send the same headers again and again, and many clients send the same request
line. Only the parse is kept, which depends on the bytes alone: who the caller is and what the
answer will be is decided for each request.
"""

from __future__ import annotations

from .request import Request

__all__ = ["HeadCache"]

_MAX_HEADS = 4096


class HeadCache:
    """Complete heads by their bytes. Headers are compared by what they mean (`Request.headers`)."""

    def __init__(self) -> None:
        self._header_sets: dict[bytes, int] = {}  # the bytes of headers: the number of their set
        self._numbers: dict[tuple[tuple[str, str], ...], int] = {}
        self._requests: dict[tuple[bytes, int], Request] = {}

    def find(self, head: bytes) -> Request | None:
        """The request that an equal head was parsed to."""
        end = head.find(b"\r\n")
        number = self._header_sets.get(head[end:])
        return None if number is None else self._requests.get((head[:end], number))

    def add(self, head: bytes, request: Request) -> None:
        """Keep the parse of a complete head. The whole cache is cleared when it is full."""
        if not request.target.startswith(b"/"):
            return  # the host is in the request line (RFC 9112, 3.2.2), not in the headers
        if len(self._header_sets) >= _MAX_HEADS or len(self._requests) >= _MAX_HEADS:
            self._header_sets.clear()
            self._numbers.clear()
            self._requests.clear()
        headers = tuple(sorted(request.headers.items()))
        end = head.find(b"\r\n")
        number = self._numbers.setdefault(headers, len(self._numbers))
        self._header_sets[head[end:]] = number
        self._requests[head[:end], number] = request
