"""Stand-ins for what the core is given from outside: time, a scheduler, a socket, an exchange.

None of them does I/O, so that a test decides what happens when.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any

from hexcast.access.origin import Access
from hexcast.feed.encoding import StreamEncoder
from hexcast.feed.registry import Feeds
from hexcast.http.context import ServerContext
from hexcast.http.exchange import Exchange, Plan, Tunnel, chunk
from hexcast.http.h1.connection import H1Connection
from hexcast.http.request import Request
from hexcast.http.response import Headers, Response
from hexcast.hub.history import History
from hexcast.hub.hub import Hub
from hexcast.log.base import Log, Outcome
from hexcast.log.memory import MemoryLog
from hexcast.model.caller import Caller
from hexcast.model.counters import Counters
from hexcast.model.problem import Problem
from hexcast.model.record import Draft, Gap, Published, Record
from hexcast.server.routes import App
from hexcast.settings import Settings
from hexcast.ways.context import Context

EPOCH = "e1"


class Clock:
    """Seconds that go on only when a test says so."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def ms(self) -> int:
        return int(self.now * 1000)


class Soon:
    """A scheduler that runs what it was given when it is told to."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[], None]] = []
        self.after: list[tuple[float, Callable[[], None]]] = []

    def __call__(self, call: Callable[[], None]) -> None:
        self.waiting.append(call)

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        """Keep what is to run after a time, until the test says that it has come."""
        self.after.append((seconds, call))

    def elapse(self) -> None:
        """Let the time come of everything that waits for it."""
        after, self.after = self.after, []
        for _, call in after:
            call()

    def one(self) -> bool:
        """Run the oldest; False where there is none."""
        if not self.waiting:
            return False
        self.waiting.pop(0)()
        return True

    def all(self, most: int = 100_000) -> None:
        """Run until nothing is left."""
        while self.one():
            most -= 1
            assert most, "what is scheduled never comes to an end"


def make_history(
    records: int = 10_000, size: int = 2**23, seconds: float = 86_400.0, total: int = 2**29
) -> History:
    return History(records, size, seconds, total)


def make_hub(
    history: History | None = None,
    clock: Clock | None = None,
    log: Log | None = None,
) -> Hub:
    clock = clock or Clock()
    hub = Hub(log or MemoryLog(EPOCH, clock.ms), history or make_history(), clock.ms, clock)
    at_once(hub.start())
    return hub


def age(hub: Hub, clock: Clock, seconds: float) -> None:
    """Let time pass, as a hub learns of it: by sweeps."""
    hub.sweep()
    clock.now += seconds
    hub.sweep()


def at_once(work: Coroutine[Any, Any, None]) -> None:
    """Run what waits for nothing."""
    try:
        work.send(None)
    except StopIteration:
        return
    raise AssertionError("it waits")


def tell(hub: Hub, draft: Draft) -> Outcome:
    """Publish one draft and give back what became of it."""
    outcomes: list[Outcome] = []
    hub.publish([draft], outcomes.extend)
    assert len(outcomes) == 1
    return outcomes[0]


def accepted(outcome: Outcome) -> Published:
    assert isinstance(outcome, Published), outcome
    return outcome


def refused(outcome: Outcome) -> Problem:
    assert isinstance(outcome, Problem), outcome
    return outcome


def post(hub: Hub, topic: str, data: bytes = b"x", **more: Any) -> int:
    """Post a record and give back its SEQ."""
    more.setdefault("type", "text/plain")
    return int(accepted(tell(hub, Draft(topic, "post", data, **more))).id.rpartition("-")[2])


def put(hub: Hub, topic: str, data: bytes = b"x", **more: Any) -> int:
    """Set a state and give back its SEQ."""
    more.setdefault("type", "text/plain")
    return int(accepted(tell(hub, Draft(topic, "put", data, **more))).id.rpartition("-")[2])


def delete(hub: Hub, topic: str) -> int:
    return int(accepted(tell(hub, Draft(topic, "delete"))).id.rpartition("-")[2])


class LineForm(StreamEncoder):
    """A wire form that a test reads back: a JSON object a line."""

    way = "sse"

    def __init__(self) -> None:
        super().__init__(())

    def encode(self, record: Record) -> bytes:
        said = {"seq": record.seq, "topic": record.topic, "op": record.op, "n": len(record.data)}
        return json.dumps({**said, "data": record.data[:80].decode("latin-1")}).encode() + b"\n"

    def gap(self, gap: Gap) -> bytes:
        said = {"after": gap.after, "before": gap.before, "topics": list(gap.topics)}
        return json.dumps({"gap": said}).encode() + b"\n"


class Reader:
    """A client of a feed: what it was written, whether it was told of an end or a replay's end."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []
        self.ends = 0
        self.replays = 0

    def write(self, data: bytes) -> None:
        self.lines += map(json.loads, data.splitlines())

    def ended(self) -> None:
        self.ends += 1

    def replayed(self) -> None:
        self.replays += 1

    @property
    def seqs(self) -> list[int]:
        return [line["seq"] for line in self.lines if "seq" in line]

    @property
    def gaps(self) -> list[dict[str, Any]]:
        return [line["gap"] for line in self.lines if "gap" in line]


