"""Polling: a value with its `ETag`, or a batch of what came since a cursor."""

from __future__ import annotations

from typing import NamedTuple

from ..deltas import Change
from ..http.exchange import Exchange, Headers, Response
from ..problem import Problem
from ..record import Gap, Id, Record
from ..start import Start, begin
from .ask import Ask
from .context import Context
from .encode import batch_json, record_json

__all__ = [
    "Batch",
    "batch_response",
    "gather",
    "poll",
    "record_response",
    "single_record",
    "value_responses",
]

BATCH_BYTES = 2**20
MAX_SEQ = 2**63

STREAM_HEADERS: Headers = (
    ("Cache-Control", "no-store, no-transform"),
    ("X-Accel-Buffering", "no"),
)
"""What keeps caches and proxies off answers that are good once only."""

PAYLOAD_HEADERS: Headers = (
    ("X-Content-Type-Options", "nosniff"),
    ("Content-Security-Policy", "sandbox"),
)
"""What keeps a published payload from acting as a page of this server."""

JSON_TYPE = ("Content-Type", "application/json")


def poll(context: Context, ask: Ask, exchange: Exchange) -> None:
    """Answer at once with what there is."""
    context.meters.ways["poll"].requests += 1
    if ask.cursor_given or not ask.one:
        exchange.respond(batch_response(context, ask, gather(context, ask)))
        return
    record = newest(context, ask)
    if record is None:
        raise Problem(404, "there is nothing under this topic")
    full, unchanged = value_responses(context, ask, record)
    matched = record.id in ask.none_match or "*" in ask.none_match
    exchange.respond(unchanged if matched else full)


def newest(context: Context, ask: Ask) -> Record | None:
    """The newest record of the one topic asked for."""
    topic = context.hub.topics.get(ask.selector.single)
    return None if topic is None else topic.value


def value_responses(context: Context, ask: Ask, record: Record) -> tuple[Response, Response]:
    """The answers 200 and 304 that tell of a record's payload."""
    key = (record, ask.format, ask.vary + ask.way)
    known = context.values.get(key)
    if known is not None:
        return known
    common: list[tuple[str, str]] = [("ETag", f'"{record.id}"')]
    common += STREAM_HEADERS if ask.way == "long-poll" else (("Cache-Control", "no-cache"),)
    if ask.vary:
        common.append(("Vary", ask.vary))
    common.append(("Hexcast-Way", ask.way))
    if ask.format == "json":
        head: Headers = (JSON_TYPE, *common, *PAYLOAD_HEADERS)
        body = record_json(record) + b"\n"
    else:
        head = (("Content-Type", record.type), *common, *PAYLOAD_HEADERS)
        body = record.data
    return context.remember(key, (Response(200, head, body), Response(304, tuple(common))))


def record_response(record: Record) -> Response:
    """The answer that is one record's payload as it was published, for good."""
    return Response(
        200,
        (("Content-Type", record.type), *_for_good(record), *PAYLOAD_HEADERS),
        record.data,
    )


def record_json_response(record: Record) -> Response:
    """The answer that is one record in json form, for good."""
    headers = (JSON_TYPE, *_for_good(record), *PAYLOAD_HEADERS)
    return Response(200, headers, record_json(record) + b"\n")


def _for_good(record: Record) -> Headers:
    return (
        ("ETag", f'"{record.id}"'),
        ("Cache-Control", "private, max-age=31536000, immutable"),
        ("Hexcast-Way", "poll"),
    )


def single_record(context: Context, ask: Ask, id: str, exchange: Exchange) -> None:
    """Answer `?id=`: one record, which will never change."""
    try:
        place = Id.parse(id)
    except ValueError as error:
        raise Problem(400, str(error)) from None
    known = context.hub.known(place)
    record = context.hub.record_at(ask.selector.single, place.seq) if known else None
    if record is None:
        raise Problem(404, "no record of this topic with this id is held")
    if record.op == "delete":
        raise Problem(410, "this record deleted the topic")
    common = _for_good(record)
    if record.id in ask.none_match or "*" in ask.none_match:
        exchange.respond(Response(304, common))
    elif ask.format == "json":
        exchange.respond(record_json_response(record))
    else:
        exchange.respond(record_response(record))


