"""WebSocket (RFC 6455): one message a record, or the subprotocol `hexcast.v1`."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable

from websockets.frames import CloseCode

from ...feed import Change, StreamEncoder, Subscriber
from ...http import Exchange, Headers, Request, compressible, frames, problem_response
from ...hub import resume_point
from ...model import BINARY, Gap, PerClient, Problem, Record, base_type, utf8
from ..context import Context
from ..json_format import change_json, gap_json, record_json
from ..poll import has_ended
from ..query import ReceiveQuery
from .hexcast_v1 import Conversation

__all__ = ["PROTOCOL", "WebSocketEncoder", "websocket"]

PROTOCOL = "hexcast.v1"
PING_SECONDS = 20.0
CLOSE_SECONDS = 3.0
STILL_SECONDS = 60.0
"""How long a message that has begun may stand still."""

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, 1.3


class WebSocketEncoder(StreamEncoder):
    """Records as messages, in a format; `packed` where they may be compressed."""

    way = "websocket"

    def __init__(self, format: str, *, packed: bool = False) -> None:
        super().__init__((format, packed))
        self._raw = format == "raw"
        self._packed = packed

    def encode(self, record: Record) -> bytes:
        if not self._raw or record.op == "delete":
            return self._text(record_json(record))
        octets = base_type(record.type) == BINARY or utf8(record.data) is None
        if octets:
            return frames.binary(record.data, packed=self._packed and compressible(record.type))
        return self._text(record.data)

    def encode_change(self, change: Change) -> bytes:
        # Without the subprotocol a message has no name: only the json form says what it is.
        return self._text(change_json(change) if self._raw else record_json(change.record, change))

    def gap(self, gap: Gap) -> bytes:
        return self._text(b'{"gap":' + gap_json(gap) + b"}")

    def _text(self, data: bytes) -> bytes:
        return frames.text(data, packed=self._packed)


def websocket(context: Context, query: ReceiveQuery, exchange: Exchange) -> None:
    """Open a WebSocket and subscribe it to what the URL names."""
    context.counters.ways["websocket"].requests += 1
    if not exchange.can_tunnel:
        exchange.respond(
            problem_response(
                Problem(426, "this way needs a WebSocket handshake"),
                (("Upgrade", "websocket"), ("Connection", "Upgrade")),
            )
        )
        return
    handshake = _handshake(exchange.request)
    packing = _packing(exchange.request) if context.settings.compress else ""
    offered = [p.strip() for p in exchange.request.header("sec-websocket-protocol").split(",")]
    talks = PROTOCOL in offered
    selected = bool(query.selector.text)
    if not selected and not talks:
        raise Problem(400, f"name a topic, or offer the subprotocol {PROTOCOL}")
    if context.draining:
        raise Problem(503, "the server is stopping", retry_after=1)
    start = resume_point(
        context.hub, query.selector, header=query.header, since=query.since, last=query.last
    )
    ended = selected and has_ended(context, query, start)
    encoder = WebSocketEncoder("json" if talks else query.format, packed=bool(packing))
    session = Session(context, exchange, packed=bool(packing))
    subscriber = None
    cursor = context.hub.id(context.hub.head)
    if selected and not ended:
        feed = context.feeds.feed(query.selector, encoder, query.options(start))
        subscriber = Subscriber(feed, session, start)
        segment = subscriber.first()
        cursor = start.header(context.hub, segment.first, segment.position)
    headers: Headers = (
        *handshake,
        ("Hexcast-Way", "websocket"),
        ("Hexcast-Cursor", cursor),
    )
    if talks:
        headers = (*headers, ("Sec-WebSocket-Protocol", PROTOCOL))
    if packing:
        headers = (*headers, ("Sec-WebSocket-Extensions", packing))
    session.open(exchange.tunnel(headers, session), subscriber)
    if talks:
        session.conversation = Conversation(context, session, encoder, query, start)
    if start.gap is not None:
        context.counters.ways["websocket"].gaps += 1
        session.write(encoder.gap(start.gap))
    if ended:
        session.close(CloseCode.NORMAL_CLOSURE, "the topic has ended")
    elif subscriber is not None:
        if segment.chunk:
            session.write(segment.chunk)
        if segment.end:
            session.ended()
        else:
            subscriber.go(session.write)


def _handshake(request: Request) -> Headers:
    """The answer to the client's key (4.2.2). Raises Problem where the handshake is not one.

    Over HTTP/2 there is neither a key nor an answer to it (RFC 8441, 5.1).
    """
    if request.method != "GET":
        raise Problem(405, "a WebSocket is opened with GET", allow="GET")
    if request.header("sec-websocket-version") != "13":
        raise Problem(400, "only WebSocket version 13 is spoken here", websocket_version="13")
    if request.version == "2":
        return ()
    key = request.header("sec-websocket-key")
    try:
        if len(base64.b64decode(key, validate=True)) != 16:
            raise Problem(400, "Sec-WebSocket-Key is not 16 bytes")
    except ValueError:  # of base64, or of what is not ASCII
        raise Problem(400, "Sec-WebSocket-Key is not base64") from None
    accept = base64.b64encode(hashlib.sha1(key.encode() + _GUID).digest()).decode()
    return (
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Accept", accept),
    )


def _packing(request: Request) -> str:
    """The agreement to compress messages; empty for none. Raises Problem 400 for nonsense."""
    try:
        return frames.agree_on_packing(request.header("sec-websocket-extensions"))
    except ValueError as error:
        raise Problem(400, f"Sec-WebSocket-Extensions: {error}") from None


class Session(PerClient):
    """One client's WebSocket: the tunnel's bytes, its subscriber, and its closing handshake."""

    __slots__ = (
        "closing", "context", "conversation", "exchange", "heard", "hearing", "held", "packed",
        "paused", "receiver", "still", "subscriber", "write",
    )  # fmt: skip

    def __init__(self, context: Context, exchange: Exchange, *, packed: bool = False) -> None:
        self.packed = packed  # messages may be compressed
        self.context = context
        self.exchange = exchange
        self.write: Callable[[bytes], None] = _nowhere
        self.subscriber: Subscriber | None = None
        self.conversation: Conversation | None = None
        self.receiver: frames.Receiver | None = None  # while a frame or message is under way
        self.hearing = True  # it may still send: no close, and no violation, has come
        self.heard = True  # anything since the last ping
        self.held = 0  # bytes of the message under way
        self.still = 0  # pings since it moved
        self.paused = False
        self.closing = False  # our close frame is sent

    def open(self, write: Callable[[bytes], None], subscriber: Subscriber | None) -> None:
        """The handshake is done."""
        self.write = write
        self.subscriber = subscriber
        self.exchange.handler = self
        self.context.counters.ways["websocket"].clients += 1
        self.exchange.set_deadline(PING_SECONDS)

    # From the client

    def feed(self, data: bytes) -> None:
        self.heard = True
        self._feed(data)
        held = self.receiver.held if self.receiver is not None else 0
        if held or self.held:
            if held != self.held:
                self.still = 0
            self.held = held
            self.exchange.set_buffered(held)

    def _feed(self, data: bytes) -> None:
        if not self.hearing:
            return
        receiver = self.receiver
        if receiver is None:
            receiver = self.receiver = frames.Receiver(
                self.context.settings.body_limit, packed=self.packed
            )
        try:
            for event in receiver.feed(data):
                if isinstance(event, frames.Ping):
                    if not self.closing:
                        self.write(frames.pong(event.data))
                elif isinstance(event, frames.Closed):
                    self._closed(event)
                    return
                elif isinstance(event, frames.Message) and not self.closing:
                    self._message(event)
        except frames.Violation as violation:
            self.hearing = False
            self.receiver = None
            self.close(violation.code, violation.reason)
        else:
            if receiver.idle:
                self.receiver = None

    def _message(self, message: frames.Message) -> None:
        if self.conversation is None:
            self.close(CloseCode.UNSUPPORTED_DATA, "this WebSocket takes no messages")
        elif not message.is_text:
            self.close(CloseCode.UNSUPPORTED_DATA, "messages are JSON text")
        else:
            self.conversation.take(message.data)

    def _closed(self, event: frames.Closed) -> None:
        self.hearing = False
        self.receiver = None
        if not self.closing:
            code = event.code if event.code != CloseCode.NO_STATUS_RCVD else 1000
            self.close(code, "")
        self.exchange.close()

    def eof(self) -> None:
        self.exchange.close()

    # To the client

    def close(self, code: int, reason: str) -> None:
        """Begin the closing handshake (7.1.2): nothing is sent after it."""
        if self.closing:
            return
        self.closing = True
        self._let_go()
        self.write(frames.close(code, reason))
        self.exchange.resume_reading()
        self.exchange.set_deadline(CLOSE_SECONDS)

    def ended(self) -> None:
        if self.conversation is not None and self.conversation.goes_on():
            return
        self.close(CloseCode.NORMAL_CLOSURE, "the topic has ended")

    def replayed(self) -> None:
        if self.conversation is not None:
            self.conversation.replayed()

    # As the owner of the exchange

    def pause(self) -> None:
        self.paused = True
        if self.subscriber is not None:
            self.subscriber.pause()
        if self.conversation is not None:
            self.conversation.mind_reading()

    def resume(self) -> None:
        self.paused = False
        if self.subscriber is not None:
            self.subscriber.resume()
        if self.conversation is not None:
            self.conversation.mind_reading()

    def timeout(self) -> None:
        """Ping, and give up on who has not answered the last one (5.5.2)."""
        if self.closing:
            self.exchange.abort()
            return
        if not self.paused:
            if not self.heard:
                self.close(CloseCode.INTERNAL_ERROR, "no answer to a ping")
                return
            if self.receiver is not None:
                self.still += 1
                if self.still * PING_SECONDS > STILL_SECONDS:
                    self.close(CloseCode.POLICY_VIOLATION, "the message took too long")
                    return
            self.heard = False
            self.write(frames.ping())
            if self.conversation is not None:
                self.conversation.report_position()
        self.exchange.set_deadline(PING_SECONDS)

    def drain(self) -> None:
        self.close(CloseCode.SERVICE_RESTART, "the server is stopping")

    def disconnected(self) -> None:
        self.closing = True
        self.hearing = False
        self.receiver = None
        self._let_go()
        self.context.counters.ways["websocket"].clients -= 1

    def _let_go(self) -> None:
        if self.conversation is not None:
            self.conversation.over()
            self.conversation = None
        subscriber, self.subscriber = self.subscriber, None
        if subscriber is not None:
            subscriber.leave()


def _nowhere(data: bytes) -> None:
    raise RuntimeError("a session writes only once it is open")
