"""Feeds and subscribers: however publishing, flushing, pausing and coming back are mixed, a client
has every record once and in order, or a gap that says what it lost."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from hexcast.feed.encoding import AnswerEncoder
from hexcast.feed.feed import Feed
from hexcast.feed.registry import Feeds
from hexcast.feed.subscriber import Subscriber
from hexcast.hub.history import History
from hexcast.hub.hub import Hub
from hexcast.hub.resume import resume_point
from hexcast.model.counters import Counters
from hexcast.model.patterns import Selector, matches
from hexcast.model.problem import Problem
from hexcast.model.record import Draft, Record
from tests.support.fakes import (
    EPOCH,
    Clock,
    LineForm,
    Reader,
    Soon,
    delete,
    make_history,
    make_hub,
    post,
    put,
)

SELECTIONS = [("a",), ("s",), ("a", "s"), ("a", "b"), ("**",), ("a", "x/*"), ("x/*",)]
STREAMS, STATES = ["a", "b", "x/a"], ["s", "x/s"]


class Bench:
    """Feeds over a hub, with time and the scheduler in the test's hand."""

    def __init__(self, history: History | None = None) -> None:
        self.clock = Clock()
        self.soon = Soon()
        self.hub: Hub = make_hub(history, self.clock)
        self.counters = Counters()
        self.feeds = Feeds(self.hub, self.counters, self.soon, self.clock, self.soon.later)

    def feed(self, *names: str) -> Feed:
        return self.feeds.feed(Selector(names), LineForm())

    def join(self, *names: str, since: str = "", last: int = 0, replay: bool = False) -> Client:
        return Client(self, names, since=since, last=last, replay=replay)


class Client(Reader):
    """A client as a way makes one; a tight one pauses at every write."""

    def __init__(
        self,
        bench: Bench,
        names: Sequence[str],
        *,
        since: str = "",
        last: int = 0,
        tight: bool = False,
        replay: bool = False,
    ) -> None:
        super().__init__()
        self.retained = {r.seq for t in bench.hub._topics.values() for r in t.after(0)}
        self.selector = Selector(names)
        self.tight = tight
        self.over = False
        self.start = resume_point(bench.hub, self.selector, since=since, last=last)
        self.began = self.start.scan
        self.since, self.last = since, last
        self.known = len(bench.did) if isinstance(bench, Machine) else 0
        feed = bench.feeds.feed(self.selector, LineForm())
        self.subscriber = Subscriber(feed, self, self.start, replay=replay)
        if self.start.gap is not None:
            self.write(LineForm().gap(self.start.gap))
        if not replay:
            segment = self.subscriber.first()
            if segment.chunk:
                self.write(segment.chunk)
            if segment.end:
                self.ended()
                return
        self.subscriber.go(self.write)

    def write(self, data: bytes) -> None:
        assert not self.over, "written to after it was over"
        super().write(data)
        if self.tight:
            self.subscriber.pause()

    def ended(self) -> None:
        super().ended()
        self.leave()

    def leave(self) -> None:
        self.over = True
        self.subscriber.leave()


class Did:
    """One record as the test published it."""

    def __init__(self, seq: int, topic: str, op: str, end: bool) -> None:
        self.seq, self.topic, self.op, self.end = seq, topic, op, end


