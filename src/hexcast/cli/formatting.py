"""How records look: one line each, for people or as JSON. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from ..client import Gap, Record
from .console import printable

__all__ = ["gap_message", "human", "human_parts", "json_line"]


def json_line(item: Record | Gap) -> bytes:
    """A record's JSON just as the server sent it, or `{"gap": …}`; with its line end."""
    if isinstance(item, Gap):
        return b'{"gap":%b}\n' % item.raw
    return item.raw + b"\n"


def human_parts(record: Record) -> list[tuple[str, str]]:
    """A record as pieces of text, each with what it is: time, topic, event, id, op, data."""
    parts = []
    clock = _clock(record.time)
    if clock:
        parts.append(("time", clock))
    parts.append(("topic", printable(record.topic)))
    if record.event:
        parts.append(("event", printable(record.event)))
    if record.op == "delete":
        parts.append(("op", "deleted"))
    else:
        parts.append(("data", _shown(record.data)))
    if record.end:
        parts.append(("op", "end"))
    return parts


def human(record: Record) -> str:
    """A record as one line of plain text, without its line end."""
    return "  ".join(text for _, text in human_parts(record))


def gap_message(gap: Gap) -> str:
    """A gap in words."""
    topics = ", ".join(gap.topics)
    after = f"after {gap.after} and " if gap.after else ""
    return f"records of {topics} {after}before {gap.before} are no longer held: they are lost"


def _shown(data: Any) -> str:
    if isinstance(data, bytes):
        return f"<{len(data)} bytes>"
    if isinstance(data, str):
        return printable(data)
    try:
        return printable(msgspec.json.encode(data).decode())
    except (TypeError, ValueError):  # a number that only the raw form can carry
        return printable(str(data))


def _clock(time: str | None) -> str:
    """The time of day here of an RFC 3339 time, in milliseconds."""
    if time is None:
        return ""
    try:
        moment = datetime.fromisoformat(time).astimezone()
    except (ValueError, OverflowError, OSError):
        return printable(time)
    return moment.isoformat(timespec="milliseconds")[11:23]
