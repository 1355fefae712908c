"""Segments of scans: made once for all that scan the same part, within bounds, turn by turn."""

from __future__ import annotations

import pytest

from hexcast.feed import segments
from hexcast.feed.segments import ScanQueue, Segment, SegmentCache
from hexcast.hub.scan import Scan
from tests.support.fakes import Soon, make_history, put

from .test_feed import Bench


def segment(size: int) -> Segment:
    return Segment(bytes(size), 1, 2, 1, 1, 1, False)


def test_what_is_cached_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "CACHED_BYTES", 100)
    cache = SegmentCache()
    for n in range(10):
        cache.put((n,), segment(30))
        assert cache.get((0,)) is not None
    kept = [n for n in range(10) if cache.get((n,)) is not None]
    assert kept == [0, 8, 9], "those that were used longest ago are evicted first"
    cache.put((0,), segment(1000))
    assert all(cache.get((n,)) is None for n in range(10)), "more than the bound is not kept"
    assert cache._bytes == 0


def test_a_segment_in_place_of_another_counts_once() -> None:
    cache = SegmentCache()
    for size in (10, 20, 5):
        cache.put(("k",), segment(size))
    assert cache._bytes == 5 and cache.made == 3


def test_a_sweep_releases_what_nobody_uses() -> None:
    cache = SegmentCache()
    cache.put(("a",), segment(1))
    cache.put(("b",), segment(1))
    cache.sweep()
    cache.get(("a",))
    cache.sweep()
    assert cache.get(("b",)) is None and cache.get(("a",)) is not None
    cache.sweep()
    cache.sweep()
    assert cache.get(("a",)) is None and cache._bytes == 0


def test_a_turn_makes_one_segment_or_writes_a_few() -> None:
    soon, cache = Soon(), SegmentCache()
    queue = ScanQueue(soon, cache)
    ran: list[int] = []

    def cached(n: int) -> None:
        ran.append(n)

    def made(n: int) -> None:
        ran.append(n)
        cache.put((n,), segment(1))

    for n in range(3):
        queue.add(lambda n=n: cached(n))  # type: ignore[misc]
    queue.add(lambda: made(3))
    for n in range(4, 4 + segments.TURN_SEGMENTS + 1):
        queue.add(lambda n=n: cached(n))  # type: ignore[misc]
    turns = []
    while soon.waiting:
        soon.one()
        turns.append(len(ran))
    assert turns == [4, 4 + segments.TURN_SEGMENTS, 5 + segments.TURN_SEGMENTS]
    assert ran == sorted(ran)


def test_one_that_fails_keeps_no_other_from_its_turn() -> None:
    soon = Soon()
    queue = ScanQueue(soon, SegmentCache())
    ran: list[str] = []
    queue.add(lambda: [][0])
    queue.add(lambda: ran.append("next"))
    with pytest.raises(IndexError):
        soon.one()
    soon.all()
    assert ran == ["next"] and not soon.waiting


@pytest.mark.parametrize("since", ["", "earliest", "other-3"])
def test_those_that_join_while_records_come_share_what_they_scan(since: str) -> None:
    bench = Bench(make_history(records=50))
    states = 3_000
    for n in range(states):
        put(bench.hub, f"dev/{n}", (b"%d" % n).ljust(85))
    bench.soon.all()
    cache = bench.feeds.context.segments
    one = bench.join("dev/*", since=since)
    bench.soon.all()
    chain = cache.made
    assert chain >= 4 and len(one.seqs) == states
    clients = []
    for n in range(100):
        put(bench.hub, f"dev/{n}", (b"%d" % -n).ljust(85))
        clients.append(bench.join("dev/*", since=since))
        bench.soon.all()
    # Each needs the end of the log as it is now; the rest is there.
    assert cache.made - chain <= 2 * len(clients)
    newest = {f"dev/{n}": b"%d" % (-n if n < 100 else n) for n in range(states)}
    for client in clients:
        values = {
            line["topic"]: line["data"].strip().encode() for line in client.lines if "seq" in line
        }
        assert values == newest
        assert client.seqs == sorted(set(client.seqs))


def test_a_segment_that_is_stale_is_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hexcast.feed.feed.STALE_RECORDS", 10)
    bench = Bench(make_history(records=50))
    for n in range(40):
        put(bench.hub, f"s/{n}", bytes(4_000))
    feed = bench.feed("s/*")
    head = bench.hub.head
    first = feed.segment(Scan(0, head, backlog=0), {}, first=True)
    assert first.position < head
    put(bench.hub, "s/0", b"new")
    assert feed.segment(Scan(0, head + 1, backlog=0), {}, first=True) is first
    for n in range(10):
        put(bench.hub, "s/0", b"%d" % n)
    again = feed.segment(Scan(0, bench.hub.head, backlog=0), {}, first=True)
    assert again is not first and again.first > first.first
    older = feed.segment(Scan(0, head, backlog=0), {}, first=True)
    assert older is not again, "made for a later horizon: it lacks what came before that"
