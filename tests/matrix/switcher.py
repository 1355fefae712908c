"""A client with one cursor, whose connections are cut at random and which returns over any way.

It holds a selector and a cursor, nothing else, and checks each record as it comes: ids rise, no
record comes twice, the records of a stream come in the order they were published. A visit is one
connection; it ends at a byte or a moment chosen beforehand, wherever in the protocol that may be.
"""

from __future__ import annotations

import asyncio
import base64
import html
import json
import random
import re
import socket
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from harness import Server, request_bytes, upgrade_fields
from wire import (
    CLOSE,
    PING,
    PONG,
    TEXT,
    Body,
    Decoder,
    Event,
    Frame,
    Head,
    SseParser,
    WsParser,
    parse_head,
    seq,
    ws_frame,
)

WAYS = ("sse", "websocket", "hexcast.v1", "long-poll", "poll", "refresh")

ANSWER = 20.0
"""Seconds within which the first byte of an answer that is not held must come."""

NUMBER = re.compile(r"n=(\d+);")


class Fault(AssertionError):
    """The server broke a guarantee (contract 5)."""


@dataclass(frozen=True)
class Selector:
    """What a client follows: the ways to write it, and the topics it comes to."""

    targets: tuple[str, ...]
    """Paths with query, without a cursor: all select the same."""
    names: tuple[str, ...]
    """Topics and patterns, as a `subscribe` message has them."""
    streams: tuple[str, ...] = ()
    states: tuple[str, ...] = ()


@dataclass
class Cut:
    """Where a visit ends."""

    size: int
    seconds: float
    slow: bool = False
    sighted: bool = False
    """Count the seconds from the first byte that comes, not from the request."""

    @classmethod
    def at_random(cls, chance: random.Random, slow: bool, sighted: bool) -> Cut:
        size = chance.choice(
            [
                *([] if sighted else [0]),
                chance.randint(1, 250),
                chance.randint(250, 900),
                chance.randint(900, 6000),
                400_000,
            ]
        )
        return cls(size, chance.choice([0.002, 0.03, 0.1, chance.uniform(0.1, 0.6)]), slow, sighted)


