from __future__ import annotations

import ssl
import sys
from collections import deque

from hexcast.http.tls.transport import TlsTransport
from hexcast.lab.cost import call_cost, footprint
from hexcast.model.per_client import PerClient
from tests.support.fakes import World


class Subscriber(PerClient):
    """Belongs to one client."""

    __slots__ = ("member",)

    def __init__(self, member: object = None) -> None:
        self.member = member


class Shared:
    """Belongs to no client."""

    def __init__(self) -> None:
        self.much = [0] * 100_000


def test_a_system_call_costs_something_and_not_much() -> None:
    cost = call_cost()
    assert 1e-7 < cost.send < 1e-3 and 1e-7 < cost.receive < 1e-3
    assert call_cost() is cost, "it is measured once"


def test_what_is_shared_is_nobody_s() -> None:
    shared = Shared()
    alone = footprint(Subscriber())
    assert 0 < alone < 2000
    assert footprint(Subscriber(shared)) < alone + 500
    queue = deque(range(1000))
    assert footprint(Subscriber(queue)) > alone + 8000
    both = Subscriber(queue), Subscriber(queue)
    assert footprint(*both) < footprint(both[0]) + alone + 500, "counted twice"
    assert footprint(None, shared) == 0


def test_a_client_over_tls_does_not_show_less_than_one_without() -> None:
    world = World()
    wire = world.connect()
    wire.send(b"GET /topics/a?way=sse HTTP/1.1\r\nHost: localhost\r\n\r\n")
    connection = wire.connection
    plain = footprint(connection.exchange)
    assert plain > sys.getsizeof(connection) + sys.getsizeof(connection.exchange)
    tls = TlsTransport(world.server, ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
    tls._tcp, connection.transport = wire, tls
    assert footprint(connection.exchange) >= plain + sys.getsizeof(tls)
