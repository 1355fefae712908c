"""Polling: a value with its `ETag`, or a batch of what came since a cursor."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple
from urllib.parse import quote as percent

from ..feed import Change
from ..http import Exchange, Headers, Response, code
from ..hub import ResumePoint, Scan, resume_point
from ..model import JSON, Gap, Id, Problem, Record
from .compressed import CACHED, KEPT, Coded, entity_tag
from .context import Context
from .json_format import batch_json, record_json
from .query import ReceiveQuery

__all__ = [
    "Batch",
    "batch_answer",
    "batch_response",
    "gather",
    "poll",
    "record_json_response",
    "record_path",
    "record_response",
    "single_record",
    "value_responses",
]

BATCH_BYTES = 2**20
MAX_SEQ = 2**63

BATCH_PAYS = 1024
"""Bytes below which a batch is sent as it is: mostly it is one client's own, and coded for it
alone."""

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


def poll(context: Context, query: ReceiveQuery, exchange: Exchange) -> None:
    """Answer at once with what there is."""
    context.counters.ways["poll"].requests += 1
    if query.cursor_given or not query.one:
        batch = gather(context, query)
        context.send(query.way, exchange, batch_response(context, query, batch), len(batch.records))
        return
    record = newest(context, query)
    if record is None:
        raise Problem(404, "there is nothing under this topic")
    full, unchanged = value_responses(context, query, record)
    matched = record.id in query.none_match or "*" in query.none_match
    context.send(query.way, exchange, unchanged if matched else full, not matched)


def newest(context: Context, query: ReceiveQuery) -> Record | None:
    """The newest record of the one topic asked for."""
    return context.hub.value(query.selector.single)


def value_responses(
    context: Context, query: ReceiveQuery, record: Record
) -> tuple[Response, Response]:
    """The answers 200 and 304 for a record's payload."""
    coder = context.coder
    dictionary = query.dictionary if coder.dictionary(query) else b""
    key = (record, query.shape, dictionary)
    known = context.values.get(key)
    if known is not None:
        return known
    body = value_body(context, query, record, keep=query.way == "poll")
    common: list[tuple[str, str]] = [("ETag", entity_tag(record.id, body.coding))]
    common += STREAM_HEADERS if query.way == "long-poll" else (KEPT if body.kept else CACHED,)
    if query.vary:
        common.append(("Vary", query.vary))
    common.append(("Hexcast-Way", query.way))
    head = (_type(query, record), *common, *body.headers, *PAYLOAD_HEADERS)
    return context.remember(key, (Response(200, head, body.body), Response(304, tuple(common))))


def value_body(
    context: Context, query: ReceiveQuery, record: Record, *, keep: bool = False
) -> Coded:
    """A record's payload in the format and the coding that are asked for."""
    json = query.format == "json"
    body = record_json(record) + b"\n" if json else record.data
    type = JSON if json else record.type
    return context.coder.coded(query, (record.id, json), type, body, keep=keep)


def _type(query: ReceiveQuery, record: Record) -> tuple[str, str]:
    return JSON_TYPE if query.format == "json" else ("Content-Type", record.type)


def record_path(base: str, record: Record) -> str:
    """Where a record is to be had for good."""
    return f"{base}/topics/{percent(record.topic)}?id={record.id}"


def record_response(record: Record) -> Response:
    """The answer that is one record's payload as it was published, for good."""
    return Response(
        200,
        (("Content-Type", record.type), *_for_good(record, ""), *PAYLOAD_HEADERS),
        record.data,
    )


def record_json_response(record: Record) -> Response:
    """The answer that is one record in json form, for good."""
    headers = (JSON_TYPE, *_for_good(record, ""), *PAYLOAD_HEADERS)
    return Response(200, headers, record_json(record) + b"\n")


def _for_good(record: Record, coding: str) -> Headers:
    return (
        ("ETag", entity_tag(record.id, coding)),
        ("Cache-Control", "private, max-age=31536000, immutable"),
        ("Hexcast-Way", "poll"),
    )


