"""States: what a diff costs, what the fan-out of a patch costs beside that of a plain record, and
what a client that never reads costs while a state moves on.
"""

from __future__ import annotations

import contextlib
import socket
import time
from itertools import pairwise
from statistics import median

from bench.fanout import CLIENT_FIELD, Audience
from bench.figures import Row
from bench.processes import BenchError, Server, Sink
from bench.publisher import Publisher, record
from bench.setup import Setup
from bench.sizes import Board
from bench.system import rss_bytes, wait_settled

__all__ = ["diff", "patch", "stalled"]

DIFF_LIMIT = 150
DIFFS = 200
PATCH_LIMIT = 1.05
GROWTH_LIMIT = 2**20
"""Bytes that count as flat: what an allocator may take and give back."""

STALLED_PACE = 1_000
STALLED_SECONDS = 60.0
STALLED_WARM_UP = 10.0
"""Seconds in which what is kept of superseded values fills up."""


def diff(setup: Setup) -> list[Row]:
    """Read a value and find what has changed since the one before, in this process."""
    from hexcast.value.delta import Document
    from hexcast.value.json_text import LIMITS

    figures = []
    for _ in range(setup.amounts.rounds):
        board = Board()
        document = Document(board.text(), LIMITS)
        texts = [board.next() for _ in range(DIFFS)]
        began = time.process_time_ns()
        for text in texts:
            document, changed = document.followed_by(text)
            if not changed:
                raise BenchError("a value that changed without a difference")
        figures.append((time.process_time_ns() - began) / DIFFS / 1e3)
    return [
        Row(
            name="diff",
            measure="diff of a JSON value of 200 members, one changed: CPU each",
            figure=median(figures),
            unit="µs",
            limit=DIFF_LIMIT,
            rounds=figures,
            note=f"{len(texts[0]):,} bytes, the new value's reading included",
        )
    ]


STREAM = Audience("plain", "SSE", "stream", "/topics/bench/fan", "bench/fan")
STATE = Audience("patch", "SSE", "stream", "/topics/bench/state?delta=1&since={}", "bench/state")


def patch(setup: Setup) -> list[Row]:
    """Plain records and patches of the same size on the wire, in turn, each to its subscribers.

    Publishing is in both figures: a patch is applied to the value, and the values are compared.
    """
    subscribers = setup.amounts.small
    records = max(3, setup.amounts.deliveries // subscribers)
    pace = setup.amounts.deliveries_per_second / subscribers
    with setup.server() as server, Publisher(server.port) as publisher:
        members = b",".join(b'"member-%d":"%b"' % (n, b"x" * 40) for n in range(200))
        first = publisher.put("bench/state", b"{%b}" % members, "application/json")
        state_head = STATE.head(server.port).replace("{}", first)
        with (
            Sink("stream", server.port, subscribers, STREAM.head(server.port), setup.cores) as ours,
            Sink("stream", server.port, subscribers, state_head, setup.cores) as theirs,
        ):
            ours.wait_ready()
            theirs.wait_ready()
            numbers = {ours: 0, theirs: 0}

            def round(clients: Sink) -> float:
                """Have every subscriber take some records; CPU in µs per delivery."""
                first = numbers[clients]
                numbers[clients] += records

                def work() -> None:
                    clients.expect(first + records)
                    if clients is ours:
                        publisher.paced(STREAM.topic, first, records, pace, 80)
                    else:
                        _patches(publisher, first, records, pace)
                    clients.reached(60)

                return server.cpu_of(work) / (records * subscribers) / 1e3

            round(theirs)  # warms up
            plain = [round(ours)]
            patched = []
            for _ in range(setup.amounts.rounds):
                patched.append(round(theirs))
                plain.append(round(ours))
    ratios = [
        figure / ((before + after) / 2)
        for figure, (before, after) in zip(patched, pairwise(plain), strict=True)
    ]
    return [
        Row(
            name="patch",
            measure=f"patch of a state to {subscribers:,} SSE subscribers: CPU a delivery",
            figure=median(patched),
            unit="µs",
            limit=PATCH_LIMIT,
            floor=median(plain),
            ratio=median(ratios),
            rounds=ratios,
            note="held against a plain record to as many, where the others have the C loop",
        )
    ]


def _patches(publisher: Publisher, first: int, count: int, pace: float) -> None:
    """Merge patches of one member, each when it is due; 80 bytes as plain records have them."""
    began = time.monotonic()
    for n in range(first, first + count):
        wait = began + (n - first) / pace - time.monotonic()
        if wait > 0:
            time.sleep(wait)
        publisher.patch(STATE.topic, b'{"member-%d":"%b"}' % (n % 200, record(n, 42)))


def stalled(setup: Setup) -> list[Row]:
    """A client that never reads, of a state that changes a thousand times a second."""
    seconds = STALLED_SECONDS if setup.amounts.rounds > 2 else 12.0
    with setup.server() as server, Publisher(server.port) as publisher:
        board = Board()
        publisher.put("bench/state", board.text(), "application/json")
        wait_settled(server.pid)
        with contextlib.ExitStack() as stack:
            for query in ("", "?delta=1", "?way=websocket"):
                stack.enter_context(contextlib.closing(_never_reads(server.port, query)))
            before, updates = _sample(server, publisher, board, STALLED_WARM_UP), 0
            levels = []
            began = time.monotonic()
            while (left := seconds - STALLED_WARM_UP - (time.monotonic() - began)) > 0:
                count, level = _update(server, publisher, board, min(5.0, left))
                updates += count
                levels.append(float(level - before))
    return [
        Row(
            name="stalled",
            measure=f"3 clients that never read, {seconds:g} s: growth of memory",
            figure=max(levels),
            unit="bytes",
            limit=GROWTH_LIMIT,
            rounds=levels,
            note=f"SSE, SSE with deltas, WebSocket; {updates / (time.monotonic() - began):,.0f} "
            f"updates a second of a value of {len(board.text()):,} bytes; "
            f"after {STALLED_WARM_UP:g} s of them",
        )
    ]


def _sample(server: Server, publisher: Publisher, board: Board, seconds: float) -> int:
    return _update(server, publisher, board, seconds)[1]


def _update(server: Server, publisher: Publisher, board: Board, seconds: float) -> tuple[int, int]:
    """Patch the value for a time; how often, and the most memory seen."""
    began, count, most = time.monotonic(), 0, 0
    while (gone := time.monotonic() - began) < seconds:
        wait = count / STALLED_PACE - gone
        if wait > 0:
            time.sleep(wait)
        symbol = board.random.choice(list(board.members))
        publisher.patch("bench/state", b'{"%b":{"bid":%d}}' % (symbol.encode(), count))
        count += 1
        if count % 500 == 0:
            most = max(most, rss_bytes(server.pid))
    return count, max(most, rss_bytes(server.pid))


def _never_reads(port: int, query: str) -> socket.socket:
    """A client that asks and never reads, with as small a buffer as there can be."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    client.connect(("127.0.0.1", port))
    fields = [CLIENT_FIELD.replace("{n}", "stalled"), "Accept: text/event-stream"]
    if "websocket" in query:
        fields += ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"]
        fields += ["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]
    head = [f"GET /topics/bench/state{query} HTTP/1.1", f"Host: 127.0.0.1:{port}", *fields]
    client.sendall("\r\n".join([*head, "", ""]).encode())
    return client
