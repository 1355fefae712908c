"""Plans: judged for each request, values that are shared, and answers that come later."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import msgspec
import pytest
from h2.events import DataReceived, StreamEnded

from hexcast.http.exchange import Body, Exchange, Plan
from hexcast.http.request import Request
from hexcast.http.response import Response
from hexcast.model.caller import Caller
from hexcast.model.problem import Problem
from tests.http.h1.test_connection import answers
from tests.http.h2.test_time import Bench
from tests.support.fakes import World

GET = b"GET /topics/s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer t\r\n\r\n"
POST = b"POST /topics/s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%b"

Judge = Callable[[Request, Caller], Plan]


def served(judge: Judge) -> World:
    world = World()
    world.server.plan = judge
    return world


def respond(exchange: Exchange, body: bytes) -> None:
    exchange.respond(Response(200, (), body or exchange.caller.subject.encode()))


class Later:
    """A plan that waits for a decision before it runs the plan that it stands for."""

    def __init__(self, plan: Plan) -> None:
        self.inner = plan
        self.waiting: list[tuple[Exchange, bytes]] = []

    def plan(self, request: Request, caller: Caller) -> Plan:
        return msgspec.structs.replace(self.inner, run=self._wait)

    def _wait(self, exchange: Exchange, body: bytes) -> None:
        if self.inner.body is Body.STREAM:
            exchange.pause_reading()
        self.waiting.append((exchange, body))

    def decide(self) -> None:
        exchange, body = self.waiting.pop(0)
        self.inner.run(exchange, body)
        if self.inner.body is Body.STREAM:
            exchange.resume_reading()


class Collector:
    """Reads a body as it comes and answers with the whole."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.body = b""

    def feed(self, data: bytes) -> None:
        self.body += data

    def eof(self) -> None:
        self.exchange.respond(Response(200, (), self.body))


def collect(exchange: Exchange, body: bytes) -> None:
    exchange.body_reader = Collector(exchange)


def test_equal_requests_are_judged_each_time() -> None:
    callers = iter([Caller("ann"), Caller("bob"), Caller("ann", rights=frozenset())])
    judged: list[str] = []

    def judge(request: Request, caller: Caller) -> Plan:
        judged.append(caller.subject)
        if "read" not in caller.rights:
            raise Problem(403, "no")
        return Plan(respond)

    world = served(judge)
    world.server.identify = lambda request, address: next(callers)
    wire = world.connect()
    for _ in range(3):
        wire.send(GET)
    assert [a[0] for a in answers(bytes(wire.out))] == [200, 200, 403]
    assert [b for _, b in answers(bytes(wire.out))][:2] == [b"ann", b"bob"]
    assert judged == ["ann", "bob", "ann"]


def test_a_token_that_ends_is_refused_over_the_same_connection() -> None:
    world = World()
    now = 0

    def judge(request: Request, caller: Caller) -> Plan:
        if now > 3600:
            raise Problem(401, "the token has expired")
        return Plan(respond)

    world.server.plan = judge
    wire = world.connect()
    for _ in range(100):
        wire.send(GET)
    now = 4000
    wire.send(GET)
    found = [status for status, _ in answers(bytes(wire.out))]
    assert found == [200] * 100 + [401]


def test_a_plan_and_a_caller_cannot_be_changed() -> None:
    for value, name in ((Plan(respond), "run"), (Caller(), "rights")):
        with pytest.raises(AttributeError):
            setattr(value, name, None)


def test_an_answer_that_comes_later_keeps_the_order_of_pipelined_requests() -> None:
    later = Later(Plan(respond, Body.WHOLE, 100))
    world = served(later.plan)
    wire = world.connect()
    wire.send(POST % (3, b"one") + POST % (3, b"two") + POST % (5, b"three"))
    assert wire.out == b"" and len(later.waiting) == 1
    while later.waiting:
        later.decide()
    assert [body for _, body in answers(bytes(wire.out))] == [b"one", b"two", b"three"]
    assert wire.reading and not wire.closing


@pytest.mark.parametrize("arrived", ["head", "part", "whole"])
def test_a_streamed_body_waits_for_a_plan_that_runs_later(arrived: str) -> None:
    later = Later(Plan(collect, Body.STREAM))
    world = served(later.plan)
    wire = world.connect()
    message = POST % (10, b"0123456789") + POST % (3, b"end")
    cut = {"head": len(message) - 13 - len(POST % (3, b"")), "part": 80, "whole": len(message)}
    wire.send(message[: cut[arrived]])
    assert len(later.waiting) == 1 and wire.out == b"" and not wire.reading
    later.decide()
    assert wire.reading or arrived == "whole"
    if arrived != "whole":
        wire.send(message[cut[arrived] :])
    later.decide()
    assert [body for _, body in answers(bytes(wire.out))] == [b"0123456789", b"end"]
    assert wire.reading


def test_a_client_that_leaves_before_the_answer_gets_none() -> None:
    later = Later(Plan(respond))
    world = served(later.plan)
    wire = world.connect()
    wire.send(GET)
    wire.drop()
    later.decide()
    assert wire.out == b"" and not world.server.connections


PUSHES = """
import sys
from hexcast.http.exchange import Exchange, Plan
from hexcast.http.response import Response
from tests.http.h2.test_time import Bench
import h2.settings

opened = []
bench = Bench(lambda exchange, body: opened.append((exchange, exchange.start(200, ()))))
bench.request()
exchange = opened[0][0]
for number in range(3000):
    assert_pushed = exchange.push(f"/topics/a?id=x-{number}", Response(200, (), b"x"))
    if not assert_pushed:
        sys.exit(f"push {number} was refused: {exchange.push_denied}")
    bench.swap()
    for event in bench.events:
        if type(event).__name__ == "DataReceived":
            bench.client.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
    bench.events.clear()
print(len(bench.connection.machine.streams))
"""


def test_pushed_streams_are_deleted_without_assertions_too() -> None:
    program = [sys.executable, "-O", "-c", PUSHES]
    done = subprocess.run(program, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert 0 < int(done.stdout) < 200


@pytest.mark.parametrize("early", [0, 4, 10])
def test_a_body_over_http2_waits_for_a_plan_that_runs_later(early: int) -> None:
    later = Later(Plan(collect, Body.STREAM))
    bench = Bench(later._wait, Body.STREAM)
    stream = bench.request(end=False)
    body = b"0123456789"
    bench.client.send_data(stream, body[:early], end_stream=early == len(body))
    bench.swap()
    later.decide()
    if early < len(body):
        bench.client.send_data(stream, body[early:], end_stream=True)
    bench.swap()
    assert b"".join(event.data for event in bench.came(DataReceived)) == body


def test_an_empty_body_over_http2_ends_for_a_reader_that_comes_later() -> None:
    later = Later(Plan(collect, Body.STREAM))
    bench = Bench(later._wait, Body.STREAM)
    stream = bench.request(end=False)
    bench.client.end_stream(stream)
    bench.swap()
    later.decide()
    bench.swap()
    assert bench.came(StreamEnded)
