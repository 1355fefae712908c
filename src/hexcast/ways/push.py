"""HTTP/2 server push (RFC 9113, 8.4): each record is a pushed answer, and a line that tells of it.

The lines are shared by all clients like those of any stream. A promise is not: it is encoded with
what a connection's header compression remembers, and whether a client takes it is the client's to
say at any moment. That is the only work done for each client, and it is done where it is written
to.

What is pushed is the payload as it was published; asked with `format=json`, the record in json
form, promised as the address that answers so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from ..feed import Change, StreamEncoder, Subscriber
from ..http import Exchange, Response
from ..hub import resume_point
from ..model import Gap, Problem, Record, quote
from .context import Context
from .json_format import gap_json
from .open_stream import OpenStream
from .poll import STREAM_HEADERS, has_ended, record_json_response, record_path, record_response
from .query import ReceiveQuery
from .sse import sse

__all__ = ["PushEncoder", "PushLines", "push"]

HEARTBEAT_SECONDS = 12.0


class PushLines(bytes):
    """Lines that tell of records, as if all were pushed; and the records, to be pushed."""

    gap: bytes = b""
    records: Sequence[Record | Change] = ()


class PushEncoder(StreamEncoder):
    """Records as lines of NDJSON, each with the path under which it is promised."""

    way = "push"

    def __init__(self, base: str, *, json: bool = False) -> None:
        super().__init__((base, json))
        self._base = base
        self._json = json
        self._answers: dict[Record, tuple[str, Response]] = {}

    def path(self, record: Record) -> str:
        """Where the record is to be had for good."""
        path = record_path(self._base, record)
        return f"{path}&format=json" if self._json else path

    def answer(self, record: Record) -> tuple[str, Response]:
        """What is promised, and what is pushed."""
        answer = self._answers.get(record)
        if answer is None:
            if len(self._answers) >= 256:
                self._answers.clear()
            response = record_json_response(record) if self._json else record_response(record)
            answer = self._answers[record] = (self.path(record), response)
        return answer

    def release(self) -> None:
        super().release()
        self._answers.clear()

    def encode(self, record: Record) -> bytes:
        return self.line(record, pushed=record.op != "delete")

    def line(self, record: Record, *, pushed: bool) -> bytes:
        """The line that tells of a record."""
        op = b"put" if record.op in ("patch", "append") else record.op.encode()
        return b'{"id":"%b","topic":%b,"op":"%b","path":%b,"pushed":%b}\n' % (
            record.id.encode(),
            quote(record.topic),
            op,
            quote(self.path(record)),
            b"true" if pushed else b"false",
        )

    def encode_change(self, change: Change) -> bytes:
        """A change is told in the line itself: what would be pushed is the full value."""
        record = change.record
        data = change.data if change.op == "patch" else quote(change.data.decode())
        return (
            b'{"id":"%b","topic":%b,"op":"%b","path":%b,"data":%b,"base":"%b","pushed":false}\n'
            % (
                record.id.encode(),
                quote(record.topic),
                change.op.encode(),
                quote(self.path(record)),
                data,
                change.base.id.encode(),
            )
        )

    def chunk(self, records: Sequence[Record | Change]) -> PushLines:
        lines = PushLines(b"".join([self.record(r) for r in records]))
        lines.records = records
        return lines

    def gap(self, gap: Gap) -> bytes:
        return b'{"gap":' + gap_json(gap) + b"}\n"

    def after_gap(self, gap: Gap, chunk: bytes) -> PushLines:
        line = self.gap(gap)
        lines = PushLines(line + chunk)
        lines.gap = line
        lines.records = chunk.records if isinstance(chunk, PushLines) else ()
        return lines


def push(context: Context, query: ReceiveQuery, exchange: Exchange) -> None:
    """Answer with a stream that stays open, and push; by SSE to a client that takes no push."""
    denied = exchange.push_denied
    if denied:
        sse(context, replace(query, way="sse", fallback=denied), exchange)
        return
    if context.draining:
        raise Problem(503, "the server is stopping", retry_after=1)
    hub, meter = context.hub, context.counters.ways["push"]
    meter.requests += 1
    start = resume_point(
        hub, query.selector, header=query.header, since=query.since, last=query.last
    )
    way = ("Hexcast-Way", "push")
    if has_ended(context, query, start):
        exchange.respond(Response(204, (way, ("Cache-Control", "no-store"))))
        return
    # Of several topics too the payloads are pushed as they are, unless json is asked for by name.
    json = exchange.request.first("format") == "json"
    wanted = PushEncoder(context.settings.base_path, json=json)
    feed = context.feeds.feed(query.selector, wanted, query.options(start))
    encoder = feed.encoder
    assert isinstance(encoder, PushEncoder)
    bare = exchange.request.method == "HEAD"
    stream = PushStream(context, exchange, encoder)
    subscriber = stream.subscriber = Subscriber(feed, stream, start)
    segment = subscriber.first()
    stream.send = exchange.start(
        200,
        (
            ("Content-Type", "application/x-ndjson"),
            *STREAM_HEADERS,
            way,
            ("Hexcast-Cursor", start.header(hub, segment.first, segment.position)),
            ("X-Content-Type-Options", "nosniff"),
        ),
    )
    if bare:
        stream.over()
        exchange.finish()
        return
    exchange.handler = stream
    exchange.set_deadline(HEARTBEAT_SECONDS)
    if start.gap is not None:
        meter.gaps += 1
        stream.send(encoder.gap(start.gap))
    stream.write(segment.chunk)
    if segment.end:
        stream.ended()
    else:
        subscriber.go(stream.write)


class PushStream(OpenStream):
    """One client's stream of lines, and what is pushed beside it."""

    __slots__ = ("encoder", "send")

    def __init__(self, context: Context, exchange: Exchange, encoder: PushEncoder) -> None:
        super().__init__(context, exchange, "push")
        self.encoder = encoder
        self.send: Callable[[bytes], None] = _nowhere

    def write(self, chunk: bytes) -> None:
        """Push the records of a chunk and tell of them."""
        if not isinstance(chunk, PushLines):
            self.send(chunk)
            return
        exchange, encoder = self.exchange, self.encoder
        exchange.cork()
        lines: list[bytes] | None = None  # None while the chunk is right as it is
        for place, record in enumerate(chunk.records):
            if isinstance(record, Change):
                if lines is not None:
                    lines.append(encoder.record(record))
                continue
            pushed = record.op == "delete" or exchange.push(*encoder.answer(record))
            if not pushed and lines is None:
                lines = [chunk.gap, *(encoder.record(r) for r in chunk.records[:place])]
            if lines is not None:
                lines.append(
                    encoder.record(record) if pushed else encoder.line(record, pushed=False)
                )
        self.send(chunk if lines is None else b"".join(lines))
        exchange.uncork()

    def timeout(self) -> None:
        """Tell a quiet client where it is; a line of nothing would be no NDJSON, so ping."""
        subscriber = self.subscriber
        if subscriber is None:
            return
        if not subscriber.paused:
            moved = subscriber.unreported_position()
            if moved:
                self.send(b'{"cursor":"%b"}\n' % moved.encode())
            else:
                self.exchange.ping()
        self.exchange.set_deadline(HEARTBEAT_SECONDS)

    def drain(self) -> None:
        self.ended()


def _nowhere(data: bytes) -> None:
    raise RuntimeError("a stream writes only once it is open")
