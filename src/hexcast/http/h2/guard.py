"""Watches the frames that a client sends over HTTP/2 (RFC 9113) before anything is done for them.

Theory of operation. Some frames cost a server much and a client nothing: a request that is reset at
once (CVE-2023-44487), CONTINUATION frames without end, SETTINGS and PING that each want an answer,
frames for streams that are long closed. Nothing of a connection's own state is needed to see them,
only the nine bytes of each frame's header (4.1). Rules:

1. Every such frame takes from a credit, which comes back with time and with frames sent. A client
   that has none left is cut off with ENHANCE_YOUR_CALM.
2. A header block is bounded in bytes and frames before any of it is decoded (10.5.1).
3. The settings of one connection are bounded for its whole life: unknown ones are remembered.
4. What was under way when we ended a stream is passed over, up to the window that it had (5.1).
5. GOAWAY is kept from the state machine, which would let nothing be sent any more, although what
   the client has asked for is still to be answered (6.8).

Pure: bytes and the time are passed in.
"""

from __future__ import annotations

import struct
from collections.abc import Container

from h2.errors import ErrorCodes

__all__ = ["Abuse", "FrameGuard"]

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

CREDIT = 400.0
CREDIT_A_SECOND = 50.0
CREDIT_A_FRAME_SENT = 2.0
UPDATES_A_FRAME_SENT = 2.0
UPDATES_A_BYTE_SENT = 1 / 512
MAX_UPDATES = 2.0**15
"""A client may open a window twice, its own and the connection's, for each DATA frame it gets and
for each KiB of it: clients do so whenever a piece of a frame was read."""

MAX_REFUSED = 256
"""Streams that were ended before their client had sent its last, and are remembered."""

MAX_BLOCK_BYTES = 32 * 1024
MAX_BLOCK_FRAMES = 16
MAX_SETTINGS = 256

_DATA, _HEADERS, _PRIORITY, _RST_STREAM, _SETTINGS, _PUSH_PROMISE = range(6)
_PING, _GOAWAY, _WINDOW_UPDATE, _CONTINUATION = range(6, 10)

RESET_COST = 4.0
_SETTINGS_COST = 5.0
_CLOSED_COST = 2.0
_COSTS = {_PRIORITY: 0.5, _PING: 1.0, _WINDOW_UPDATE: 1.0, _CONTINUATION: 1.0}

_END_STREAM, _ACK, _END_HEADERS = 0x1, 0x1, 0x4
_HEADER = struct.Struct(">HBBBL")
_GOAWAY_BODY = struct.Struct(">LL")


class Abuse(Exception):
    """A client does what only harms: the connection ends with this code."""

    def __init__(self, reason: str, code: ErrorCodes = ErrorCodes.ENHANCE_YOUR_CALM) -> None:
        super().__init__(reason)
        self.code = code


