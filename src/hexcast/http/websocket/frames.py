"""WebSocket frames (RFC 6455, 5) without I/O: bytes in, messages out; and the frames to send.

Single frames are read and written by the `websockets` library; what spans frames (fragments,
interleaved control frames, UTF-8, the size of a message) is here.

Compression (RFC 7692) is without context takeover in both directions: a message that is sent is
packed once for everyone, and nothing is kept for a client between messages.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass

from websockets.exceptions import (
    InvalidHeaderFormat,
    NegotiationError,
    PayloadTooBig,
    ProtocolError,
)
from websockets.extensions import Extension
from websockets.extensions.permessage_deflate import (
    PerMessageDeflate,
    ServerPerMessageDeflateFactory,
)
from websockets.frames import Close, CloseCode, Frame, Opcode
from websockets.headers import build_extension, parse_extension
from websockets.streams import StreamReader

from ...model import PerClient
from ..compression import deflate_message

__all__ = ["Closed", "Message", "Ping", "Pong", "Receiver", "Violation", "agree_on_packing",
           "binary", "close", "ping", "pong", "text"]  # fmt: skip

_NEGOTIATION = ServerPerMessageDeflateFactory(
    server_no_context_takeover=True, client_no_context_takeover=True
)


class _Packer(Extension):
    """Packs messages by which that saves something; the others go as they are, as they may."""

    name = _NEGOTIATION.name

    def encode(self, frame: Frame) -> Frame:
        packed = deflate_message(bytes(frame.data))
        return frame if packed is None else Frame(frame.opcode, packed, rsv1=True)


_PACKED: list[Extension] = [_Packer()]
_PLAIN: list[Extension] = []


def agree_on_packing(offers: str) -> str:
    """The `Sec-WebSocket-Extensions` that answers a client's; empty for none.

    Raises ValueError where it is malformed (RFC 6455, 9.1).
    """
    try:
        found = parse_extension(offers) if offers else []
    except InvalidHeaderFormat as error:
        raise ValueError(str(error)) from None
    for name, parameters in found:
        if name != _NEGOTIATION.name:
            continue
        try:
            agreed, packing = _NEGOTIATION.process_request_params(parameters, [])
        except NegotiationError:
            continue
        # What is packed once for everyone refers to as much as all but a few can keep.
        if packing.local_max_window_bits == 15:
            return build_extension([(name, agreed)])
    return ""


def _frame(opcode: Opcode, data: bytes, *, packed: bool = False) -> bytes:
    return bytes(
        Frame(opcode, data).serialize(mask=False, extensions=_PACKED if packed else _PLAIN)
    )


def text(data: bytes, *, packed: bool = False) -> bytes:
    """A text message; `data` is UTF-8. With `packed`, compressed if that makes it smaller."""
    return _frame(Opcode.TEXT, data, packed=packed)


def binary(data: bytes, *, packed: bool = False) -> bytes:
    """A binary message."""
    return _frame(Opcode.BINARY, data, packed=packed)


def ping(data: bytes = b"") -> bytes:
    return _frame(Opcode.PING, data)


def pong(data: bytes) -> bytes:
    return _frame(Opcode.PONG, data)


def close(code: int, reason: str = "") -> bytes:
    """A close frame; the reason is cut to what fits (5.5: 125 bytes with the code)."""
    short = reason.encode()[:123].decode(errors="ignore")
    return _frame(Opcode.CLOSE, Close(code, short).serialize())


@dataclass(frozen=True, slots=True)
class Message:
    """A whole message; a text's payload is valid UTF-8."""

    data: bytes
    is_text: bool


@dataclass(frozen=True, slots=True)
class Ping:
    data: bytes


@dataclass(frozen=True, slots=True)
class Pong:
    data: bytes


@dataclass(frozen=True, slots=True)
class Closed:
    """The client closes; `code` is 1005 where it gave none."""

    code: int
    reason: str


class Violation(Exception):
    """The client broke the protocol: close with `code`."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class Receiver(PerClient):
    """Reads what a client sends. Need not be kept while it is `idle`."""

    __slots__ = (
        "_extensions", "_fragments", "_is_text", "_limit", "_parsing", "_reader"
    )  # fmt: skip

    def __init__(self, limit: int, *, packed: bool = False) -> None:
        self._limit = limit  # bytes of one message, unpacked
        # The library's unpacking stops at the limit that it is given with each frame.
        self._extensions: list[Extension] = (
            [PerMessageDeflate(True, True, 15, 15)] if packed else _PLAIN
        )
        self._reader = StreamReader()
        self._parsing: Generator[None, None, Frame] | None = None
        self._fragments: bytearray | None = None  # of the message under way
        self._is_text = False

    @property
    def held(self) -> int:
        """Bytes of the frame and the message under way."""
        return len(self._reader.buffer) + len(self._fragments or b"")

    @property
    def idle(self) -> bool:
        """Whether no frame or message is under way."""
        return self._parsing is None and self._fragments is None

    def feed(self, data: bytes) -> Iterator[Message | Ping | Pong | Closed]:
        """What `data` completes. Raises Violation where it is not what a client may send.

        After a Closed or a Violation nothing more must be fed.
        """
        reader = self._reader
        reader.feed_data(data)
        while True:
            frame = self._next_frame(reader)
            if frame is None:
                break
            event = self._take(frame)
            if event is not None:
                yield event
                if isinstance(event, Closed):
                    return

    def _next_frame(self, reader: StreamReader) -> Frame | None:
        if self._parsing is None:
            if not reader.buffer:
                return None
            self._parsing = Frame.parse(
                reader.read_exact,
                mask=True,
                max_size=max(self._limit - len(self._fragments or b""), 125),
                extensions=self._extensions,
            )
        try:
            next(self._parsing)
        except StopIteration as stop:
            self._parsing = None
            frame: Frame = stop.value
            return frame
        except PayloadTooBig:
            raise self._too_big() from None
        except ProtocolError as error:
            raise Violation(CloseCode.PROTOCOL_ERROR, str(error)) from None
        return None

    def _take(self, frame: Frame) -> Message | Ping | Pong | Closed | None:
        data = bytes(frame.data)
        if frame.opcode is Opcode.PING:
            return Ping(data)
        if frame.opcode is Opcode.PONG:
            return Pong(data)
        if frame.opcode is Opcode.CLOSE:
            return _closed(data)
        if frame.opcode is Opcode.CONT:
            if self._fragments is None:
                raise Violation(CloseCode.PROTOCOL_ERROR, "a continuation of nothing")
        else:
            if self._fragments is not None:
                raise Violation(CloseCode.PROTOCOL_ERROR, "a message inside another")
            self._fragments = bytearray()
            self._is_text = frame.opcode is Opcode.TEXT
        self._fragments += data
        if len(self._fragments) > self._limit:
            raise self._too_big()
        if not frame.fin:
            return None
        whole = bytes(self._fragments)
        self._fragments = None
        if self._is_text:
            try:
                whole.decode()
            except UnicodeDecodeError:
                raise Violation(CloseCode.INVALID_DATA, "a text is not UTF-8") from None
        return Message(whole, self._is_text)

    def _too_big(self) -> Violation:
        return Violation(CloseCode.MESSAGE_TOO_BIG, f"a message has at most {self._limit} bytes")


def _closed(data: bytes) -> Closed:
    try:
        given = Close.parse(data)
    except ProtocolError as error:
        raise Violation(CloseCode.PROTOCOL_ERROR, str(error)) from None
    except UnicodeDecodeError:
        raise Violation(CloseCode.INVALID_DATA, "the reason is not UTF-8") from None
    return Closed(given.code, given.reason)
