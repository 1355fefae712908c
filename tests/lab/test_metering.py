"""What is counted of a client is what its socket saw; what is done to it is done to it alone."""

from __future__ import annotations

import json
from functools import partial

import msgspec
import pytest

from hexcast.http.exchange import Exchange, Plan
from hexcast.http.request import Request
from hexcast.lab.metering import PROXY_BYTES, Client
from hexcast.model.caller import Caller
from hexcast.model.record import Draft
from tests.support.fakes import Wire, World
from tests.support.wire import TEXT, ws_frame


class Metered(World):
    """A world whose every request is one client's."""

    def __init__(self) -> None:
        super().__init__()
        self.client = Client("any", self.clock, self.soon.later)
        self.server.plan = self._plan

    def _plan(self, request: Request, caller: Caller) -> Plan:
        plan = self.app.plan(request, caller)
        return msgspec.structs.replace(plan, run=partial(self._serve, plan))

    def _serve(self, plan: Plan, exchange: Exchange, body: bytes) -> None:
        self.client.serve(plan.run, exchange, body, fresh=True)

    def put(self, topic: str, value: object) -> None:
        data = json.dumps(value).encode()
        self.hub.publish([Draft(topic, "put", data, "application/json")], lambda _: None)
        self.soon.all()


def head(target: str, *fields: str) -> bytes:
    lines = [f"GET {target} HTTP/1.1", "host: localhost", *fields]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


UPGRADE = (
    "upgrade: websocket", "connection: Upgrade", "sec-websocket-version: 13",
    "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==", "sec-websocket-protocol: hexcast.v1",
)  # fmt: skip


def sent(world: Metered, *requests: bytes) -> Wire:
    wire = world.connect()
    for request in requests:
        wire.send(request)
        world.soon.all()
    return wire


@pytest.mark.parametrize(
    "target",
    [
        "/topics/price", "/topics/price?way=refresh", "/topics/price?since=e1-1",
        "/topics/price?way=sse", "/topics/price?wait=30&since=e1-2&limit=5", "/topics/none",
    ],
)  # fmt: skip
def test_bytes_are_those_on_the_wire(target: str) -> None:
    world = Metered()
    world.put("price", {"n": 1})
    world.put("price", {"n": 2})
    request = head(target)
    wire = sent(world, request)
    for n in range(3, 6):
        world.put("price", {"n": n})
    assert world.client.received == len(request)
    assert world.client.sent == len(wire.out)
    assert world.client.cpu > 0 and world.client.requests == 1


def test_bytes_of_a_websocket_are_counted_both_ways() -> None:
    world = Metered()
    wire = world.connect()
    wire.send(head("/topics/price", *UPGRADE))
    frame = ws_frame(TEXT, b'{"ping": 1}')
    wire.send(frame)
    world.put("price", {"n": 1})
    assert b'{"pong":1}' in wire.out and b'"n": 1' in wire.out
    assert world.client.received == len(head("/topics/price", *UPGRADE)) + len(frame)
    assert world.client.sent == len(wire.out)


def test_requests_that_bring_nothing_new_are_in_vain() -> None:
    world = Metered()
    world.put("price", 1)
    for target, field, vain in [
        ("/topics/price", "", 0),
        ("/topics/price", 'if-none-match: "e1-1"', 1),
        ("/topics/price", "", 2),  # the value that it has
        ("/topics/price?way=poll&since=e1-1", "", 3),
        ("/topics/price?way=poll&since=e1-0", "", 3),
        ("/topics/none", "", 4),
    ]:
        sent(world, head(target, *([field] if field else [])))
        assert world.client.vain == vain, target
    world.put("price", 2)
    sent(world, head("/topics/price", 'if-none-match: "e1-1"'))
    assert world.client.vain == 4
    assert world.client.requests == 7


def test_memory_is_that_of_who_waits() -> None:
    world = Metered()
    world.put("price", 1)
    sent(world, head("/topics/price"))
    assert world.client.figures()["memory"] == 0
    wire = sent(world, head("/topics/price?way=sse"))
    memory = world.client.figures()["memory"]
    assert isinstance(memory, int) and 500 < memory < 20_000
    for n in range(200):
        world.put("price", n)
    assert world.client.figures()["memory"] == memory, "it grows with what is sent"
    wire.drop()
    assert world.client.figures()["memory"] == 0
    assert world.client.figures()["open"] == 0


def test_a_cut_breaks_what_is_open_and_refuses_what_comes() -> None:
    world = Metered()
    stream = sent(world, head("/topics/price?way=sse"))
    other = world.connect()
    world.client.cut(3.0)
    world.soon.all()
    assert stream.gone and not other.gone
    assert sent(world, head("/topics/price?way=sse")).gone
    world.clock.now += 3.1
    again = sent(world, head("/topics/price?way=sse"))
    assert not again.gone and b"200 OK" in again.out


def test_a_slow_reader_gets_less_and_loses_only_what_is_superseded() -> None:
    world = Metered()
    world.put("price", 0)
    wire = sent(world, head("/topics/price?way=sse"))
    world.client.slow = 1000
    world.put("price", 1)
    assert b"data: 1\n" in wire.out
    for n in range(2, 50):
        world.put("price", n)
    assert b"data: 2\n" not in wire.out, "it is written to while it reads"
    for _ in range(3):
        world.soon.elapse()
        world.soon.all()
    assert b"data: 49\n" in wire.out and b"data: 30\n" not in wire.out
    world.client.slow = 0
    world.soon.elapse()
    world.put("price", 50)
    assert bytes(wire.out).count(b"data: 50\n") == 1


def test_a_slow_reader_waits_for_a_whole_answer() -> None:
    world = Metered()
    world.put("price", "x" * 5000)
    world.client.slow = 1000
    wire = sent(world, head("/topics/price"))
    assert not wire.out
    assert 4.9 < world.soon.after[-1][0] < 5.1
    world.soon.elapse()
    assert b"xxxx" in wire.out


def test_a_buffering_proxy_holds_streams_back_and_knows_no_upgrade() -> None:
    world = Metered()
    world.client.buffering = True
    wire = sent(world, head("/topics/price?way=sse"))
    world.put("price", "x" * 1000)
    assert b"xxx" not in wire.out
    for n in range(PROXY_BYTES // 1000 + 1):
        world.put("price", str(n) + "y" * 1000)
    assert b"xxx" in wire.out
    assert b" 426 " in sent(world, head("/topics/price?way=websocket", *UPGRADE)).out
    assert b"yyy" in sent(world, head("/topics/price")).out, "whole answers pass"