@dataclass
class Switcher:
    """One client. `done` says when it has all that was published."""

    name: str
    server: Server
    selector: Selector
    chance: random.Random
    cursor: str
    slow: bool = False
    gaps_allowed: bool = False
    seen: dict[str, list[tuple[int, str]]] = field(default_factory=dict)
    """Of each topic, the number and id of each record, as they came."""
    gaps: list[dict[str, Any]] = field(default_factory=list)
    top: int = 0
    """The SEQ of the newest record or cursor so far."""
    cuts: int = 0
    visits: Counter[str] = field(default_factory=Counter)
    codings: Counter[str] = field(default_factory=Counter)
    glimpsed: dict[str, int] = field(default_factory=dict)
    """Of each state, the newest value that a page showed."""
    unheard: bool = False
    """The last visit was cut before a byte came. The next one waits for its first byte, or cut
    connections pile up before a busy server faster than it can find them dead."""
    history: list[str] = field(default_factory=list)
    """The visits, and what came in them, for the message of a fault."""

    # --- what comes ---

    def fault(self, what: str) -> Fault:
        return Fault(
            f"{self.name} ({self.selector.targets[0]}): {what}\n" + "\n".join(self.history[-30:])
        )

    def take_record(self, topic: str, record_id: str, op: str, data: str) -> None:
        number = NUMBER.match(data)
        if not number:
            raise self.fault(f"data that was never published: {data[:80]!r}")
        self.history.append(f"    {record_id} {topic} {op} n={number[1]}")
        if topic not in (*self.selector.streams, *self.selector.states):
            raise self.fault(f"{topic} was not asked for")
        if seq(record_id) <= self.top:
            raise self.fault(f"{record_id} of {topic} after {self.top}: twice, or out of order")
        expected = "post" if topic in self.selector.streams else "put"
        if op != expected:
            raise self.fault(f"op {op} on {topic}")
        had = self.seen.setdefault(topic, [])
        n = int(number[1])
        previous = had[-1][0] if had else -1
        if n <= previous:
            raise self.fault(f"{topic}: number {n} after {previous}")
        if topic in self.selector.streams and n != previous + 1 and not self.gaps_allowed:
            raise self.fault(f"{topic}: number {n} ({record_id}) after {previous}: lost")
        had.append((n, record_id))
        self.top = seq(record_id)
        self.cursor = record_id

    def take_json(self, record: dict[str, Any]) -> None:
        self.take_record(record["topic"], record["id"], record["op"], record["data"])

    def take_gap(self, gap: dict[str, Any]) -> None:
        if not self.gaps_allowed:
            raise self.fault(f"a gap, though all is held: {gap}")
        if set(gap["topics"]) - set(self.selector.streams) or not gap["topics"]:
            raise self.fault(f"a gap of what was not asked for, or is no stream: {gap}")
        self.gaps.append(gap)

    def take_cursor(self, cursor: str) -> None:
        self.history.append(f"    cursor {cursor}")
        if seq(cursor) < self.top:
            raise self.fault(f"the cursor goes back: {cursor} after {self.top}")
        self.top = seq(cursor)
        self.cursor = cursor

    def take_event(self, event: Event, one: str | None) -> None:
        """One server-sent event; `one` is the topic of a raw stream."""
        if event.data is None:
            return
        if event.event == "hexcast:gap":
            self.take_gap(event.json())
        elif event.event == "hexcast:cursor":
            self.take_cursor(event.id or "")
        elif event.event is not None:
            raise self.fault(f"an event that was never published: {event}")
        elif one is None:
            record = event.json()
            if record["id"] != event.id:
                raise self.fault(f"two ids: {event}")
            self.take_json(record)
        else:
            op = "post" if one in self.selector.streams else "put"
            self.take_record(one, event.id or "", op, event.data)

    def take_message(self, message: dict[str, Any]) -> None:
        if "gap" in message:
            self.take_gap(message["gap"])
        elif "ok" in message or list(message) == ["cursor"]:
            self.take_cursor(message["cursor"])
        elif "error" in message:
            raise self.fault(f"{message}")
        else:
            self.take_json(message)

    # --- visits ---

    async def visit(self, way: str, cut: Cut) -> None:
        """One connection over one way, up to the cut."""
        if way == "refresh" and not self.selector.states:
            way = "poll"
        self.visits[way] += 1
        self.history.append(f"{way} since {self.cursor} cut at {cut.size} B or {cut.seconds:.3f} s")
        sock = socket.socket()
        sock.setblocking(False)
        if cut.slow:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        writer: asyncio.StreamWriter | None = None
        try:
            loop = asyncio.get_running_loop()
            async with asyncio.timeout(10):
                await loop.sock_connect(sock, (self.server.host, self.server.port))
                reader, writer = await asyncio.open_connection(
                    sock=sock, limit=512 if cut.slow else 2**16
                )
            self.unheard = True
            try:
                async with asyncio.timeout(ANSWER if cut.sighted else cut.seconds) as limit:
                    await self._converse(way, cut, reader, writer, limit)
            except TimeoutError:
                if cut.sighted and self.unheard:
                    raise self.fault(f"{way}: no answer within {ANSWER} s") from None
                self.cuts += 1
        finally:
            if writer is None:
                sock.close()
            else:
                writer.transport.abort()

    async def _converse(
        self, way: str, cut: Cut, reader: asyncio.StreamReader, writer: asyncio.StreamWriter,
        limit: asyncio.Timeout,
    ) -> None:  # fmt: skip
        incoming = Incoming(self, way, writer.write)
        writer.write(incoming.request())
        left = cut.size
        while left:
            size = min(left, self.chance.randint(1, 500) if cut.slow else 65536)
            data = await reader.read(size)
            if not data:
                raise self.fault(f"{way}: the server closed after {incoming.got[-300:]!r}")
            if self.unheard and cut.sighted:
                limit.reschedule(asyncio.get_running_loop().time() + cut.seconds)
            self.unheard = False
            left -= len(data)
            if incoming.feed(data):
                return  # a poll that was answered in full: nothing was cut
            if cut.slow:
                await asyncio.sleep(self.chance.uniform(0, 0.02))
        self.cuts += 1

    def done(self, published: dict[str, list[str]]) -> bool:
        """Whether it has the last number of every topic it follows."""
        return all(
            not published[topic]
            or (self.seen.get(topic) and self.seen[topic][-1][0] == len(published[topic]) - 1)
            for topic in (*self.selector.streams, *self.selector.states)
        )