class Machine(RuleBasedStateMachine, Bench):  # type: ignore[misc]
    """Any interleaving. Payloads of 30,000 bytes make a pass one of several steps."""

    def __init__(self) -> None:
        RuleBasedStateMachine.__init__(self)
        self.did: list[Did] = []
        Bench.__init__(self, make_history(records=6, seconds=50))
        self.clients: list[Client] = []

    def publish(self, topic: str, op: str, size: int, end: bool = False) -> None:
        data = b"" if op == "delete" else (b"%d " % len(self.did)).ljust(size, b".")
        outcomes: list[object] = []
        type = "" if op == "delete" else "text/plain"
        draft = Draft(topic, op, data, type, end=end)  # type: ignore[arg-type]
        self.hub.publish([draft], outcomes.extend)
        if not isinstance(outcomes[0], Problem):
            self.did.append(Did(self.hub.head, topic, op, end))

    @rule(topic=st.sampled_from(STREAMS), size=st.sampled_from([1, 30_000]))
    def post(self, topic: str, size: int) -> None:
        self.publish(topic, "post", size)

    @rule(topic=st.sampled_from(STREAMS), count=st.integers(2, 8))
    def burst(self, topic: str, count: int) -> None:
        for _ in range(count):
            self.publish(topic, "post", 30_000)

    @rule(topic=st.sampled_from(STATES), size=st.sampled_from([1, 30_000]))
    def put(self, topic: str, size: int) -> None:
        self.publish(topic, "put", size)

    @rule(topic=st.sampled_from(["a", "s"]))
    def end(self, topic: str) -> None:
        self.publish(topic, "post" if topic == "a" else "put", 1, end=True)

    @rule(topic=st.sampled_from([*STREAMS, *STATES]))
    def delete(self, topic: str) -> None:
        self.publish(topic, "delete", 0)

    @rule()
    def one_turn(self) -> None:
        self.soon.one()

    @rule()
    def many_turns(self) -> None:
        self.soon.all()

    @rule(seconds=st.integers(1, 60))
    def time_goes_on(self, seconds: int) -> None:
        self.clock.now += seconds
        self.hub.sweep()
        self.feeds.sweep()

    @rule(
        names=st.sampled_from(SELECTIONS),
        since=st.sampled_from(["", "", "earliest", "now", "id", "id", "unknown"]),
        back=st.integers(0, 12),
        last=st.integers(0, 12),
        tight=st.booleans(),
    )
    def join(  # type: ignore[override]
        self, names: tuple[str, ...], since: str, back: int, last: int, tight: bool
    ) -> None:
        if since == "id":
            since = self.hub.id(max(0, self.hub.head - back))
        elif since == "unknown":
            since = "other-3"
        client = Client(self, names, since=since, last=last, tight=tight)
        if not client.over:
            self.clients.append(client)
        else:
            self.check(client)

    @precondition(lambda self: self.clients)
    @rule(which=st.integers(0, 100))
    def pause(self, which: int) -> None:
        self.clients[which % len(self.clients)].subscriber.pause()

    @precondition(lambda self: self.clients)
    @rule(which=st.integers(0, 100))
    def resume(self, which: int) -> None:
        self.clients[which % len(self.clients)].subscriber.resume()

    @precondition(lambda self: self.clients)
    @rule(which=st.integers(0, 100))
    def leave(self, which: int) -> None:
        """It goes, and another comes back with its cursor, and stays in its place."""
        place = which % len(self.clients)
        client = self.clients.pop(place)
        client.leave()
        self.check(client, upto=client.subscriber.position)
        again = Client(self, client.selector.text, since=self.hub.id(client.subscriber.position))
        assert not set(again.seqs) & set(client.seqs), "told twice along a chain of cursors"
        if not again.over:
            self.clients.append(again)

    @rule()
    def all_drain(self) -> None:
        """Every socket drains; then everyone must have everything."""
        for _ in range(10_000):
            for client in list(self.clients):
                if client.over:
                    self.clients.remove(client)
                    self.check(client)
                elif client.subscriber.paused:
                    client.subscriber.resume()
            if not self.soon.waiting:
                break
            self.soon.all()
        else:
            raise AssertionError("the clients never catch up")
        for client in self.clients:
            assert client.subscriber.feed is not None
            assert client.subscriber in client.subscriber.feed.ready
            self.check(client, upto=self.hub.head)
            if client.selector.single:
                ends = [d.seq for d in self.did if d.end and d.seq in client.seqs]
                assert not ends, f"it was sent the end {ends} and has not ended"

    @invariant()
    def everyone_is_told_in_order_and_once(self) -> None:
        for client in self.clients:
            assert client.seqs == sorted(set(client.seqs))

    def check(self, client: Client, upto: int | None = None) -> None:
        """A client has all it was to get up to a place (to its topic's end, if it ended)."""
        seqs, began = client.seqs, client.began
        if upto is None:
            assert client.ends == 1 and client.selector.single
            upto = seqs[-1]
            assert next(d for d in self.did if d.seq == upto).end
        assert seqs == sorted(set(seqs))
        mine = [d for d in self.did if client.selector.matches(d.topic)]
        assert {d.seq for d in mine} >= set(seqs)
        assert all(seq > began.cursor for seq in seqs)
        gaps = []
        for gap in client.gaps:
            after, before = gap["after"], int(gap["before"].rpartition("-")[2])
            known = after.rpartition("-")[2] if after.startswith(EPOCH) else "0"
            gaps.append((int(known), before, gap["topics"]))
        covered = {
            d.seq for d in mine for after, before, topics in gaps
            if after < d.seq < before and any(matches(t, d.topic) for t in topics)
        }  # fmt: skip
        starts = self.starts(client) if began.backlog is not None else None
        for d in mine:
            if d.seq <= began.cursor or d.seq > upto or d.seq in seqs:
                continue
            if starts is not None and d.seq <= began.horizon and d.seq not in starts:
                continue
            if (
                client.since == "earliest"
                and d.seq <= began.horizon
                and d.seq not in client.retained
            ):
                continue
            rest = [x for x in self.did if x.topic == d.topic and x.seq > d.seq]
            if any(x.op == "delete" for x in rest) or (d.op == "delete" and rest):
                continue
            if d.op == "put":
                newer = [x.seq for x in rest]
                assert any(s in seqs or s > upto for s in newer), f"value {d.seq} is missing"
            else:
                assert d.seq in covered, f"{d.op} {d.seq} of {d.topic} is missing"
        for after, before, topics in gaps:
            for name in topics:
                # A record may be evicted while it waits for its flush: it is sent all the same,
                # and the gap that names it is a false alarm, but never a missing one.
                lost = [
                    d for d in mine
                    if matches(name, d.topic) and after < d.seq < before
                    and (starts is None or d.seq > began.horizon or d.seq in client.retained)
                ]  # fmt: skip
                unknown = client.start.gap is not None
                assert lost or unknown or after < self.history_floor, f"{name} lost nothing"

    @property
    def history_floor(self) -> int:
        return self.hub._history.floor

    def starts(self, client: Client) -> set[int]:
        """The records, by our own list, that a client without a cursor starts with."""
        found: set[int] = set()
        upto = [d for d in self.did[: client.known] if client.selector.matches(d.topic)]
        for name in {d.topic for d in upto}:
            era: list[Did] = []
            for d in upto:
                if d.topic == name:
                    era = [] if d.op == "delete" else [*era, d]
            if era and era[-1].op == "put":
                found.add(era[-1].seq)
            elif client.last:
                # Of what is not held at the start nothing is promised.
                found |= {d.seq for d in era[-min(client.last, 6) :] if d.seq in client.retained}
        return found

    def teardown(self) -> None:
        self.all_drain()


