"""What HTTP/1.1, Server-Sent Events and WebSocket look like on the wire, read strictly.

Written for the tests alone, from the RFCs, so that a fault in the server's framing is not hidden by
a forgiving client. The parsers do no I/O: bytes in, messages out. A test can therefore cut a
connection after any byte and know exactly what had arrived.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import zstandard

ID = re.compile(r"[a-z0-9]{1,16}-(0|[1-9][0-9]*)")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


class WireError(AssertionError):
    """The peer broke a rule of HTTP, SSE or WebSocket."""


def seq(record_id: str) -> int:
    """The place of an id in the log; an id that is none is an error."""
    if not ID.fullmatch(record_id):
        raise WireError(f"not an id: {record_id!r}")
    return int(record_id.rpartition("-")[2])


# --- HTTP -----------------------------------------------------------------------------------------


@dataclass
class Head:
    """Status line and fields of one answer."""

    version: str
    status: int
    reason: str
    fields: list[tuple[str, str]]

    def get(self, name: str, default: str = "") -> str:
        """The field's value; one that must be single but is not is an error."""
        values = self.all(name)
        if len(values) > 1 and name.lower() not in ("vary", "link", "set-cookie", "cache-control"):
            raise WireError(f"{name} appears {len(values)} times")
        return ", ".join(values) if values else default

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.fields if key == name.lower()]

    def __contains__(self, name: str) -> bool:
        return bool(self.all(name))

    def tokens(self, name: str) -> set[str]:
        """A comma-separated field as a set of lower-case members."""
        return {part.strip().lower() for part in self.get(name).split(",") if part.strip()}


# RFC 9112 section 4 and RFC 9110 section 5: no obs-fold, no space before the colon.
_STATUS = re.compile(rb"(HTTP/1\.[01]) ([1-9][0-9]{2}) ([\t \x21-\x7e\x80-\xff]*)")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t \x21-\x7e\x80-\xff]*?)[ \t]*")


def parse_head(block: bytes) -> Head:
    """A status line and fields, without the empty line behind them."""
    first, *rest = block.split(b"\r\n")
    status = _STATUS.fullmatch(first)
    if not status:
        raise WireError(f"bad status line: {first[:200]!r}")
    fields = []
    for line in rest:
        matched = _FIELD.fullmatch(line)
        if not matched:
            raise WireError(f"bad field line: {line[:200]!r}")
        fields.append((matched[1].decode().lower(), matched[2].decode("latin-1")))
    head = Head(status[1].decode(), int(status[2]), status[3].decode("latin-1"), fields)
    if "transfer-encoding" in head and "content-length" in head:
        raise WireError("both Transfer-Encoding and Content-Length (RFC 9112 section 6.2)")
    return head