class Batch(NamedTuple):
    """What a client is to be told from its cursor on."""

    start: Start
    records: list[Record]
    position: int
    gap: Gap | None
    end: bool
    changes: dict[Record, Change]
    """Those of the records that are told as changes."""

    @property
    def more(self) -> bool:
        return self.position < self.start.horizon and not self.end

    @property
    def tells(self) -> bool:
        """Whether there is anything to tell."""
        return bool(self.records or self.gap or self.end or self.more)


def gather(context: Context, ask: Ask, horizon: int = MAX_SEQ) -> Batch:
    """A batch from the client's cursor, up to a place; without one, each topic's newest record."""
    hub = context.hub
    start = begin(hub, ask.selector, header=ask.header, since=ask.since, last=max(1, ask.last))
    if start.fresh is None:
        start.horizon = max(start.cursor, min(start.horizon, horizon))
    gap = start.gap
    if gap is None and start.fresh is None:
        gap = hub.gap(ask.selector, start.cursor, hub.id(start.cursor), start.told)
    scanned = hub.history.scan(
        ask.selector, start.cursor, start.horizon, fresh=start.fresh, limit=ask.limit,
        size=BATCH_BYTES,
    )  # fmt: skip
    records, position = scanned.records, scanned.position
    if position < start.horizon:
        # Stopped at a limit: whether anything is left decides what the client is told.
        rest = hub.history.scan(ask.selector, position, start.horizon, fresh=start.fresh, limit=1)
        if not rest.records:
            position = rest.position
    end = ended(context, ask, position)
    meter = context.meters.ways[ask.way]
    meter.deliveries += len(records)
    meter.folds += scanned.folded
    meter.gaps += gap is not None
    changes = {} if start.fresh is not None else _changes(context, ask, start, records)
    return Batch(start, records, position, gap, end, changes)


def _changes(
    context: Context, ask: Ask, start: Start, records: list[Record]
) -> dict[Record, Change]:
    """What has changed since the client's cursor, for those records that can be told so."""
    if not ask.delta or not start.holds:
        return {}
    find, origin = context.feeds.change, start.cursor
    found = ((r, find(r, origin, careful=True)) for r in records)
    return {record: change for record, change in found if change is not None}


def batch_response(context: Context, ask: Ask, batch: Batch) -> Response:
    """The answer that tells a batch."""
    hub, records = context.hub, batch.records
    body = batch_json(
        records, hub.id(batch.position), batch.gap, more=batch.more, end=batch.end,
        changes=batch.changes,
    )  # fmt: skip
    first = records[0].seq if records else 0
    return Response(200, batch_headers(ask, batch.start.header(hub, first, batch.position)), body)


def batch_headers(ask: Ask, cursor: str) -> Headers:
    """The headers of a batch that begins at a cursor."""
    vary: Headers = (("Vary", ask.vary),) if ask.vary else ()
    return (
        JSON_TYPE, *STREAM_HEADERS, *vary, ("Hexcast-Way", ask.way), ("Hexcast-Cursor", cursor),
        ("X-Content-Type-Options", "nosniff"),
    )  # fmt: skip


def ended(context: Context, ask: Ask, position: int) -> bool:
    """Whether a client at a place has had the last, for now, of the one topic it asked for."""
    topic = context.hub.topics.get(ask.selector.single)
    last = None if topic is None else topic.newest
    return last is not None and last.end and position >= last.seq


def has_ended(context: Context, ask: Ask, start: Start) -> bool:
    """Whether a client comes back with a cursor to a topic that has ended by then."""
    return bool(start.given) and start.gap is None and ended(context, ask, start.cursor)
