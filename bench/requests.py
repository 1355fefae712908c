"""Measures other than fan-out: bursts, polling, long polling, batches, single publishes."""

from __future__ import annotations

from itertools import pairwise
from statistics import median

from bench.fanout import CLIENT_FIELD, WIRE_SIZE, Audience, wire_overhead
from bench.figures import Row
from bench.processes import BenchError, Sink
from bench.publisher import SMALLEST_RECORD, Publisher, record
from bench.setup import Setup

__all__ = ["batch", "burst", "long_poll", "poll", "publish"]

BURST_LIMIT = 5_000_000
POLL_LIMIT = 13.0
CYCLE_LIMIT = 20.0
BATCH_LIMIT = 100_000


def burst(setup: Setup, audience: Audience) -> list[Row]:
    """Records pipelined on one connection to many subscribers, until the last has the last one."""
    count, subscribers = setup.amounts.burst, setup.amounts.small
    name = f"burst-{audience.name}"
    by_cpu: list[float] = []
    by_wall: list[float] = []
    with setup.server() as server:
        size = max(SMALLEST_RECORD, WIRE_SIZE - wire_overhead(setup, server.port, audience))
        head = audience.head(server.port)
        with (
            Sink(audience.mode, server.port, subscribers, head, setup.cores) as clients,
            Publisher(server.port) as publisher,
        ):
            clients.wait_ready()
            for n in range(setup.amounts.rounds):
                requests = b"".join(
                    publisher.request("POST", f"/topics/{audience.topic}", record(m, size))
                    for m in range(n * count, (n + 1) * count)
                )

                def once(requests: bytes = requests, until: int = (n + 1) * count) -> None:
                    clients.expect(until)
                    began = publisher.pipelined(requests, count)
                    took = clients.reached(120)["at_ns"] - began
                    by_wall.append(count * subscribers / took * 1e9)

                by_cpu.append(count * subscribers / server.cpu_of(once) * 1e9)
    what = f"burst of {count:,} records to {subscribers:,} {audience.title} subscribers"
    note = f"{size} bytes of payload; every record seen in order by every subscriber"
    return [
        Row(
            name=f"{name}-{measure}",
            measure=f"{what}: deliveries per {title}",
            figure=median(figures),
            unit="/s",
            limit=BURST_LIMIT,
            sense="at least",
            rounds=figures,
            note=note,
        )
        for measure, title, figures in (
            ("cpu", "second of server CPU", by_cpu),
            ("wall", "second, publisher and clients on the same machine", by_wall),
        )
    ]


def poll(setup: Setup) -> list[Row]:
    """A state that has not moved, asked for again and again with its ETag."""
    count = setup.amounts.polls
    figures: list[float] = []
    with setup.server() as server, Publisher(server.port) as publisher:
        tag = publisher.put("bench/state", record(0, WIRE_SIZE))
        head = (
            f"GET /topics/bench/state HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
            f'{CLIENT_FIELD}\r\nAccept: */*\r\nIf-None-Match: "{tag}"\r\n\r\n'
        )
        connections = setup.amounts.poll_connections
        with Sink("poll", server.port, connections, head, setup.cores) as clients:
            clients.wait_ready()

            def once() -> None:
                clients.say(f"go {count}")
                clients.reached(60)

            for _ in range(setup.amounts.rounds):
                figures.append(server.cpu_of(once) / count / 1e3)
    return [
        Row(
            name="poll",
            measure="poll answered 304: CPU a request",
            figure=median(figures),
            unit="µs",
            limit=POLL_LIMIT,
            rounds=figures,
            note=f"{connections} keep-alive connections, {count:,} requests a round",
        )
    ]


def long_poll(setup: Setup) -> list[Row]:
    """A record, an answer to every client, and every client's next request with its new cursor.

    Once with clients of which each has a header of its own, and once with clients that all send
    the same bytes, as those of other benchmarks do.
    """
    return [
        *_long_poll(setup, "long-poll", CLIENT_FIELD, "clients"),
        *_long_poll(setup, "long-poll-same", "User-Agent: sink", "clients that send the same"),
    ]