class FrameGuard:
    """Reads frame headers as they go by. `now` is in seconds, of any clock that only rises."""

    __slots__ = ("_at", "_block", "_block_frames", "_credit", "_goaway", "_held", "_newest", "_now",
                 "_refused", "_settings", "_skip", "_stripping", "_updates", "began", "dropped",
                 "last_wanted")  # fmt: skip

    def __init__(self, now: float) -> None:
        self.last_wanted = -1
        """The last of our streams that the client will still take: from its GOAWAY; else -1."""
        self.began = now
        """When what is under way (`in_block`) began."""
        self.dropped = 0
        """Bytes of DATA that were passed over: the connection's window is to be opened by them."""
        self._at = now
        self._credit = CREDIT
        self._updates = 0.0  # WINDOW_UPDATEs that what was sent pays for
        self._refused: dict[int, int] | None = None  # stream: bytes it may still bring
        self._now: dict[int, bool] | None = None  # by stream: opened, or ended, in this read
        self._skip = len(PREFACE)  # bytes up to the next frame's header
        self._held = b""  # the beginning of a frame's header
        self._block = -1  # bytes of the header block under way; -1 while there is none
        self._block_frames = 0
        self._newest = 0  # the newest stream that the client has opened
        self._settings = 0
        self._stripping = False  # what is skipped is kept from the state machine
        self._goaway: bytes | None = None  # what has come of its fixed part

    @property
    def in_block(self) -> bool:
        """Whether a header block, or a frame's header, has begun and not ended."""
        return self._block >= 0 or bool(self._held)

    def earn(self, frames: int, size: int = 0) -> None:
        """Count DATA frames that were sent, and their bytes."""
        self._credit = min(CREDIT, self._credit + frames * CREDIT_A_FRAME_SENT)
        updates = frames * UPDATES_A_FRAME_SENT + size * UPDATES_A_BYTE_SENT
        self._updates = min(MAX_UPDATES, self._updates + updates)

    def refused(self, stream: int, window: int) -> None:
        """A stream was ended that its client may send `window` bytes more on."""
        if self._refused is None:
            self._refused = {}
        elif len(self._refused) >= MAX_REFUSED:
            del self._refused[next(iter(self._refused))]
        self._refused[stream] = window

    def charge(self, cost: float, what: str) -> None:
        """Take from the credit. Raises Abuse where it is used up."""
        self._credit -= cost
        if self._credit < 0:
            raise Abuse(f"too many: {what}")

    def feed(self, data: bytes, now: float, streams: Container[int]) -> bytes:
        """Look at `data`; returns what of it the state machine is to read.

        `streams` are the ids of the streams that are open. Raises Abuse.
        """
        self._credit = min(CREDIT, self._credit + (now - self._at) * CREDIT_A_SECOND)
        self._at = now
        held = bool(self._held)  # whether the header to come next had begun before
        if held:
            data, self._held = self._held + data, b""
        pieces: list[bytes] | None = None  # None while all of `data` goes on
        kept = 0  # up to where of `data` it was decided
        place, size = 0, len(data)
        while True:
            if self._skip:
                step = min(self._skip, size - place)
                if self._stripping:
                    if self._goaway is not None:
                        self._goaway += data[place : place + step][
                            : _GOAWAY_BODY.size - len(self._goaway)
                        ]
                    kept = place + step
                self._skip -= step
                place += step
                if self._skip:
                    break
                if self._stripping:
                    self._stripping = False
                    if self._goaway is not None:
                        self._left(self._goaway)
            if size - place < 9:
                if place < size and not held and self._block < 0:
                    self.began = now
                self._held = data[place:]
                break
            held = False
            high, low, kind, flags, stream = _HEADER.unpack_from(data, place)
            length = (high << 8) | low
            stream &= 0x7FFFFFFF
            if kind == _DATA and self._passed_over(flags, stream, length):
                pieces = pieces if pieces is not None else []
                pieces.append(data[kept:place])
                self._stripping = length > 0
                kept = place + 9
            else:
                self._frame(kind, flags, stream, length, streams)
            if kind == _GOAWAY and not stream:
                if length < _GOAWAY_BODY.size:
                    raise Abuse("GOAWAY is too short", ErrorCodes.FRAME_SIZE_ERROR)
                pieces = pieces if pieces is not None else []
                pieces.append(data[kept:place])
                self._stripping, self._goaway = True, b""
                kept = place + 9
            self._skip = length
            place += 9
        self._now = None
        end = size - len(self._held)
        if pieces is None and not kept and end == size:
            return data
        return b"".join((*(pieces or ()), data[kept:end]))

    def _left(self, goaway: bytes) -> None:
        last, _ = _GOAWAY_BODY.unpack(goaway)
        self.last_wanted = last & 0x7FFFFFFF
        self._goaway = None

    def _passed_over(self, flags: int, stream: int, length: int) -> bool:
        """Whether DATA was under way when its stream was ended here."""
        refused = self._refused
        left = refused.get(stream, -1) if refused is not None and self._block < 0 else -1
        ending = bool(flags & _END_STREAM)
        if refused is None or left < length or not (length or ending):
            return False
        self.dropped += length
        if ending:
            del refused[stream]
        else:
            refused[stream] = left - length
        return True

    def _frame(
        self, kind: int, flags: int, stream: int, length: int, streams: Container[int]
    ) -> None:
        if kind == _DATA:
            known = self._now.get(stream) if self._now is not None else None
            if known is None:
                known = stream in streams or stream > self._newest
            if not known:
                self.charge(_CLOSED_COST, "DATA on closed streams")
            elif not length and not flags & _END_STREAM:
                self.charge(_CLOSED_COST, "empty DATA")
        elif kind in (_HEADERS, _CONTINUATION):
            self._header_block(kind, flags, stream, length)
        elif kind == _RST_STREAM:
            # A push that the client does not want is no more than what it was offered.
            if stream % 2:
                self.charge(RESET_COST, "RST_STREAM")
            self._now = self._now if self._now is not None else {}
            self._now[stream] = False
            if self._refused is not None:
                self._refused.pop(stream, None)
        elif kind == _SETTINGS:
            self.charge(1.0 if flags & _ACK else _SETTINGS_COST, "SETTINGS")
            self._settings += length // 6
            if self._settings > MAX_SETTINGS:
                raise Abuse("too many: settings")
        elif kind == _PING and flags & _ACK:
            return
        elif kind == _WINDOW_UPDATE and self._updates >= 1:
            self._updates -= 1
        else:
            self.charge(_COSTS.get(kind, 1.0), f"frames of type {kind}")

    def _header_block(self, kind: int, flags: int, stream: int, length: int) -> None:
        if kind == _HEADERS:
            self._block, self._block_frames = 0, 0
            self.began = self._at
            if stream > self._newest:
                self._newest = stream
                self._now = self._now if self._now is not None else {}
                self._now[stream] = True
        elif self._block < 0:
            return  # naked: the state machine refuses it
        else:
            self.charge(_COSTS[_CONTINUATION], "CONTINUATION")
        self._block += length
        self._block_frames += 1
        if self._block > MAX_BLOCK_BYTES or self._block_frames > MAX_BLOCK_FRAMES:
            raise Abuse("a header block is too long")
        if flags & _END_HEADERS:
            self._block = -1
