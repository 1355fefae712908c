"""Content codings: the same bytes, fewer. Whole bodies, pieces of open streams, and messages. Pure.

A piece of a stream is coded without a look at those before it, so that one coding of it is good
for everyone, whenever they have joined:

- zstd: a frame of its own. Frames in a row decode to their contents in a row (RFC 8878, 3.1).
- gzip: one member that stays open (RFC 1952), of which a piece is some whole blocks (RFC 1951) that
  begin and end at a byte and refer to nothing before them. Members in a row would be as legal, but
  browsers stop reading after the first. The member's header is sent to each client first, and its
  end is not: the CRC over all that one client was sent would be work for each client and record.
  Chromium, curl, httpx and aiohttp take the end of the body for the end of the member.
"""

from __future__ import annotations

import struct
import sys
import zlib
from collections.abc import Callable
from hashlib import sha256
from typing import NamedTuple

from ..model import base_type

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

__all__ = [
    "BODY_PAYS",
    "MESSAGE_PAYS",
    "STREAMS",
    "Stream",
    "code",
    "compressible",
    "deflate_message",
    "digest",
]

BODY_PAYS = 256
"""Bytes of a body below which the header fields that a coding needs cost more than it saves."""

PIECE_PAYS = 128
"""Bytes of a piece of a stream below which compression saves next to nothing."""

MESSAGE_PAYS = 64
"""The same of a message, which has four bytes less around it."""

BODY_LIMIT = 8 * 2**20
"""Bytes of a body, with its dictionary, above which it is sent as it is: coding is done between
other clients' writes. It is also the window that every decoder has (RFC 9842, 2.2; RFC 8878)."""

_LARGE = 64 * 1024  # from here on speed counts more than size: 1 MiB takes gzip 8 ms, not 50
_ZSTD_LEVEL, _ZSTD_LARGE_LEVEL = 3, 1
_GZIP_LEVEL, _GZIP_LARGE_LEVEL = 6, 1

_DCZ_MAGIC = b"\x5e\x2a\x4d\x18\x20\x00\x00\x00"  # RFC 9842, 5: a skippable frame with the SHA-256

# Of types that hold what is compressed already, or is nearly random.
_DENSE_KINDS = ("image/", "audio/", "video/", "font/")
_LOOSE = frozenset(("image/svg+xml", "image/bmp", "image/x-icon", "font/ttf", "font/otf"))
_DENSE = frozenset(
    (
        "application/gzip", "application/x-gzip", "application/zip", "application/zstd",
        "application/x-7z-compressed", "application/x-bzip2", "application/x-xz",
        "application/x-rar-compressed", "application/vnd.rar", "application/java-archive",
        "application/pdf", "application/ogg",
    )
)  # fmt: skip


def compressible(type: str) -> bool:
    """Whether payloads of a content type may get smaller."""
    base = base_type(type)
    return base in _LOOSE or not (base in _DENSE or base.startswith(_DENSE_KINDS))


def digest(dictionary: bytes) -> bytes:
    """What a dictionary is called by."""
    return sha256(dictionary).digest()


def code(coding: str, body: bytes, dictionary: bytes = b"", *, must: bool = False) -> bytes | None:
    """A body as `gzip`, `zstd`, or `dcz` with a dictionary.

    None where it gets no smaller, unless it `must` be coded, or is too large.
    """
    if len(body) + len(dictionary) > BODY_LIMIT:
        return None
    large = len(body) > _LARGE
    if coding == "gzip":
        coded = zlib.compress(body, _GZIP_LARGE_LEVEL if large else _GZIP_LEVEL, wbits=31)
    elif coding == "zstd":
        coded = zstd.compress(body, _ZSTD_LARGE_LEVEL if large else _ZSTD_LEVEL)
    elif coding == "dcz":
        coded = _dcz(body, dictionary)
    else:
        raise ValueError(f"there is no coding {coding!r}")
    return coded if must or len(coded) < len(body) else None


def _dcz(body: bytes, dictionary: bytes) -> bytes:
    # All of the dictionary has to be within reach from all of the body.
    size = len(body) + len(dictionary)
    frame = zstd.compress(
        body,
        options={
            zstd.CompressionParameter.compression_level: _ZSTD_LEVEL,
            zstd.CompressionParameter.window_log: max(10, size.bit_length()),
            # The level's tables have room for the places in a few hundred KiB.
            zstd.CompressionParameter.enable_long_distance_matching: size > 4 * _LARGE,
        },
        zstd_dict=zstd.ZstdDict(dictionary, is_raw=True).as_prefix,
    )
    return _DCZ_MAGIC + digest(dictionary) + frame


# Pieces of streams


class Stream(NamedTuple):
    """How an open body is coded."""

    name: str
    """The content coding."""
    head: bytes
    """What each client is sent first."""
    piece: Callable[[bytes], bytes]
    """Code a piece, for everyone."""


def _deflated(data: bytes) -> bytes:
    """Whole blocks that refer to nothing before them, up to a byte's end; none of them the last."""
    # A small window has small tables, which take less time to set up than a piece to compress.
    small = len(data) < 4096
    level = _GZIP_LARGE_LEVEL if len(data) > _LARGE else _GZIP_LEVEL
    packer = zlib.compressobj(level, zlib.DEFLATED, -12 if small else -15, 5 if small else 8)
    return packer.compress(data) + packer.flush(zlib.Z_SYNC_FLUSH)


def _stored(data: bytes) -> bytes:
    """`data` as it is, in blocks without compression (RFC 1951, 3.2.4)."""
    if len(data) <= 0xFFFF:
        return struct.pack("<xHH", len(data), len(data) ^ 0xFFFF) + data if data else b""
    pieces = (data[n : n + 0xFFFF] for n in range(0, len(data), 0xFFFF))
    return b"".join([_stored(piece) for piece in pieces])


_SYNC_MARKER = b"\x00\x00\x00\xff\xff"
"""An empty stored block, as a sync flush ends in. There are decoders that hand out what they have
decoded only there (Go's compress/flate)."""


def _gzip_piece(data: bytes) -> bytes:
    if not data:
        return b""
    if len(data) >= PIECE_PAYS:
        blocks = _deflated(data)
        if len(blocks) < len(data):
            return blocks
    return _stored(data) + _SYNC_MARKER


def _zstd_piece() -> Callable[[bytes], bytes]:
    packers = {level: zstd.ZstdCompressor(level) for level in (_ZSTD_LEVEL, _ZSTD_LARGE_LEVEL)}

    def piece(data: bytes) -> bytes:
        if not data:
            return b""
        level = _ZSTD_LARGE_LEVEL if len(data) > _LARGE else _ZSTD_LEVEL
        # What does not compress the library stores, with 9 bytes around it.
        return packers[level].compress(data, zstd.ZstdCompressor.FLUSH_FRAME)

    return piece


# RFC 1952, 2.3: deflate, no flags, no time, no extra flags, system unknown.
_GZIP_HEAD = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"

STREAMS = {
    "gzip": Stream("gzip", _GZIP_HEAD, _gzip_piece),
    "zstd": Stream("zstd", b"", _zstd_piece()),
}
"""The codings of open bodies, by name."""


# Messages


def deflate_message(data: bytes) -> bytes | None:
    """A message as permessage-deflate sends it (RFC 7692, 7.2.1); None where it gets no smaller.

    It refers to no message before it: the connection has to be without context takeover.
    """
    if len(data) < MESSAGE_PAYS:
        return None
    blocks = _deflated(data)[:-4]  # an empty block's end, which the receiver puts back
    return blocks if len(blocks) < len(data) else None