class TestMachine(Machine.TestCase):  # type: ignore[name-defined, misc]
    settings = settings(max_examples=120, stateful_step_count=40, deadline=None)


# Single cases, each of which the machine would find in time


@pytest.fixture
def bench() -> Bench:
    return Bench(make_history(records=50))


def test_one_write_of_shared_bytes_a_turn(bench: Bench) -> None:
    one, two = bench.join("a"), bench.join("a")
    bench.soon.all()
    chunks: list[bytes] = []
    for client in (one, two):
        client.subscriber.write = chunks.append
    feed = one.subscriber.feed
    assert feed is two.subscriber.feed and feed is not None
    feed._writes = None
    for _ in range(3):
        post(bench.hub, "a")
    assert chunks == []
    bench.soon.all()
    assert len(chunks) == 2 and chunks[0] is chunks[1]
    assert chunks[0].count(b"\n") == 3


def test_states_fold_and_streams_do_not(bench: Bench) -> None:
    client = bench.join("a", "s")
    bench.soon.all()
    for n in range(3):
        put(bench.hub, "s", b"%d" % n), post(bench.hub, "a")
    bench.soon.all()
    assert client.seqs == [2, 4, 5, 6]
    assert bench.counters.ways["sse"].folds == 2


def test_a_slow_client_is_told_a_states_newest_value_only(bench: Bench) -> None:
    client = bench.join("s")
    bench.soon.all()
    client.subscriber.pause()
    for n in range(9):
        put(bench.hub, "s", b"%d" % n)
        bench.soon.all()
    client.subscriber.resume()
    bench.soon.all()
    assert client.seqs == [9]


def test_a_slow_client_slows_no_other(bench: Bench) -> None:
    slow, quick = bench.join("a"), bench.join("a")
    bench.soon.all()
    slow.subscriber.pause()
    for n in range(1, 9):
        post(bench.hub, "a")
        bench.soon.all()
        assert quick.seqs == list(range(1, n + 1)) and slow.seqs == []
    slow.subscriber.resume()
    bench.soon.all()
    assert slow.seqs == quick.seqs and slow.lines == quick.lines


def test_a_lagging_client_costs_no_memory(bench: Bench) -> None:
    client = bench.join("a")
    bench.soon.all()
    client.subscriber.pause()
    for _ in range(60):
        post(bench.hub, "a")
    bench.soon.all()
    before = bench.hub._history.total
    for _ in range(600):
        post(bench.hub, "a")
        bench.soon.all()
    feed = client.subscriber.feed
    assert feed is not None and feed.pending == [] and client.lines == []
    assert bench.hub._history.total <= before


def test_what_a_lagging_client_lost_is_told_before_what_follows(bench: Bench) -> None:
    client = bench.join("a")
    bench.soon.all()
    client.subscriber.pause()
    for _ in range(70):
        post(bench.hub, "a")
    bench.soon.all()
    client.subscriber.resume()
    bench.soon.all()
    assert client.lines[0] == {
        "gap": {"after": f"{EPOCH}-0", "before": f"{EPOCH}-21", "topics": ["a"]}
    }
    assert client.seqs == list(range(21, 71))


