"""Fan-out: one record to many subscribers, the server and the C loop in turn at the same pace.

Both have their subscribers connected all the time. A round of the C loop comes before and after
each round of the server; a round's ratio is the server's CPU a delivery over the mean of its two
neighbours, so that a machine that slows down or speeds up meanwhile does not count as the
server's doing. The figure is the median of the rounds. Publishing is in the server's figure.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from bench.figures import Row
from bench.processes import SendLoop, Server, Sink
from bench.publisher import SMALLEST_RECORD, Publisher, record
from bench.setup import Setup
from bench.system import wait_settled

__all__ = [
    "CLIENT_FIELD",
    "Audience",
    "Side",
    "compare",
    "fan_out",
    "own_selectors",
    "sse",
    "websocket",
    "wire_overhead",
]

WIRE_SIZE = 120
"""Bytes of one delivery on the wire, framing and id included; the C loop sends as many."""

MEMORY_LIMIT = 2_500
"""Bytes of server memory per idle subscriber (a KB is 1,000 bytes here: the stricter reading)."""

CLIENT_FIELD = "User-Agent: sink-{n}"
"""A header that differs from client to client, as real ones do: no two heads are the same."""

WARM_UP = 20
"""Records sent to everybody before the first round."""


@dataclass(frozen=True, slots=True)
class Audience:
    """Subscribers of one kind: how they ask, how the sink reads them, what is published to them."""

    name: str
    title: str
    mode: str
    target: str
    topic: str
    upgrade: bool = False
    remark: str = ""

    def head(self, port: int) -> str:
        """The request head; `{n}` in the target is for the sink to fill in."""
        fields = [f"GET {self.target} HTTP/1.1", f"Host: 127.0.0.1:{port}", CLIENT_FIELD]
        if self.upgrade:
            fields += ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"]
            fields += ["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]
        else:
            fields += ["Accept: text/event-stream", "Cache-Control: no-cache"]
        return "\r\n".join([*fields, "", ""])


sse = Audience("sse", "SSE", "stream", "/topics/bench/fan", "bench/fan")
websocket = Audience("ws", "WebSocket", "ws", "/topics/bench/fan", "bench/fan", upgrade=True)
own_selectors = Audience(
    "own",
    "SSE",
    "stream",
    "/topics?topic=bench/own-{n}&topic=bench/common",
    "bench/common",
    remark=" with a selector each",
)


def wire_overhead(setup: Setup, port: int, audience: Audience) -> int:
    """Bytes that a delivery has beyond its payload, as one client of this server sees it."""
    head = audience.head(port)
    with Publisher(port) as publisher, Sink(audience.mode, port, 1, head, setup.cores) as client:
        client.wait_ready()
        seen = []
        for n in range(3):
            client.expect(n + 1)
            publisher.publish(audience.topic, record(n, SMALLEST_RECORD))
            seen.append(int(client.reached(20)["bytes"]))
        # The first may come with an opening event; between the others there is one delivery.
        return seen[2] - seen[1] - SMALLEST_RECORD


@dataclass(slots=True)
class Side:
    """A server or the C loop with its subscribers, and how many records they have had."""

    sender: Server | SendLoop
    clients: Sink
    publish: Callable[[int, int, float], object]
    """(first number, records, records per second): returns when all are on their way."""

    done: int = 0

    def round(self, records: int, per_second: float) -> float:
        """Have every subscriber take these records; CPU in ns per delivery."""
        first = self.done
        self.done += records

        def work() -> None:
            self.clients.expect(self.done)
            self.publish(first, records, per_second)
            self.clients.reached(60)

        return self.sender.cpu_of(work) / (records * self.clients.clients)


def fan_out(
    setup: Setup, audience: Audience, subscribers: int, limit: float, memory: bool = False
) -> list[Row]:
    """Measure one audience of one size; with `memory` also what an idle subscriber takes."""
    name = f"{audience.name}-{subscribers}"
    rows: list[Row] = []
    with setup.server() as server, SendLoop(subscribers, setup.cores) as loop:
        overhead = wire_overhead(setup, server.port, audience)
        size = max(SMALLEST_RECORD, WIRE_SIZE - overhead)
        idle = wait_settled(server.pid)
        with (
            _sink(setup, audience, server.port, subscribers) as clients,
            _sink(setup, sse, loop.port, subscribers) as floor_clients,
            Publisher(server.port) as publisher,
        ):
            clients.wait_ready()
            floor_clients.wait_ready()
            loop.hear("ready", 30)
            if memory:
                grown = wait_settled(server.pid) - idle
                rows.append(_memory_row(audience, subscribers, grown / subscribers))
            served = Side(
                server,
                clients,
                lambda first, count, pace: publisher.paced(
                    audience.topic, first, count, pace, size
                ),
            )
            sent = Side(
                loop,
                floor_clients,
                lambda first, count, pace: loop.send(first, count, pace, size + overhead),
            )
            rows.insert(
                0,
                compare(
                    setup,
                    f"{audience.title}, {subscribers:,} subscribers{audience.remark}",
                    served,
                    sent,
                    limit,
                    name,
                ),
            )
            rows[0].note += f", {size + overhead} bytes on the wire"
            if memory:
                after = (wait_settled(server.pid) - idle) / subscribers
                rows[1].note += f"; {after:,.0f} bytes after the deliveries"
    return rows


def _sink(setup: Setup, audience: Audience, port: int, subscribers: int) -> Sink:
    return Sink(audience.mode, port, subscribers, audience.head(port), setup.cores)


def compare(setup: Setup, title: str, served: Side, sent: Side, limit: float, name: str) -> Row:
    """The floor and the server in turn; the row of their ratio."""
    subscribers = served.clients.clients
    records = max(3, setup.amounts.deliveries // subscribers)
    pace = setup.amounts.deliveries_per_second / subscribers
    warm = min(WARM_UP, records)
    sent.round(warm, pace)
    served.round(warm, pace)
    floors = [sent.round(records, pace)]
    figures = []
    for _ in range(setup.amounts.rounds):
        figures.append(served.round(records, pace))
        floors.append(sent.round(records, pace))
    ratios = [
        figure / ((before + after) / 2)
        for figure, (before, after) in zip(figures, pairwise(floors), strict=True)
    ]
    return Row(
        name=name,
        measure=f"{title}: CPU a delivery",
        figure=median(figures) / 1e3,
        unit="µs",
        limit=limit,
        floor=median(floors) / 1e3,
        ratio=median(ratios),
        rounds=ratios,
        note=f"{records} records a round at {pace:g} a second",
    )


def _memory_row(audience: Audience, subscribers: int, each: float) -> Row:
    return Row(
        name=f"{audience.name}-memory",
        measure=f"memory per idle {audience.title} subscriber, {subscribers:,} of them",
        figure=each,
        unit="bytes",
        limit=MEMORY_LIMIT,
        note="growth of resident memory",
    )