def single_record(context: Context, query: ReceiveQuery, id: str, exchange: Exchange) -> None:
    """Answer `?id=`: one record, which will never change."""
    try:
        place = Id.parse(id)
    except ValueError as error:
        raise Problem(400, str(error)) from None
    known = context.hub.known(place)
    record = context.hub.record_at(query.selector.single, place.seq) if known else None
    if record is None:
        raise Problem(404, "no record of this topic with this id is held")
    if record.op == "delete":
        raise Problem(410, "this record deleted the topic")
    body = value_body(context, query, record)
    common = _for_good(record, body.coding)
    if query.vary:
        common = (*common, ("Vary", query.vary))
    if record.id in query.none_match or "*" in query.none_match:
        context.send(query.way, exchange, Response(304, common))
    else:
        head = (_type(query, record), *common, *body.headers, *PAYLOAD_HEADERS)
        context.send(query.way, exchange, Response(200, head, body.body), 1)


class Batch(NamedTuple):
    """What a client gets from its cursor on."""

    start: ResumePoint
    records: list[Record]
    position: int
    gap: Gap | None
    end: bool
    changes: dict[Record, Change]
    """The records that are sent as changes."""

    @property
    def more(self) -> bool:
        return self.position < self.start.scan.horizon and not self.end

    @property
    def has_content(self) -> bool:
        """Whether there is anything to send."""
        return bool(self.records or self.gap or self.end or self.more)


def gather(context: Context, query: ReceiveQuery, horizon: int = MAX_SEQ) -> Batch:
    """A batch from the client's cursor, up to a place; without one, each topic's newest record."""
    hub = context.hub
    start = resume_point(
        hub, query.selector, header=query.header, since=query.since, last=max(1, query.last)
    )
    scan = start.scan
    if scan.backlog is None and horizon < scan.horizon:
        scan = scan._replace(horizon=max(scan.cursor, horizon))
        start = replace(start, scan=scan)
    gap = start.gap
    if gap is None and scan.backlog is None:
        gap = hub.gap(query.selector, scan.cursor, hub.id(scan.cursor), dict(start.reported))
    scanned = hub.search(query.selector, scan, limit=query.limit, size=BATCH_BYTES)
    records, position = scanned.records, scanned.position
    if position < scan.horizon:
        # Stopped at a limit: whether anything is left decides the answer.
        rest = hub.scan(query.selector, scan.at(position), limit=1)
        if not rest.records:
            position = rest.position
    end = ended(context, query.selector.single, position)
    meter = context.counters.ways[query.way]
    meter.folds += scanned.conflated
    meter.gaps += gap is not None
    return Batch(start, records, position, gap, end, _changes(context, query, scan, records))


def _changes(
    context: Context, query: ReceiveQuery, scan: Scan, records: list[Record]
) -> dict[Record, Change]:
    """What has changed since the client's cursor, for the records that can be sent so."""
    if not query.delta or scan.base is None:
        return {}
    change, base = context.feeds.context.change, scan.base
    found = ((r, change(r, base, trusted=False)) for r in records)
    return {record: change for record, change in found if change is not None}


def batch_response(context: Context, query: ReceiveQuery, batch: Batch) -> Response:
    """The answer that tells a batch."""
    hub, records = context.hub, batch.records
    body = batch_json(
        records, hub.id(batch.position), batch.gap, more=batch.more, end=batch.end,
        changes=batch.changes,
    )  # fmt: skip
    first = records[0].seq if records else 0
    return batch_answer(query, batch.start.header(hub, first, batch.position), body)


def batch_answer(query: ReceiveQuery, cursor: str, body: bytes) -> Response:
    """The answer that is a batch which begins at a cursor."""
    more: list[tuple[str, str]] = [("Vary", query.vary)] if query.vary else []
    coding = query.coding
    if coding and len(body) >= BATCH_PAYS:
        small = code(coding, body)
        if small is not None:
            body = small
            more.append(("Content-Encoding", coding))
    head: Headers = (
        JSON_TYPE, *STREAM_HEADERS, *more, ("Hexcast-Way", query.way), ("Hexcast-Cursor", cursor),
        ("X-Content-Type-Options", "nosniff"),
    )  # fmt: skip
    return Response(200, head, body)


def ended(context: Context, single: str, position: int) -> bool:
    """Whether a client at a place has had the last, for now, of the one topic it asked for."""
    return context.hub.ended(single, position)


def has_ended(context: Context, query: ReceiveQuery, start: ResumePoint) -> bool:
    """Whether a client comes back with a cursor to a topic that has ended by then."""
    if not start.given or start.gap is not None:
        return False
    return ended(context, query.selector.single, start.scan.cursor)
