"""The json format: a record, a gap and a batch as JSON on one line (protocol 3). Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import msgspec

from ..feed import Change
from ..model import Gap, Record, as_json, quote

__all__ = ["batch_json", "change_json", "gap_json", "record_json", "rfc3339"]

_NO_CHANGES: Mapping[Record, Change] = {}


def rfc3339(milliseconds: int) -> str:
    """A time as RFC 3339 in UTC with milliseconds."""
    seconds, rest = divmod(milliseconds, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:03d}Z"


def record_json(record: Record, change: Change | None = None) -> bytes:
    """A record in json format, its empty members left out; as a change where that is given."""
    # A state's change is told as its full value, however it was published.
    op = b"put" if record.op in ("patch", "append") else record.op.encode()
    if change is not None:
        op = change.op.encode()
    parts = [b'{"id":"%b","topic":%b,"op":"%b"' % (record.id.encode(), quote(record.topic), op)]
    if record.event:
        parts.append(b',"event":' + quote(record.event))
    if record.type:
        parts.append(b',"type":' + quote(record.type))
    parts.append(b',"time":"%b"' % rfc3339(record.time).encode())
    if change is not None:
        data = change.data if change.op == "patch" else quote(change.data.decode())
        parts.append(b',"data":%b,"base":"%b"' % (data, change.base.id.encode()))
    elif record.op != "delete":
        parts.append(b',"data":' + as_json(record.data, record.type))
    if record.end:
        parts.append(b',"end":true')
    parts.append(b"}")
    return b"".join(parts)


def change_json(change: Change) -> bytes:
    """A change in short, for who follows one topic in raw format: without what its URL, and the
    value before, say already."""
    data = change.data if change.op == "patch" else quote(change.data.decode())
    # The ids side by side, so that the second is mostly the first where this is compressed.
    return b'{"id":"%b","base":"%b","op":"%b","data":%b%b}' % (
        change.record.id.encode(),
        change.base.id.encode(),
        change.op.encode(),
        data,
        b',"end":true' if change.record.end else b"",
    )


def gap_json(gap: Gap) -> bytes:
    """A gap as an object; `reset` is a member only where it is true."""
    members = {"after": gap.after, "before": gap.before, "topics": list(gap.topics)}
    return msgspec.json.encode({**members, "reset": True} if gap.reset else members)


def batch_json(
    records: Sequence[Record],
    cursor: str,
    gap: Gap | None,
    *,
    more: bool,
    end: bool,
    changes: Mapping[Record, Change] = _NO_CHANGES,
) -> bytes:
    """A batch: what `poll` with `since` and `long-poll` answer.

    Those records that are in `changes` are told as such.
    """
    return b"".join(
        (
            b'{"cursor":"%b","gap":' % cursor.encode(),
            b"null" if gap is None else gap_json(gap),
            b',"records":[',
            b",".join([record_json(r, changes.get(r)) for r in records]),
            b'],"more":',
            b"true" if more else b"false",
            b',"end":true}\n' if end else b"}\n",
        )
    )
