"""What a subscriber receives, and how it is read from the JSON forms of the wire.

Every way is asked for `format=json`, so that each record comes with its id, topic and type
whatever it was published as.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass, field
from typing import Any

import msgspec

from ..model import BINARY, base_type, is_json
from .errors import ProtocolError

__all__ = [
    "Announced",
    "Batch",
    "Gap",
    "Record",
    "decode",
    "read_announcement",
    "read_batch",
    "read_gap",
    "read_message",
    "read_notice",
]


@dataclass(frozen=True, slots=True)
class Record:
    """One change of a topic."""

    id: str
    """Its place in the log; opaque, and the cursor to come back with."""

    topic: str

    op: str
    """`post` for a stream's record, `put` for a state's new value, `delete`; empty where the way
    does not tell it."""

    data: Any
    """The payload: a JSON value, a text (str), or octets (bytes); None for a delete."""

    event: str | None = None
    """The event name that the publisher gave."""

    type: str | None = None
    """The payload's content type; None where the way does not tell it."""

    time: str | None = None
    """When it was accepted, RFC 3339 in UTC; None where the way does not tell it."""

    end: bool = False
    """True when the publisher marked it as the topic's last for now."""

    raw: bytes = field(default=b"", repr=False, compare=False)
    """The record's JSON exactly as the server sent it, numbers and all, on one line."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Records of `topics` after one cursor and before another are no longer held: they are lost.

    `raw` is the gap's JSON as it came.
    """

    after: str
    before: str
    topics: tuple[str, ...]
    raw: bytes = field(default=b"", repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Batch:
    """The answer to one poll."""

    cursor: str
    gap: Gap | None
    records: tuple[Record, ...]
    more: bool
    end: bool


@dataclass(frozen=True, slots=True)
class Announced:
    """A line of the way `push`: the record at `path`, pushed before it or not."""

    id: str
    topic: str
    op: str
    path: str
    pushed: bool
    raw: bytes = field(default=b"", repr=False, compare=False)


class _WireAnnounced(msgspec.Struct):
    id: str
    topic: str
    op: str
    path: str
    pushed: bool = False


class _WireRecord(msgspec.Struct):
    id: str
    topic: str
    op: str
    data: msgspec.Raw = msgspec.Raw()
    event: str | None = None
    type: str | None = None
    time: str | None = None
    end: bool = False


class _WireGap(msgspec.Struct):
    topics: tuple[str, ...]
    after: str = ""
    before: str = ""


class _WireNotice(msgspec.Struct):
    topic: msgspec.Raw = msgspec.Raw()
    gap: msgspec.Raw = msgspec.Raw()
    cursor: str | None = None
    error: dict[str, Any] | None = None


class _WireBatch(msgspec.Struct):
    cursor: str
    records: list[msgspec.Raw] = []
    gap: msgspec.Raw = msgspec.Raw()
    more: bool = False
    end: bool = False


# Too deep a nesting ends in a RecursionError.
_BROKEN = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

_record = msgspec.json.Decoder(_WireRecord)
_gap = msgspec.json.Decoder(_WireGap)
_batch = msgspec.json.Decoder(_WireBatch)
_notice = msgspec.json.Decoder(_WireNotice)
_announced = msgspec.json.Decoder(_WireAnnounced)


def decode(raw: bytes | str) -> Any:
    """Any JSON value. Raises ProtocolError where it is none."""
    try:
        return msgspec.json.decode(raw)
    except _BROKEN:
        pass  # a number that no float holds is JSON all the same; the standard library reads it
    try:
        return json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"not JSON: {error}") from error


def read_message(raw: bytes) -> Record:
    """A record in json format. Raises ProtocolError."""
    try:
        wire = _record.decode(raw)
    except _BROKEN as error:
        raise ProtocolError(f"not a record: {error}") from error
    return Record(
        id=wire.id,
        topic=wire.topic,
        op=wire.op,
        data=_payload(wire),
        event=wire.event,
        type=wire.type,
        time=wire.time,
        end=wire.end,
        raw=raw,
    )


def read_gap(raw: bytes) -> Gap:
    """A gap's object. Raises ProtocolError."""
    try:
        wire = _gap.decode(raw)
    except _BROKEN as error:
        raise ProtocolError(f"not a gap: {error}") from error
    return Gap(wire.after, wire.before, wire.topics, raw)


def read_notice(raw: bytes) -> Record | Gap | str | dict[str, Any] | None:
    """A message of the WebSocket subprotocol; which it is shows in its members.

    A record, a gap, a cursor, the object of an error, or None for what needs no heed. Raises
    ProtocolError.
    """
    try:
        notice = _notice.decode(raw)
    except _BROKEN as error:
        raise ProtocolError(f"not a message: {error}") from error
    if bytes(notice.topic):
        return read_message(raw)
    if bytes(notice.gap):
        return read_gap(bytes(notice.gap))
    return notice.error if notice.error is not None else notice.cursor


def read_announcement(raw: bytes) -> Announced | Gap | str:
    """A line of the way `push`: a record, a gap or a cursor. Raises ProtocolError."""
    try:
        notice = _notice.decode(raw)
        if bytes(notice.gap):
            return read_gap(bytes(notice.gap))
        if notice.cursor is not None and not bytes(notice.topic):
            return notice.cursor
        wire = _announced.decode(raw)
    except _BROKEN as error:
        raise ProtocolError(f"not a line of pushed records: {error}") from error
    return Announced(wire.id, wire.topic, wire.op, wire.path, wire.pushed, raw)


def read_batch(raw: bytes) -> Batch:
    """A poll's answer. Raises ProtocolError."""
    try:
        wire = _batch.decode(raw)
    except _BROKEN as error:
        raise ProtocolError(f"not a batch: {error}") from error
    gap = None if bytes(wire.gap) in (b"", b"null") else read_gap(bytes(wire.gap))
    records = tuple(read_message(bytes(record)) for record in wire.records)
    return Batch(wire.cursor, gap, records, wire.more, wire.end)


def _payload(wire: _WireRecord) -> Any:
    raw = bytes(wire.data)
    if wire.op == "delete":
        return None
    if not raw:  # empty members are left out; an empty payload is no JSON
        return "" if (wire.type or "text/").startswith("text/") else b""
    value = decode(raw)
    if isinstance(value, str) and wire.type and base_type(wire.type) == BINARY:
        return value.encode("utf-8", "surrogatepass")  # octets that happen to be UTF-8
    # Octets come as an object of one member; a payload that is JSON may look the same.
    if (
        isinstance(value, dict)
        and value.keys() == {"base64"}
        and isinstance(value["base64"], str)
        and not (wire.type and is_json(wire.type))
    ):
        try:
            return base64.b64decode(value["base64"], validate=True)
        except binascii.Error as error:
            raise ProtocolError(f"record {wire.id}: not base64: {error}") from error
    return value