class Sent(Exchange):
    """An exchange that keeps what is sent over it."""

    def __init__(
        self, request: Request | None = None, *, tunnels: bool = False, framed: bool = False
    ) -> None:
        super().__init__(request or Request("GET", b"/", ()), Caller(), chunk if framed else bytes)
        self.response: Response | None = None
        self.status = 0
        self.head: Headers = ()
        self.pieces: list[bytes] = []
        self.finished = False
        self.aborted = False
        self.closed = False
        self.reading = True
        self.alarm = 0.0
        self.tunnels = tunnels
        self.on_write: Callable[[bytes], None] | None = None

    @property
    def body(self) -> bytes:
        return b"".join(self.pieces)

    def _write(self, data: bytes) -> None:
        assert not self.finished, "written after the end"
        self.pieces.append(data)
        if self.on_write is not None:
            self.on_write(data)

    def respond(self, response: Response) -> None:
        assert self.response is None and not self.status, "answered twice"
        self.response, self.status, self.head = response, response.status, response.headers
        self.pieces.append(response.body)
        self.finished = True
        self.handler = self.body_reader = None

    def start(self, status: int, headers: Headers) -> Callable[[bytes], None]:
        assert not self.status, "begun twice"
        self.status, self.head = status, headers
        return self._write

    def finish(self) -> None:
        self.finished = True
        self.handler = self.body_reader = None

    def tunnel(self, headers: Headers, tunnel: Tunnel) -> Callable[[bytes], None]:
        assert not self.status
        self.status, self.head = 101, headers
        return self._write

    @property
    def can_tunnel(self) -> bool:
        return self.tunnels

    def set_deadline(self, seconds: float) -> None:
        self.alarm = seconds

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def abort(self) -> None:
        self.aborted = True

    def close(self) -> None:
        self.closed = True

    def header(self, name: str) -> str:
        return dict(self.head).get(name, "")


class World:
    """A whole server but for sockets, event loop and clocks."""

    def __init__(
        self,
        settings: Settings | None = None,
        access: Access | None = None,
        log: Log | None = None,
    ) -> None:
        self.settings = settings or Settings()
        self.clock = Clock()
        self.soon = Soon()
        self.counters = Counters()
        self.history = History(
            self.settings.hold_records,
            self.settings.hold_bytes,
            self.settings.hold_seconds,
            self.settings.hold_total,
        )
        self.hub = make_hub(self.history, self.clock, log)
        self.feeds = Feeds(self.hub, self.counters, self.soon, self.clock, self.soon.later)
        self.context = Context(self.hub, self.feeds, self.counters, self.settings)
        self.access = access or Access(frozenset(), frozenset())
        self.app = App(self.context, self.access)
        self.server = ServerContext(
            self.access.identify, self.app.plan, self.counters, self.clock, self.clock
        )

    def request(
        self, method: str, target: str, headers: dict[str, str] | None = None, version: str = "1.1"
    ) -> Request:
        fields = {"host": "localhost", **{k.lower(): v for k, v in (headers or {}).items()}}
        return Request(method, target.encode("latin-1"), fields.items(), version=version)

    def plan(self, request: Request) -> Plan:
        try:
            return self.app.plan(request, Caller())
        except Problem as problem:
            from hexcast.http.problems import refusal

            return refusal(problem)

    def ask(
        self,
        target: str,
        headers: dict[str, str] | None = None,
        *,
        method: str = "GET",
        body: bytes = b"",
        tunnels: bool = False,
    ) -> Sent:
        """Run one request and give back the exchange as it is then."""
        request = self.request(method, target, headers)
        exchange = Sent(request, tunnels=tunnels)
        try:
            self.plan(request).run(exchange, body)
        except Problem as problem:
            from hexcast.http.problems import problem_response

            exchange.respond(problem_response(problem))
        return exchange

    def connect(self, high: int = 65_536) -> Wire:
        """A client's HTTP/1.1 connection, with a socket that takes all until told otherwise."""
        return Wire(self, high)

    def pass_time(self, seconds: float) -> None:
        """Let time go on as the server's clock does, a quarter of a second at a time."""
        until = self.clock.now + seconds
        while self.clock.now < until:
            self.clock.now += 0.25
            self.server.tick()
            self.soon.all()


class Wire(asyncio.Transport):
    """The server's end of a connection: what was written, and the flow control of a socket."""

    def __init__(self, world: World, high: int = 65_536) -> None:
        super().__init__()
        self.world = world
        self.out = bytearray()
        self.unsent = 0  # bytes that the client has not read
        self.high = high
        self.taking = True  # the client reads
        self.full = False
        self.reading = True
        self.ended = False  # its writing half is closed
        self.closing = False
        self.gone = False
        self.connection = H1Connection(world.server)
        self.connection.connection_made(self)

    # What the test does

    def send(self, data: bytes) -> None:
        """Bytes from the client."""
        assert not self.gone
        self.connection.data_received(data)

    def stop_taking(self) -> None:
        self.taking = False

    def take(self) -> bytes:
        """The client reads all there is, and goes on reading."""
        self.taking, self.unsent = True, 0
        if self.full:
            self.full = False
            self.connection.resume_writing()
        if self.closing:
            self._lost()
        return bytes(self.out)

    def drop(self) -> None:
        """The client is gone."""
        self._lost()

    # What the server does

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.closing and not self.ended, "written after the end"
        if self.gone:
            return
        self.out += data
        if not self.taking:
            self.unsent += len(data)
            if self.unsent > self.high and not self.full:
                self.full = True
                self.connection.pause_writing()

    def close(self) -> None:
        if not self.closing:
            self.closing = True
            if not self.unsent:
                self.world.soon(self._lost)

    def abort(self) -> None:
        self.closing = True
        self.world.soon(self._lost)

    def is_closing(self) -> bool:
        return self.closing

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.ended = True

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def _lost(self) -> None:
        if not self.gone:
            self.gone = self.closing = True
            self.connection.connection_lost(None)