class Incoming:
    """What arrives on one connection, parsed as far as it has come."""

    def __init__(self, client: Switcher, way: str, write: Callable[[bytes], None]) -> None:
        self.client = client
        self.way = way
        self.write = write
        self.got = b""
        self.head: Head | None = None
        self.body: Body | None = None
        self.whole = b""
        self.decoder = Decoder("")
        self.sse = SseParser()
        self.ws = WsParser()
        self.one: str | None = None
        self.subscribe = False
        self.state = ""

    def request(self) -> bytes:
        """A request of the way, for plain or compressed bytes."""
        request = self._request()
        offer = self.client.chance.choice(("", "", "gzip", "zstd", "gzip, deflate, br, zstd"))
        if not offer:
            return request
        line = f"Accept-Encoding: {offer}"
        if self.way in ("websocket", "hexcast.v1"):
            line = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"
        head, end, rest = request.partition(b"\r\n\r\n")
        return head + b"\r\n" + line.encode() + end + rest

    def _request(self) -> bytes:
        """A request of the way, with the client's cursor in one of the places for it."""
        client = self.client
        chance = client.chance
        target = chance.choice(client.selector.targets)
        fields: list[tuple[str, str]] = []
        topics = (*client.selector.streams, *client.selector.states)
        if self.way == "refresh":
            self.state = chance.choice(client.selector.states)
            target = "/topics/" + quote(self.state) + chance.choice(["?way=refresh", ""])
            return request_bytes(client.server, "GET", target, {"Accept": "text/html"})
        if self.way == "hexcast.v1" and chance.random() < 0.5:
            self.subscribe = True
            target = "/topics"
        elif self.way in ("sse", "poll", "long-poll") and chance.random() < 0.5:
            if client.cursor != "earliest":
                fields.append(("Last-Event-ID", client.cursor))
                # The place where the page once began, as EventSource repeats it.
                target = _with(target, "since=earliest")
            else:
                target = _with(target, f"since={client.cursor}")
        else:
            target = _with(target, f"since={client.cursor}")
        if self.way == "sse":
            fields.append(("Accept", "text/event-stream"))
            if len(topics) == 1 and "*" not in target and "topic=" not in target:
                if chance.random() < 0.5:
                    self.one = topics[0]
                else:
                    target = _with(target, "format=json")
        elif self.way == "websocket":
            target = _with(target, "format=json")
        elif self.way == "poll":
            target = _with(target, f"way=poll&limit={chance.choice([1, 7, 100, 1000])}")
        elif self.way == "long-poll":
            target = _with(
                target, f"wait={chance.choice([1, 20])}&limit={chance.choice([3, 1000])}"
            )
        if self.way in ("websocket", "hexcast.v1"):
            key = base64.b64encode(chance.randbytes(16)).decode()
            fields += upgrade_fields(key, "hexcast.v1" if self.way == "hexcast.v1" else "")
        return request_bytes(client.server, "GET", target, fields)

    def feed(self, data: bytes) -> bool:
        """Take what has come. True when an answer is complete and nothing more is expected."""
        self.got += data if len(self.got) < 4096 else b""
        if self.head is None:
            self.whole += data
            block, found, rest = self.whole.partition(b"\r\n\r\n")
            if not found:
                return False
            self.head, self.whole = parse_head(block), b""
            self._begin(self.head)
            data = rest
        if self.body is None:
            for frame in self.ws.feed(data):
                self._frame(frame)
            return False
        content = self.decoder.feed(self.body.feed(data))
        if self.way == "sse":
            for event in self.sse.feed(content):
                self.client.take_event(event, self.one)
            if self.body.done:
                raise self.client.fault("the event stream ended")
            return False
        self.whole += content
        if self.body.done:
            self._answer(self.head)
        return self.body.done

    def _begin(self, head: Head) -> None:
        client = self.client
        upgraded = self.way in ("websocket", "hexcast.v1")
        if head.status != (101 if upgraded else 200):
            raise client.fault(f"{self.way}: {head.status}")
        expected = "websocket" if upgraded else self.way
        if head.get("hexcast-way") != expected:
            raise client.fault(f"asked for {expected}, got {head.get('hexcast-way')}")
        coding = head.get("content-encoding")
        packed = "sec-websocket-extensions" in head
        client.codings["deflate" if packed else coding] += 1
        self.ws.packed = packed
        self.decoder = Decoder(coding)
        if not upgraded:
            self.body = Body(head, "GET")
        elif self.subscribe:
            message: dict[str, Any] = {
                "subscribe": list(client.selector.names), "since": client.cursor, "ref": "s",
            }  # fmt: skip
            self.write(ws_frame(TEXT, json.dumps(message).encode()))
        # Where a stream begins is as good a cursor as the one it was asked with.
        adopt = self.way in ("sse", "websocket") and client.chance.random() < 0.5
        if adopt and client.cursor != "earliest":
            client.take_cursor(head.get("hexcast-cursor"))

    def _frame(self, frame: Frame) -> None:
        if frame.opcode == PING:
            self.write(ws_frame(PONG, frame.payload))
        elif frame.opcode == CLOSE:
            raise self.client.fault(f"{self.way}: closed with {frame.payload!r}")
        elif frame.opcode == TEXT and frame.fin:
            self.client.take_message(json.loads(frame.payload))
        else:
            raise self.client.fault(f"{self.way}: {frame}")

    def _answer(self, head: Head) -> None:
        client = self.client
        if self.way == "refresh":
            numbers = NUMBER.findall(html.unescape(self.whole.decode()))
            if not numbers:
                raise client.fault(f"a page without the value: {self.whole[:300]!r}")
            shown, had = int(numbers[0]), client.seen.get(self.state, [(-1, "")])
            before = max(had[-1][0], client.glimpsed.get(self.state, -1))
            if shown < before:
                raise client.fault(f"{self.state}: the page shows {shown}, but {before} was there")
            client.glimpsed[self.state] = shown
            return
        batch = json.loads(self.whole)
        if batch["gap"]:
            client.take_gap(batch["gap"])
        for record in batch["records"]:
            client.take_json(record)
        client.take_cursor(batch["cursor"])


def _with(target: str, parameter: str) -> str:
    return f"{target}{'&' if '?' in target else '?'}{parameter}"
