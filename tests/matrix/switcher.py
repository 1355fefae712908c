"""A client with one cursor, whose connections are cut at random and which returns over any way.

It holds a selector and a cursor, nothing else, and checks each record as it comes: ids rise, no
record comes twice, the records of a stream come in the order they were published. A visit is one
connection; it ends at a byte or a moment chosen beforehand, wherever in the protocol that may be.
"""

from __future__ import annotations

import asyncio
import random
import socket
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tests.support.harness import Server
from tests.support.wire import Event, seq

from .incoming import NUMBER, Incoming
from .incoming_h2 import H2Incoming

WAYS = ("sse", "websocket", "hexcast.v1", "long-poll", "poll", "push", "refresh")

# Those that make sure to get everything in the end.
WHOLE_WAYS = WAYS[:6]

ANSWER = 20.0
"""Seconds within which the first byte of an answer that is not held must come."""


class Fault(AssertionError):
    """The server broke a guarantee (protocol 5)."""


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
    versions: Counter[str] = field(default_factory=Counter)
    """Visits by the version of HTTP."""
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
        http2 = way == "push" or self.chance.random() < 0.4
        self.versions["2" if http2 else "1.1"] += 1
        incoming = (H2Incoming if http2 else Incoming)(self, way, writer.write)
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