def test_an_end_reaches_a_client_whose_socket_fills_with_it(bench: Bench) -> None:
    client = bench.join("a")
    bench.soon.all()
    client.tight = True
    post(bench.hub, "a", end=True)
    bench.soon.all()
    assert client.seqs == [1]
    client.subscriber.resume()
    bench.soon.all()
    assert client.ends == 1


@pytest.mark.parametrize("replay", [True, False])
@pytest.mark.parametrize("names", [["a"], ["a", "b"], ["*"]])
def test_asking_for_the_newest_loses_nothing(replay: bool, names: list[str]) -> None:
    """What was lost before the newest few was never asked for: no gap."""
    bench = Bench(make_history(records=10))
    for _ in range(30):
        post(bench.hub, "a", b"x" * 30_000)
    client = bench.join(*names, last=5, replay=replay)
    bench.soon.all()
    assert client.seqs == [26, 27, 28, 29, 30]
    assert client.gaps == []


def test_the_newest_few_come_whole_though_more_is_published_meanwhile() -> None:
    bench = Bench()
    for _ in range(20):
        post(bench.hub, "a", b"x" * 30_000)
    client = bench.join("a", last=15)
    while bench.soon.one():
        if bench.hub.head < 100:
            for _ in range(16):
                post(bench.hub, "a", b"x" * 30_000)
    assert client.gaps == []
    assert client.seqs == list(range(6, bench.hub.head + 1))


def test_a_replay_stops_at_its_place(bench: Bench) -> None:
    for _ in range(3):
        post(bench.hub, "a")
    client = bench.join("a", since="earliest", replay=True)
    post(bench.hub, "a")
    bench.soon.all()
    assert client.seqs == [1, 2, 3] and client.replays == 1
    assert client.subscriber.feed is None


def test_a_delete_takes_back_what_is_remembered(bench: Bench) -> None:
    post(bench.hub, "a", b"secret")
    assert bench.join("a", since="earliest").seqs == [1]
    delete(bench.hub, "a")
    assert bench.join("a", since="earliest").seqs == [2]


def test_a_quiet_client_is_told_where_it_is_once(bench: Bench) -> None:
    client = bench.join("a")
    bench.soon.all()
    where = client.subscriber.unreported_position
    assert where() == ""
    post(bench.hub, "other")
    assert where() == f"{EPOCH}-1" and where() == ""
    post(bench.hub, "a")
    assert where() == "", "not before the record itself is written"
    bench.soon.all()
    assert where() == "", "the record has told it"
    post(bench.hub, "other")
    client.subscriber.pause()
    assert where() == "", "a client that lags is somewhere else"


def test_feeds_are_shared_and_let_go(bench: Bench) -> None:
    client = bench.join("a", "b")
    assert bench.feed("b", "a") is client.subscriber.feed
    assert sum(bench.feeds.interested("a").values()) == 1 and bench.feeds.interested("c") == {}
    for _ in range(10):
        bench.feeds.sweep()
    assert len(bench.feeds.all()) == 1
    client.leave()
    for _ in range(10):
        bench.feeds.sweep()
    assert bench.feeds.all() == [] and bench.feeds.interested("a") == {}
    post(bench.hub, "a")
    bench.soon.all()


class Whole(AnswerEncoder):
    """Answers with the numbers of the records, and the place."""

    way = "long-poll"

    def answer(self, records: Sequence[Record], position: int, changes: object) -> object:
        return [r.seq for r in records], position


def test_a_held_answer_is_given_once_to_all_who_wait(bench: Bench) -> None:
    feed = bench.feeds.feed(Selector(["a", "s"]), Whole(()))
    answers: list[object] = []
    feed.waiting[lambda a: answers.append(a)] = None
    feed.waiting[lambda a: answers.append(a)] = None
    put(bench.hub, "s", b"1"), put(bench.hub, "s", b"2"), post(bench.hub, "a")
    bench.soon.all()
    assert answers == [([2, 3], 3)] * 2 and not feed.waiting
    assert answers[0] is answers[1], "one answer for all"
    post(bench.hub, "a")
    bench.soon.all()
    assert len(answers) == 2


def test_the_latency_is_from_the_first_record_that_waits(bench: Bench) -> None:
    bench.join("a")
    bench.soon.all()
    post(bench.hub, "a")
    bench.clock.now += 0.2
    post(bench.hub, "a")
    bench.soon.all()
    assert sum(bench.counters.latency_counts) == 1
    assert bench.counters.latency_sum == pytest.approx(0.2)