class Body:
    """Takes an answer's framing off (RFC 9112 section 6.3): `feed` gives content as it comes."""

    def __init__(self, head: Head, method: str) -> None:
        self.done = False
        self.rest = b""
        """What came behind the end: the next pipelined answer."""
        self.until_close = False
        self._chunked = False
        self._left = 0
        self._buffer = b""
        self._state = "size"
        bodiless = method == "HEAD" or head.status in (204, 304) or head.status < 200
        if (head.status == 204 or head.status < 200) and (
            "transfer-encoding" in head or "content-length" in head
        ):
            raise WireError(f"{head.status} with a framing field (RFC 9112 section 6.1)")
        if bodiless:
            self.done = True
        elif "transfer-encoding" in head:
            if head.get("transfer-encoding").lower() != "chunked" or head.version != "HTTP/1.1":
                raise WireError(f"{head.version} with {head.get('transfer-encoding')!r}")
            self._chunked = True
        elif "content-length" in head:
            text = head.get("content-length")
            if not re.fullmatch(r"[0-9]+", text):
                raise WireError(f"bad Content-Length {text!r}")
            self._left = int(text)
            self.done = self._left == 0
        else:
            self.until_close = True

    def feed(self, data: bytes) -> bytes:
        if self.done:
            self.rest += data
            return b""
        if self.until_close:
            return data
        if not self._chunked:
            content, self.rest = data[: self._left], data[self._left :]
            self._left -= len(content)
            self.done = self._left == 0
            return content
        return b"".join(self._chunks(data))

    def _chunks(self, data: bytes) -> Iterator[bytes]:
        self._buffer += data
        while not self.done:
            if self._state == "data":
                content, self._buffer = self._buffer[: self._left], self._buffer[self._left :]
                self._left -= len(content)
                yield content
                if self._left:
                    return
                self._state = "data end"
            line, found, behind = self._buffer.partition(b"\r\n")
            if not found:
                if len(line) > 8192:
                    raise WireError("endless chunk line")
                return
            self._buffer = behind
            if self._state == "data end":
                if line:
                    raise WireError(f"no CRLF behind a chunk: {line[:50]!r}")
                self._state = "size"
            elif self._state == "trailer":
                if not line:
                    self.done = True
                    self.rest, self._buffer = self._buffer, b""
            else:
                size = line.partition(b";")[0].strip()
                if not re.fullmatch(rb"[0-9A-Fa-f]{1,15}", size):
                    raise WireError(f"bad chunk size {line[:50]!r}")
                self._left = int(size, 16)
                self._state = "data" if self._left else "trailer"


