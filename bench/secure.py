"""HTTP/2 and TLS: what an idle subscriber takes, a delivery costs, and a pushed record."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from bench.fanout import Side, compare, sse, wire_overhead
from bench.figures import Row
from bench.processes import Child, Server, Sink
from bench.publisher import SMALLEST_RECORD, Publisher
from bench.setup import Setup
from bench.system import wait_settled
from hexcast.http.tls.dev_certificate import make

__all__ = ["fan_out_h2", "memory", "push"]

MEMORY_LIMITS = {"h1": 25_000, "h2": 40_000}
"""Bytes of server memory per idle subscriber over TLS."""

DELIVERIES_PER_SECOND = 20_000
"""Half the pace of the other fan-outs: the clients decrypt in Python."""

PUSH_LIMIT = 150.0
"""Microseconds of the server's CPU for a record that is pushed to one connection."""

PUSHES_PER_SECOND = 1_000_000
"""No pause between one acknowledgement and the next publish."""


class TlsSink(Sink):
    """Subscribers over TLS."""

    def __init__(self, setup: Setup, mode: str, port: int, clients: int, target: str) -> None:
        command = [sys.executable, "-m", "bench.tls_sink", mode, str(port), str(clients), "0"]
        Child.__init__(self, [*command, target], setup.cores.clients)
        self.clients = clients


@contextmanager
def secure_server(setup: Setup) -> Iterator[Server]:
    """A server with a certificate of its own."""
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder, "cert.pem"), Path(folder, "key.pem")
        for path, data in zip(files, make(["localhost"], datetime.now(UTC)), strict=True):
            path.write_bytes(data)
        cert, key = map(str, files)
        with setup.server("--tls-cert", cert, "--tls-key", key) as server:
            yield server


def memory(setup: Setup) -> list[Row]:
    """Memory of idle subscribers over TLS."""
    rows = []
    count = setup.amounts.small
    for mode, title in (("h1", "HTTP/1.1"), ("h2", "HTTP/2")):
        with (
            secure_server(setup) as server,
            TlsSink(setup, mode, server.port, 20, sse.target) as first,
        ):
            first.wait_ready()
            idle = wait_settled(server.pid)
            with TlsSink(setup, mode, server.port, count, sse.target) as clients:
                clients.wait_ready()
                each = (wait_settled(server.pid) - idle) / count
        rows.append(
            Row(
                name=f"tls-memory-{mode}",
                measure=f"memory per idle SSE subscriber over TLS and {title}, {count:,} of them",
                figure=each,
                unit="bytes",
                limit=MEMORY_LIMITS[mode],
                note="growth of resident memory; a connection each",
            )
        )
    return rows


def fan_out_h2(setup: Setup) -> list[Row]:
    """A delivery by SSE over HTTP/2 and TLS, against one over plain HTTP/1.1."""
    count = setup.amounts.small
    paced = replace(
        setup,
        amounts=replace(
            setup.amounts,
            deliveries=min(setup.amounts.deliveries, DELIVERIES_PER_SECOND),
            deliveries_per_second=DELIVERIES_PER_SECOND,
        ),
    )
    with secure_server(setup) as secure, setup.server() as plain:
        size = 120 - wire_overhead(setup, plain.port, sse)
        with (
            TlsSink(setup, "h2", secure.port, count, sse.target) as over_h2,
            Sink(sse.mode, plain.port, count, sse.head(plain.port), setup.cores) as over_h1,
            Publisher(secure.port, secure=True) as to_secure,
            Publisher(plain.port) as to_plain,
        ):
            over_h2.wait_ready()
            over_h1.wait_ready()
            served = Side(
                secure,
                over_h2,
                lambda first, many, pace: to_secure.paced(sse.topic, first, many, pace, size),
            )
            floor = Side(
                plain,
                over_h1,
                lambda first, many, pace: to_plain.paced(sse.topic, first, many, pace, size),
            )
            title = f"SSE over HTTP/2 and TLS, {count:,} connections"
            row = compare(paced, title, served, floor, 3.0, "h2-sse")
    row.note += "; the floor is SSE over plain HTTP/1.1, not the C loop"
    return [row]


def push(setup: Setup) -> list[Row]:
    """A record pushed to one connection: with it less without it, both at the same pace."""
    records = max(50, setup.amounts.publishes // 2)
    target = f"{sse.target}?way=push"

    with secure_server(setup) as server, Publisher(server.port, secure=True) as publisher:
        done = 0

        def publish(topic: str, first: int) -> None:
            publisher.paced(topic, first, records, PUSHES_PER_SECOND, SMALLEST_RECORD)

        with TlsSink(setup, "push", server.port, 1, target) as client:
            client.wait_ready()

            def published() -> None:
                client.expect(done + records)
                publish(sse.topic, done)
                client.reached(60)

            figures = []
            for _ in range(max(2, setup.amounts.rounds // 3)):
                alone = server.cpu_of(lambda: publish("bench/nobody", 0))
                figures.append((server.cpu_of(published) - alone) / records / 1e3)
                done += records
    return [
        Row(
            name="push",
            measure="a record pushed to one connection over TLS: CPU",
            figure=median(figures),
            unit="µs",
            limit=PUSH_LIMIT,
            rounds=figures,
            note=f"{records} records a round, one after the other, "
            "less the same published to nobody",
        )
    ]
