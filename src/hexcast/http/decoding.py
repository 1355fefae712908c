"""Content codings of requests: bodies that a client has compressed, decoded within bounds. Pure.

A few bytes may decode to very many. Whatever is decoded is asked for in parts of a bounded size,
so that a caller can stop at its own limit, or let others have their turn in between.
"""

from __future__ import annotations

import sys
import zlib
from typing import Protocol

from ..model import Problem
from .request import Request

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

__all__ = ["Decoder", "body_coding", "decode_body"]

CODINGS = ("gzip", "zstd")

_WINDOW_LOG = 23
"""8 MiB: what a decoder of `zstd` over HTTP has to have, and may refuse to exceed (RFC 9659)."""

_ALIASES = {"x-gzip": "gzip", "identity": ""}  # RFC 9110, 8.4.1.3 and 12.5.3


def body_coding(request: Request) -> str:
    """The content coding of a request's body; empty for none.

    Raises Problem 415 where it is not one that is decoded here (RFC 9110, 15.5.16).
    """
    given = request.header("content-encoding").strip().lower()
    coding = _ALIASES.get(given, given)
    if coding and coding not in CODINGS:
        taken = ", ".join(CODINGS)
        raise Problem(415, f"a body may be coded as one of {taken}, once", accept_encoding=taken)
    return coding


class _Engine(Protocol):
    """One compressed unit: a gzip member or a zstd frame."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class Decoder:
    """Decodes a body as it arrives. Units in a row decode to their contents in a row (RFC 1952,
    2.2; RFC 8878, 3.1)."""

    def __init__(self, coding: str) -> None:
        self._gzip = coding == "gzip"
        self._engine: _Engine | None = None  # while a unit is incomplete
        self._input = b""  # not decoded yet
        self._empty = True
        self._more = False  # the engine has output that there was no room for

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the body. What they decode to is got by `read`."""
        self._input += data

    @property
    def pending(self) -> bool:
        """Whether `read` may give something before more is fed."""
        return bool(self._input) or self._more

    @property
    def complete(self) -> bool:
        """Whether the body may end here: not within a unit, nor before the first."""
        return self._engine is None and not self._input and not self._empty

    def read(self, size: int) -> bytes:
        """At most `size` bytes of what was fed, decoded. Raises Problem 400 where it is malformed.

        May be empty although there is more: see `pending`.
        """
        if self._engine is None:
            if not self._input:
                return b""
            self._engine = _gzip_engine() if self._gzip else _zstd_engine()
            self._empty = False
        engine, data, self._input = self._engine, self._input, b""
        try:
            found = engine.decompress(data, size)
        except (zlib.error, zstd.ZstdError) as error:
            raise Problem(400, f"the body is not what its Content-Encoding says: {error}") from None
        if engine.eof:
            self._engine, self._input, self._more = None, engine.unused_data, False
        else:
            # zlib hands back what it had no room for; zstd keeps it, and may have more to give.
            self._input = getattr(engine, "unconsumed_tail", b"")
            self._more = len(found) == size or not getattr(engine, "needs_input", True)
        return found


def _gzip_engine() -> _Engine:
    return zlib.decompressobj(wbits=31)


def _zstd_engine() -> _Engine:
    return zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: _WINDOW_LOG})


def decode_body(coding: str, body: bytes, limit: int) -> bytes:
    """A whole body, decoded. Raises Problem 400 where it is malformed or cut short, 413 where it
    decodes to more than `limit` bytes."""
    decoder = Decoder(coding)
    decoder.feed(body)
    parts = []
    left = limit + 1
    while decoder.pending and left > 0:
        part = decoder.read(left)
        parts.append(part)
        left -= len(part)
    if left <= 0:
        raise Problem(413, f"the body decodes to more than {limit} bytes")
    if not decoder.complete:
        raise Problem(400, "the body ends in the middle of its Content-Encoding")
    return b"".join(parts)
