"""Server-Sent Events: a stream of records as the EventSource of a browser reads it.

Fields and their framing are the WHATWG HTML standard's, section 9.2.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..feed import Change, StreamEncoder, Subscriber
from ..http import STREAMS, Exchange, Frame, Response
from ..hub import resume_point
from ..model import Gap, Record, utf8
from .context import Context
from .json_format import gap_json, record_json
from .open_stream import OpenStream
from .poll import STREAM_HEADERS, has_ended
from .query import ReceiveQuery

__all__ = ["SseEncoder", "sse"]

HEARTBEAT_SECONDS = 12.0


def _event(data: bytes, *, id: str = "", name: str = "") -> bytes:
    """One event. `data` has no CR."""
    head = (f"id: {id}\n" if id else "") + (f"event: {name}\n" if name else "")
    return b"%b%b\n\n" % (
        head.encode(),
        b"\n".join([b"data: " + line for line in data.split(b"\n")]),
    )


class SseEncoder(StreamEncoder):
    """Records as events, in a format, a content coding (`gzip`, `zstd` or none) and the framing of
    the connections that carry them."""

    way = "sse"

    def __init__(self, format: str, frame: Frame, coding: str = "") -> None:
        super().__init__((format, frame, coding))
        self._raw = format == "raw"
        self._frame = frame
        self._stream = STREAMS.get(coding)
        self.heartbeat = self.piece(b":\n\n")

    @property
    def head(self) -> bytes:
        """What comes before all else."""
        return self._frame(self._stream.head) if self._stream and self._stream.head else b""

    def piece(self, text: bytes) -> bytes:
        """Whole lines as they are sent."""
        return self._frame(text if self._stream is None else self._stream.piece(text))

    def chunk(self, items: Sequence[Record | Change]) -> bytes:
        if self._stream is None or len(items) == 1:
            return super().chunk(items)
        # Together they compress better than one by one.
        return self.piece(b"".join([self._event(item) for item in items])) if items else b""

    def encode(self, record: Record) -> bytes:
        return self.piece(self._event(record))

    def encode_change(self, change: Change) -> bytes:
        return self.piece(self._event(change))

    def _event(self, item: Record | Change) -> bytes:
        """The event that tells of a record or of a change."""
        return self._change(item) if isinstance(item, Change) else self._record(item)

    def _record(self, record: Record) -> bytes:
        name, data = record.event, record.data
        if not self._raw:
            name, data = "", record_json(record)
        elif record.op == "delete":
            name, data = "hexcast:delete", record_json(record)
        elif b"\r" in data or utf8(data) is None:
            # EventSource takes CR for a line end, and all of a stream for UTF-8.
            name, data = "hexcast:record", record_json(record)
        return _event(data, id=record.id, name=name)

    def _change(self, change: Change) -> bytes:
        record, data = change.record, change.data
        if not self._raw:
            return _event(record_json(record, change), id=record.id)
        if record.event:
            return self._record(record)  # an event has one name only
        name = f"hexcast:{change.op}"
        if b"\r" in data:
            name, data = "hexcast:record", record_json(record, change)
        return _event(data, id=record.id, name=name)

    def gap(self, gap: Gap) -> bytes:
        return self.piece(_event(gap_json(gap), name="hexcast:gap"))

    def cursor(self, id: str) -> bytes:
        """The event that moves a quiet client's cursor."""
        return self.piece(_event(id.encode(), id=id, name="hexcast:cursor"))

    def retry(self, seconds: float) -> bytes:
        """What says how long to wait before coming back."""
        return self.piece(b"retry: %d\n\n" % int(seconds * 1000))


def sse(context: Context, query: ReceiveQuery, exchange: Exchange) -> None:
    """Answer with a stream that stays open."""
    hub, meter = context.hub, context.counters.ways["sse"]
    meter.requests += 1
    start = resume_point(
        hub, query.selector, header=query.header, since=query.since, last=query.last
    )
    extra = [("Hexcast-Way", "sse")]
    if query.fallback:
        extra.append(("Hexcast-Fallback", query.fallback))
    if query.vary:
        extra.append(("Vary", query.vary))
    if has_ended(context, query, start):
        exchange.respond(Response(204, (*extra, ("Cache-Control", "no-store"))))
        return
    coding = query.stream_coding
    if coding:
        extra.append(("Content-Encoding", coding))
    encoder = SseEncoder(query.format, exchange.frame, coding)
    feed = context.feeds.feed(query.selector, encoder, query.options(start))
    assert isinstance(feed.encoder, SseEncoder)
    encoder = feed.encoder  # the one that all of the feed share
    bare = exchange.request.method == "HEAD"
    stream = SseStream(context, exchange, encoder)
    subscriber = stream.subscriber = Subscriber(feed, stream, start)
    segment = subscriber.first()
    cursor = start.header(hub, segment.first, segment.position)
    write = exchange.start(
        200,
        (
            ("Content-Type", "text/event-stream; charset=utf-8"),
            *STREAM_HEADERS,
            *extra,
            ("Hexcast-Cursor", cursor),
            ("X-Content-Type-Options", "nosniff"),
        ),
    )
    if bare:
        stream.over()
        exchange.finish()
        return
    preface = [encoder.head, encoder.retry(context.settings.retry)]
    if context.draining:
        stream.over()
        write(encoder.head + encoder.retry(context.drawn_retry()))
        exchange.finish()
        return
    if start.gap is not None:
        meter.gaps += 1
        preface.append(encoder.gap(start.gap))
    preface.append(segment.chunk)
    if not segment.records:
        preface.append(encoder.cursor(hub.id(segment.position)))
        subscriber.reported_position = segment.position
    exchange.handler = stream
    exchange.set_deadline(HEARTBEAT_SECONDS)
    write(b"".join(preface))
    if segment.end:
        stream.ended()
    else:
        subscriber.go(write)


class SseStream(OpenStream):
    """One client's stream."""

    __slots__ = ("encoder",)

    def __init__(self, context: Context, exchange: Exchange, encoder: SseEncoder) -> None:
        super().__init__(context, exchange, "sse")
        self.encoder = encoder

    def timeout(self) -> None:
        """A heartbeat, so that proxies and the client know that the stream lives."""
        subscriber = self.subscriber
        if subscriber is None:
            return
        if not subscriber.paused:
            moved = subscriber.unreported_position()
            subscriber.write(self.encoder.cursor(moved) if moved else self.encoder.heartbeat)
        self.exchange.set_deadline(HEARTBEAT_SECONDS)

    def drain(self) -> None:
        subscriber = self.subscriber
        if subscriber is not None:
            self.over()
            subscriber.write(self.encoder.retry(self.context.drawn_retry()))
            self.exchange.finish()