def _long_poll(setup: Setup, name: str, client_field: str, who: str) -> list[Row]:
    clients_count, cycles = setup.amounts.small, setup.amounts.cycles
    figures: list[float] = []
    done = 1
    with setup.server() as server, Publisher(server.port) as publisher:
        publisher.publish("bench/cycle", record(0, WIRE_SIZE))
        head = (
            "GET /topics/bench/cycle?since={cursor}&wait=90 HTTP/1.1\r\n"
            f"Host: 127.0.0.1:{server.port}\r\n{client_field}\r\nAccept: */*\r\n\r\n"
        )
        with Sink("cycle", server.port, clients_count, head, setup.cores) as clients:
            clients.wait_ready()

            def once() -> None:
                nonlocal done
                for _ in range(cycles):
                    clients.expect(done + 1)
                    publisher.publish("bench/cycle", record(done, WIRE_SIZE))
                    clients.reached(60)
                    done += 1

            for _ in range(setup.amounts.rounds):
                figures.append(server.cpu_of(once) / (cycles * clients_count) / 1e3)
    return [
        Row(
            name=name,
            measure=f"long poll, {clients_count:,} {who}: CPU to deliver and be asked again",
            figure=median(figures),
            unit="µs",
            limit=CYCLE_LIMIT,
            rounds=figures,
            note="the next record is published when the last client has this one",
        )
    ]


def batch(setup: Setup) -> list[Row]:
    """An NDJSON batch in one request, acknowledged at its end and line by line."""
    return [*_batch(setup, "last", "?ack=last"), *_batch(setup, "each", "")]


def _batch(setup: Setup, name: str, query: str) -> list[Row]:
    count, topic = setup.amounts.batch, "bench/batch"
    by_cpu: list[float] = []
    by_wall: list[float] = []
    with setup.server() as server, Publisher(server.port) as publisher:
        before = _sequence(publisher.publish(topic, b"before"))
        for n in range(setup.amounts.rounds):
            payloads = [record(m, WIRE_SIZE) for m in range(n * count, (n + 1) * count)]
            lines = [b'{"topic":"%b","data":"%b"}\n' % (topic.encode(), p) for p in payloads]

            def once(lines: list[bytes] = lines) -> None:
                nonlocal before
                took, acks = publisher.batch(lines, query)
                by_wall.append(count / took)
                before = _check_acks(acks, before, count, every=not query)

            by_cpu.append(count / server.cpu_of(once) * 1e9)
            if publisher.newest(topic) != payloads[-1]:
                raise BenchError("the newest record is not the batch's last line")
    acknowledged = "every line acknowledged" if name == "each" else "acknowledged once"
    return [
        Row(
            name=f"batch-{name}-{kind}",
            measure=f"NDJSON batch, {acknowledged}: records per {title}",
            figure=median(figures),
            unit="/s",
            limit=BATCH_LIMIT,
            sense="at least",
            rounds=figures,
            note=f"{count:,} lines of {WIRE_SIZE} bytes of data, one topic, no subscriber",
        )
        for kind, title, figures in (
            ("cpu", "second of server CPU", by_cpu),
            ("wall", "second", by_wall),
        )
    ]


def _sequence(record_id: str) -> int:
    return int(record_id.rpartition("-")[2])


def _check_acks(acks: list[dict[str, str]], before: int, count: int, every: bool) -> int:
    """All lines must have been accepted, with rising ids; returns the last id's SEQ."""
    refused = [ack for ack in acks if "id" not in ack or "error" in ack]
    if refused or len(acks) != (count if every else 1):
        raise BenchError(f"{len(acks)} acknowledgements for {count} lines; refused: {refused[:3]}")
    places = [before, *(_sequence(ack["id"]) for ack in acks)]
    if any(later <= earlier for earlier, later in pairwise(places)):
        raise BenchError("ids do not rise")
    if places[-1] - before < count:
        raise BenchError(f"{count} lines moved the log by {places[-1] - before}")
    return places[-1]


def publish(setup: Setup) -> list[Row]:
    """What a single publish costs without subscribers: at the fan-out's pace, and back to back."""
    paced: list[float] = []
    flat: list[float] = []
    amounts = setup.amounts
    count, pace = amounts.publishes, amounts.deliveries_per_second / amounts.small
    few = max(5, count // 40)
    with setup.server() as server, Publisher(server.port) as publisher:
        for _ in range(amounts.rounds):
            used = server.cpu_of(lambda: publisher.paced("bench/one", 0, few, pace, WIRE_SIZE))
            paced.append(used / few / 1e3)
            used = server.cpu_of(lambda: publisher.paced("bench/one", 0, count, 1e9, WIRE_SIZE))
            flat.append(used / count / 1e3)
    what = "publish without subscribers, one at a time on one connection"
    return [
        Row("publish", f"{what}, {pace:g} a second: CPU each", median(paced), "µs", rounds=paced),
        Row("publish-flat", f"{what}, back to back: CPU each", median(flat), "µs", rounds=flat),
    ]
