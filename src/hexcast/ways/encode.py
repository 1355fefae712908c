"""The json format: a record, a gap and a batch as JSON on one line (contract 3). Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from ..media import as_json, quote
from ..record import Gap, Record

__all__ = ["batch_json", "gap_json", "record_json", "rfc3339"]


def rfc3339(milliseconds: int) -> str:
    """A time as RFC 3339 in UTC with milliseconds."""
    seconds, rest = divmod(milliseconds, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:03d}Z"


def record_json(record: Record) -> bytes:
    """A record in json format, its empty members left out."""
    # A state's change is told as its full value, however it was published.
    op = b"put" if record.op in ("patch", "append") else record.op.encode()
    parts = [b'{"id":"%b","topic":%b,"op":"%b"' % (record.id.encode(), quote(record.topic), op)]
    if record.event:
        parts.append(b',"event":' + quote(record.event))
    if record.type:
        parts.append(b',"type":' + quote(record.type))
    parts.append(b',"time":"%b"' % rfc3339(record.time).encode())
    if record.op != "delete":
        parts.append(b',"data":' + as_json(record.data, record.type))
    if record.end:
        parts.append(b',"end":true')
    parts.append(b"}")
    return b"".join(parts)


def gap_json(gap: Gap) -> bytes:
    """A gap as the object of its three members."""
    return msgspec.json.encode(
        {"after": gap.after, "before": gap.before, "topics": list(gap.topics)}
    )


def batch_json(
    records: Sequence[Record], cursor: str, gap: Gap | None, *, more: bool, end: bool
) -> bytes:
    """A batch: what `poll` with `since` and `long-poll` answer."""
    return b"".join(
        (
            b'{"cursor":"%b","gap":' % cursor.encode(),
            b"null" if gap is None else gap_json(gap),
            b',"records":[',
            b",".join([record_json(r) for r in records]),
            b'],"more":',
            b"true" if more else b"false",
            b',"end":true}\n' if end else b"}\n",
        )
    )
