"""The event stream format of Server-Sent Events, read incrementally and without I/O.

Follows the WHATWG HTML standard, section 9.2 "Server-sent events" ("Parsing an event stream" and
"Interpreting an event stream"). Bytes go in as they come from the network, cut anywhere; events
come out. Lines are cut on the bytes and decoded one by one: CR and LF never are part of a longer
UTF-8 sequence, so this gives the same text as decoding the stream as a whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["EventStreamParser", "EventTooLarge", "Reconnection", "ServerEvent"]

_LINE_END = re.compile(rb"\r\n|\n|\r")
_BOM = b"\xef\xbb\xbf"


class EventTooLarge(ValueError):
    """A line or an event is larger than the parser was told to accept."""


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """One dispatched event."""

    type: str
    """The event's name, `message` where the stream gives none."""

    data: str

    id: str
    """The stream's last event id as of this event; it is kept from event to event."""


@dataclass(frozen=True, slots=True)
class Reconnection:
    """The stream has set how long to wait before reconnecting."""

    seconds: float


class EventStreamParser:
    """Turns the bytes of one connection into events.

    `max_line` and `max_event` bound what is buffered, in bytes: of one line without its end, and
    of one event's data.
    """

    def __init__(self, *, max_line: int = 16 * 2**20, max_event: int = 16 * 2**20) -> None:
        self._max_line = max_line
        self._max_event = max_event
        self._pending = bytearray()  # the line that has not ended yet
        self._skip_lf = False  # the last byte was CR, so an LF now belongs to it
        self._at_start = True  # a byte order mark may still come
        self._type = ""
        self._data: list[str] = []
        self._data_size = 0
        self._id_buffer = ""
        self.last_event_id = ""
        """The id to reconnect with; set by the end of an event, with or without data."""

    def feed(self, data: bytes) -> Iterator[ServerEvent | Reconnection]:
        """Take the next bytes; yield what they complete. Exhaust it before feeding again.

        An event that the stream's end cuts off is never yielded. Raises EventTooLarge.
        """
        if self._skip_lf and data:
            self._skip_lf = False
            if data[0] == 0x0A:
                data = data[1:]
        if not data:
            return
        self._skip_lf = data[-1] == 0x0D
        first, *rest = _LINE_END.split(data)
        self._pending += first
        for piece in rest:
            line = self._take_pending()
            self._pending += piece
            found = self._line(line)
            if found is not None:
                yield found
        # Room for a mark that may yet be stripped.
        if len(self._pending) > self._max_line + (len(_BOM) if self._at_start else 0):
            raise EventTooLarge(f"a line is longer than {self._max_line} bytes")

    def _take_pending(self) -> bytes:
        line = bytes(self._pending)
        self._pending.clear()
        if self._at_start:
            self._at_start = False
            line = line.removeprefix(_BOM)
        if len(line) > self._max_line:
            raise EventTooLarge(f"a line is longer than {self._max_line} bytes")
        return line

    def _line(self, line: bytes) -> ServerEvent | Reconnection | None:
        if not line:
            return self._dispatch()
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        # A line that begins with a colon is a comment: its field name is empty, so it is ignored
        # like any other unknown field.
        match name:
            case b"data":
                self._data_size += len(value) + 1
                if self._data_size > self._max_event + 1:
                    raise EventTooLarge(f"an event's data is longer than {self._max_event} bytes")
                self._data.append(_decode(value))
            case b"event":
                self._type = _decode(value)
            case b"id" if b"\0" not in value:
                self._id_buffer = _decode(value)
            case b"retry" if value.isdigit() and len(value) <= 12:
                return Reconnection(int(value) / 1000)
        return None

    def _dispatch(self) -> ServerEvent | None:
        self.last_event_id = self._id_buffer
        event = None
        if self._data:
            event = ServerEvent(self._type or "message", "\n".join(self._data), self.last_event_id)
        self._data.clear()
        self._data_size = 0
        self._type = ""
        return event


def _decode(value: bytes) -> str:
    return value.decode("utf-8", "replace")