class Decoder:
    """Takes a content coding off, as a body comes."""

    def __init__(self, coding: str) -> None:
        self.coding = coding
        self._gzip = zlib.decompressobj(wbits=31) if coding == "gzip" else None
        self._frame: Any = None
        if coding not in ("", "gzip", "zstd"):
            raise WireError(f"Content-Encoding {coding!r} was not asked for")

    def feed(self, data: bytes) -> bytes:
        if self._gzip is not None:
            content = self._gzip.decompress(data)
            if self._gzip.unused_data:
                raise WireError("something behind the end of a gzip member")
            return content
        return b"".join(self._frames(data)) if self.coding else data

    def _frames(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._frame is None:
                self._frame = zstandard.ZstdDecompressor().decompressobj()
            yield self._frame.decompress(data)
            data = self._frame.unused_data if self._frame.eof else b""
            if self._frame.eof:
                self._frame = None


@dataclass
class Answer:
    """One whole answer."""

    head: Head
    body: bytes

    @property
    def status(self) -> int:
        return self.head.status

    def json(self) -> Any:
        return json.loads(self.body)

    def lines(self) -> list[Any]:
        """The body as NDJSON."""
        return [json.loads(line) for line in self.body.split(b"\n") if line]

    def __getitem__(self, name: str) -> str:
        return self.head.get(name)

    def __contains__(self, name: str) -> bool:
        return name in self.head


# --- Server-Sent Events ---------------------------------------------------------------------------


@dataclass
class Event:
    """One block of an event stream. What it did not carry is None."""

    id: str | None = None
    event: str | None = None
    data: str | None = None
    retry: int | None = None
    comments: list[str] = field(default_factory=list)

    def json(self) -> Any:
        assert self.data is not None, self
        return json.loads(self.data)


class SseParser:
    """The event stream grammar (HTML living standard, 9.2.6). Incomplete blocks are kept back."""

    def __init__(self) -> None:
        self._buffer = b""
        self._block: list[bytes] = []

    def feed(self, data: bytes) -> list[Event]:
        if b"\r" in data:
            raise WireError(f"CR in an event stream: {data[:200]!r}")
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        events = []
        for line in lines:
            if line:
                self._block.append(line)
            elif self._block:
                events.append(self._event())
                self._block = []
        return events

    @property
    def pending(self) -> bool:
        """Whether a block has begun but not ended."""
        return bool(self._buffer or self._block)

    def _event(self) -> Event:
        event = Event()
        data: list[str] = []
        for line in self._block:
            name, _, value = line.decode("utf-8").partition(":")
            value = value.removeprefix(" ")
            match name:
                case "":
                    event.comments.append(value)
                case "data":
                    data.append(value)
                case "id":
                    event.id = value
                case "event":
                    event.event = value
                case "retry":
                    event.retry = int(value)
                case _:
                    raise WireError(f"unknown field in an event stream: {line!r}")
        if data:
            event.data = "\n".join(data)
        return event


# --- WebSocket ------------------------------------------------------------------------------------


@dataclass
class Frame:
    """One frame from the server, or to it."""

    opcode: int
    payload: bytes
    fin: bool = True
    rsv: int = 0


def ws_frame(
    opcode: int, payload: bytes = b"", *, fin: bool = True, mask: bool = True, rsv: int = 0
) -> bytes:
    """A frame as a client sends it (RFC 6455 section 5.2); `mask=False` breaks the rule."""
    head = bytes([fin << 7 | rsv << 4 | opcode])
    bit = mask << 7
    if len(payload) < 126:
        head += bytes([bit | len(payload)])
    elif len(payload) < 65536:
        head += bytes([bit | 126]) + struct.pack("!H", len(payload))
    else:
        head += bytes([bit | 127]) + struct.pack("!Q", len(payload))
    if not mask:
        return head + payload
    key = os.urandom(4)
    repeated = key * (len(payload) // 4 + 1)
    masked = int.from_bytes(payload, "big") ^ int.from_bytes(repeated[: len(payload)], "big")
    return head + key + masked.to_bytes(len(payload), "big")


class WsParser:
    """Frames of a server: not masked, no extension bits, control frames short and whole.

    With `packed`, messages may be compressed without context takeover (RFC 7692), each in a frame
    of its own; they are then told unpacked.
    """

    def __init__(self, *, packed: bool = False) -> None:
        self.packed = packed
        self.unpacked = 0
        """Messages that came compressed."""
        self._buffer = b""

    def _unpack(self, frame: Frame) -> None:
        if frame.opcode not in (TEXT, BINARY) or not frame.fin or frame.rsv != 4:
            raise WireError(f"a compressed frame that is no whole message: {frame}")
        inflate = zlib.decompressobj(wbits=-15)
        frame.payload = inflate.decompress(frame.payload + b"\0\0\xff\xff")
        frame.rsv = 0
        self.unpacked += 1

    def feed(self, data: bytes) -> list[Frame]:
        self._buffer += data
        frames = []
        at = 0
        buffer = self._buffer
        while len(buffer) - at >= 2:
            first, second = buffer[at], buffer[at + 1]
            size, start = second & 0x7F, at + 2
            if second & 0x80:
                raise WireError("a masked frame from a server (RFC 6455 section 5.1)")
            if size == 126:
                if len(buffer) < start + 2:
                    break
                (size,) = struct.unpack_from("!H", buffer, start)
                start += 2
            elif size == 127:
                if len(buffer) < start + 8:
                    break
                (size,) = struct.unpack_from("!Q", buffer, start)
                start += 8
            if len(buffer) < start + size:
                break
            frame = Frame(
                first & 15, buffer[start : start + size], bool(first & 128), first >> 4 & 7
            )
            if frame.rsv and self.packed:
                self._unpack(frame)
            if frame.rsv:
                raise WireError("reserved bits without an extension")
            if frame.opcode >= 8 and (size > 125 or not frame.fin):
                raise WireError("a control frame too long or fragmented (RFC 6455 section 5.5)")
            frames.append(frame)
            at = start + size
        self._buffer = buffer[at:]
        return frames


def ws_accept(key: str) -> str:
    """What `Sec-WebSocket-Accept` must be (RFC 6455 section 4.2.2)."""
    digest = hashlib.sha1(f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest()
    return base64.b64encode(digest).decode()
