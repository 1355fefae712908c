"""The held records and the passes over them, against a plain list of all that ever happened."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hexcast.hub.history import SCAN_RECORDS, History
from hexcast.hub.hub import Hub
from hexcast.hub.scan import Scan
from hexcast.model.patterns import Selector, matches
from hexcast.model.problem import Problem
from hexcast.model.record import Draft, Record
from tests.support.fakes import EPOCH, Clock, age, delete, make_history, make_hub, post, put, tell

TOPICS = ["a", "a/b", "a/c", "d"]
SELECTIONS = [["a"], ["a/b"], ["a", "d"], ["a/b", "a/c", "d"], ["**"], ["a/*"], ["a", "a/*"], ["zz"],
              ["*", "zz"]]  # fmt: skip


class Did(NamedTuple):
    seq: int
    topic: str
    op: str


class Walk(NamedTuple):
    """All that a client was told along a walk of steps."""

    seqs: list[int]
    gaps: list[tuple[int, int, tuple[str, ...]]]


def walk(
    hub: Hub, names: list[str], cursor: int, horizon: int, *, limit: int = 3, size: int = 200
) -> Walk:
    """Make a whole pass in small steps, as a feed does."""
    selector, told = Selector(names), dict[str, int]()
    seqs: list[int] = []
    gaps = []
    for _ in range(1000):
        gap = hub.gap(selector, cursor, hub.id(cursor), told)
        if gap is not None:
            after, before = (int(x.rpartition("-")[2]) for x in (gap.after, gap.before))
            gaps.append((after, before, gap.topics))
        step = hub._history.scan(selector, Scan(cursor, horizon), limit=limit, size=size)
        assert step.position > cursor or step.position == horizon, "a step that goes nowhere"
        seqs += [r.seq for r in step.records]
        cursor = step.position
        if cursor >= horizon:
            return Walk(seqs, gaps)
    raise AssertionError("the pass never ends")


events = st.lists(
    st.tuples(
        st.sampled_from(["post"] * 4 + ["put"] * 3 + ["delete", "sweep", "time"]),
        st.sampled_from(TOPICS),
        st.integers(0, 60),
    ),
    max_size=50,
)
holds = st.tuples(
    st.sampled_from([1, 2, 3, 1000]),
    st.sampled_from([40, 100, 10**6]),
    st.sampled_from([5.0, 10**6]),
    st.sampled_from([1500, 4000, 10**9]),
)


def play(
    hub: Hub, clock: Clock, steps: list[tuple[str, str, int]], did: list[Did] | None = None
) -> list[Did]:
    """Do what is asked, where it is allowed; the list of all records that were accepted."""
    did = [] if did is None else did
    for n, (op, topic, size) in enumerate(steps):
        if op == "time":
            hub.sweep()  # as each second does: an age is known from the sweep after the record on
            clock.now += size / 10
        elif op == "sweep":
            hub.sweep()
        else:
            data = b"" if op == "delete" else (b"%d " % (len(did) * 100 + n)).ljust(size, b".")
            type = "" if op == "delete" else "text/plain"
            outcome = tell(hub, Draft(topic, op, data, type))  # type: ignore[arg-type]
            if not isinstance(outcome, Problem) and outcome.changed:
                did.append(Did(int(outcome.id.rpartition("-")[2]), topic, op))
    return did


@given(events, holds, st.integers(0, 50), st.sampled_from(SELECTIONS), st.integers(1, 5))
@example([("post", "a", 9)] * 5, (2, 10**6, 10**6, 10**9), 1, ["a"], 1)
@example([("put", "a", 9)] * 5, (2, 10**6, 10**6, 10**9), 1, ["**"], 1)
@example(
    [("post", "a", 1), ("time", "a", 60), ("sweep", "a", 0), ("post", "a", 1)],
    (1000, 10**6, 5.0, 10**9), 0, ["a"], 3,
)  # fmt: skip
def test_a_walk_tells_all_that_happened_or_a_gap(
    steps: list[tuple[str, str, int]],
    hold: tuple[int, int, float, int],
    cursor: int,
    names: list[str],
    limit: int,
) -> None:
    clock = Clock()
    hub = make_hub(make_history(*hold), clock)
    did = play(hub, clock, steps)
    selector = Selector(names)
    cursor = min(cursor, hub.head)
    said = walk(hub, names, cursor, hub.head, limit=limit)

    # In order, once, only what was asked for, only after the cursor.
    ours = {d.seq: d for d in did if selector.matches(d.topic)}
    assert said.seqs == sorted(set(said.seqs))
    assert all(seq in ours and seq > cursor for seq in said.seqs)

    covered = set()
    for after, before, topics in said.gaps:
        assert after >= cursor
        covered |= {
            d.seq for d in ours.values()
            if after < d.seq < before and any(matches(t, d.topic) for t in topics)
        }  # fmt: skip

    def later(d: Did) -> list[Did]:
        return [x for x in did if x.topic == d.topic and x.seq > d.seq]

    for d in ours.values():
        if d.seq <= cursor or d.seq in said.seqs:
            continue
        rest = later(d)
        if any(x.op == "delete" for x in rest):
            continue  # gone on purpose
        if d.op == "put":
            assert rest, f"{d} is a state's newest value, and was not told"
            continue
        if d.op == "delete" and rest:
            continue  # the topic has begun again
        assert d.seq in covered, f"{d} was lost, and no gap says so: {said}"

    # A gap is told only where something of what it names was lost. Of topics that were forgotten
    # whole only the newest place is known, so there a gap may say too much.
    for after, before, topics in said.gaps:
        for name in topics:
            lost = [
                d for d in ours.values()
                if matches(name, d.topic) and after < d.seq < before and d.seq not in said.seqs
            ]  # fmt: skip
            assert lost or after < hub._history.floor, f"nothing of {name} was lost: {said}"


@given(events, holds, st.sampled_from(SELECTIONS))
def test_a_pass_gives_exactly_what_is_held(
    steps: list[tuple[str, str, int]], hold: tuple[int, int, float, int], names: list[str]
) -> None:
    clock = Clock()
    hub = make_hub(make_history(*hold), clock)
    play(hub, clock, steps)
    selector = Selector(names)
    held = sorted(
        r.seq for t in hub._topics.values() if selector.matches(t.name) for r in t.after(0)
    )
    for cursor in (0, hub.head // 2, hub.head):
        assert walk(hub, names, cursor, hub.head).seqs == [s for s in held if s > cursor]


@given(events, events)
def test_what_comes_later_does_not_change_a_pass(
    steps: list[tuple[str, str, int]], more: list[tuple[str, str, int]]
) -> None:
    clock = Clock()
    hub = make_hub(clock=clock)
    # (What is deleted is gone, so a pass that meets a delete may tell less than it would have.)
    play(hub, clock, [s for s in steps if s[0] != "delete"])
    horizon = hub.head
    before = walk(hub, ["**"], 0, horizon).seqs
    play(hub, clock, [m for m in more if m[0] in ("post", "put")])
    assert walk(hub, ["**"], 0, horizon).seqs == before


@given(events, holds)
def test_what_is_held_is_within_bounds(
    steps: list[tuple[str, str, int]], hold: tuple[int, int, float, int]
) -> None:
    clock = Clock()
    hub = make_hub(make_history(*hold), clock)
    did: list[Did] = []
    records, size, seconds, total = hold
    for step in steps:
        play(hub, clock, [step], did)
        history = hub._history
        held = [r for r in history._order if r.retained]
        assert history.total == sum(len(r.data) + 320 for r in held)
        for topic in hub._topics.values():
            if topic.kind == "stream":
                assert len(topic) <= max(1, records)
                assert topic.size <= size or len(topic) == 1
            else:
                assert len(topic) <= 2  # a value, and the end of the stream it once was
            assert set(topic.after(0)) <= set(held)
        streams = [t for t in hub._topics.values() if t.kind == "stream"]
        if history.total > total:
            assert not any(len(t) for t in streams), "streams are let go before the bound is passed"
        if step[0] == "sweep":
            oldest = min((r.time for t in streams for r in t.after(0)), default=clock.ms())
            assert oldest >= clock.ms() - seconds * 1000


@given(events, holds)
def test_a_state_is_held_until_it_is_deleted(
    steps: list[tuple[str, str, int]], hold: tuple[int, int, float, int]
) -> None:
    clock = Clock()
    hub = make_hub(make_history(*hold), clock)
    values: dict[str, int] = {}
    did: list[Did] = []
    for step in steps:
        known = len(did)
        play(hub, clock, [step], did)
        for d in did[known:]:
            values.pop(d.topic, None)
            if d.op == "put":
                values[d.topic] = d.seq
        for name, seq in values.items():
            value = hub._topics[name].value
            assert value is not None and value.seq == seq


def test_a_state_that_was_a_stream_is_held_though_all_is_full() -> None:
    hub = make_hub(make_history(total=1100))
    put(hub, "b", b"x" * 60), put(hub, "c", b"x" * 60)
    post(hub, "a", b"")
    delete(hub, "a")
    seq = put(hub, "a", b"x" * 60)
    assert "a" in hub._topics
    value = hub._topics["a"].value
    assert value is not None and value.seq == seq and value.retained
    records = hub._history.scan(Selector(["a"]), Scan(0, hub.head)).records
    assert [r.seq for r in records][-1:] == [seq]


# Sweeping many at once


def test_a_sweep_of_many_old_records() -> None:
    """The order of all records is put together anew while the sweep walks over it."""
    clock = Clock()
    hub = make_hub(make_history(seconds=60), clock)
    for n in range(6000):
        post(hub, f"t/{n % 3}")
    age(hub, clock, 30)
    for n in range(500):
        post(hub, f"t/{n % 3}")
    age(hub, clock, 40)
    assert [r.seq for t in hub._topics.values() for r in t.after(0) if r.seq <= 6000] == []
    assert len(walk(hub, ["t/*"], 6000, hub.head, limit=1000, size=10**6).seqs) == 500
    assert hub._history.total == 500 * 321


def test_a_total_that_is_passed_by_much_at_once() -> None:
    hub = make_hub(make_history(total=4_000_000))
    for _ in range(12_000):
        post(hub, "small")
    post(hub, "big", b"x" * 3_900_000)
    assert hub._history.total <= 4_000_000
    held = [r.seq for t in hub._topics.values() for r in t.after(0)]
    assert held == list(range(min(held), hub.head + 1)), "the oldest go first, and nothing between"


def test_publishing_goes_on_whatever_the_sweep_has_to_do() -> None:
    hub = make_hub(make_history(total=2_000_000))
    for n in range(20_000):
        post(hub, f"t/{n % 7}", b"x" * (n % 700))
        if n % 500 == 0:
            post(hub, "big", b"x" * 1_000_000)
    assert hub._history.total <= 2_000_000
    order = [r for r in hub._history._order if r.retained]
    assert hub._history.total == sum(len(r.data) + 320 for r in order)
    # What is still held at the end is what is newest: nothing was passed over by the sweeps.
    held = sorted(r.seq for t in hub._topics.values() for r in t.after(0))
    assert held == list(range(held[0], hub.head + 1))


# Topics forgotten whole


def test_a_stream_that_aged_away_and_began_again_has_a_gap() -> None:
    clock = Clock()
    hub = make_hub(make_history(seconds=5), clock)
    post(hub, "a"), post(hub, "a"), post(hub, "a")
    age(hub, clock, 60)
    assert "a" not in hub._topics
    assert hub.gap(Selector(["a"]), 1, hub.id(1), {}) is not None
    post(hub, "a")
    for names in (["a"], ["*"], ["a", "b"]):
        gap = hub.gap(Selector(names), 1, hub.id(1), {})
        assert gap is not None, f"two records after the cursor are lost to {names}"
        assert gap.before == f"{EPOCH}-4"


def test_a_fresh_step_when_a_deleted_state_was_forgotten() -> None:
    """A client that stopped reading at once goes on with a pass whose horizon is long past."""
    clock = Clock()
    hub = make_hub(make_history(seconds=5), clock)
    put(hub, "s", b"1")
    horizon = hub.head
    put(hub, "s", b"2")
    delete(hub, "s")
    age(hub, clock, 60)
    assert "s" not in hub._topics
    step = hub._history.scan(Selector(["*"]), Scan(0, horizon, backlog=0))
    assert step.position == horizon


# A client without a cursor


@given(events, st.integers(0, 5), st.sampled_from(SELECTIONS), st.integers(1, 3))
def test_what_a_client_without_a_cursor_starts_with(
    steps: list[tuple[str, str, int]], last: int, names: list[str], limit: int
) -> None:
    clock = Clock()
    hub = make_hub(clock=clock)
    did = play(hub, clock, steps)
    wanted = []
    for name in TOPICS:
        if not Selector(names).matches(name):
            continue
        mine = [d for d in did if d.topic == name]
        begun = max((n + 1 for n, d in enumerate(mine) if d.op == "delete"), default=0)
        era = mine[begun:]
        if era and era[-1].op == "put":
            wanted.append(era[-1].seq)
        elif last:
            wanted += [d.seq for d in era[-last:]]
    got: list[int] = []
    cursor, horizon = 0, hub.head
    while True:
        step = hub._history.scan(Selector(names), Scan(cursor, horizon, backlog=last), limit=limit)
        got += [r.seq for r in step.records]
        cursor = step.position
        if cursor >= horizon:
            break
    assert got == sorted(wanted)


@pytest.mark.parametrize("names", [["a"], ["a", "b"], ["*"]])
def test_the_newest_records_are_those_up_to_the_horizon(names: list[str]) -> None:
    """More is published while the starting records are sent in steps."""
    hub = make_hub()
    for _ in range(20):
        post(hub, "a")
    horizon = hub.head
    got: list[Record] = []
    cursor = 0
    while cursor < horizon:
        step = hub._history.scan(Selector(names), Scan(cursor, horizon, backlog=10), limit=2)
        got += step.records
        cursor = step.position
        for _ in range(5):
            post(hub, "a")
    assert [r.seq for r in got] == list(range(11, 21))


# Steps


def test_a_step_looks_at_so_many_records_and_no_more() -> None:
    hub = make_hub(make_history(records=10**6))
    for n in range(SCAN_RECORDS + 500):
        post(hub, f"a{n % 5000}")
    put(hub, "z")
    step = hub._history.scan(Selector(["z", "y/*"]), Scan(0, hub.head))
    assert step.records == [] and step.position == SCAN_RECORDS
    step = hub._history.scan(Selector(["z", "y/*"]), Scan(step.position, hub.head))
    assert [r.seq for r in step.records] == [hub.head] and step.position == hub.head
    found = hub._history.search(Selector(["z", "y/*"]), Scan(0, hub.head))
    assert [r.seq for r in found.records] == [hub.head] and found.position == hub.head
    assert hub._history.search(Selector(["y/*"]), Scan(0, hub.head)).position == hub.head


def test_states_that_changed_often_are_found_at_once() -> None:
    hub = make_hub(make_history(records=10**6))
    for n in range(2 * SCAN_RECORDS):
        put(hub, f"m/{n % 5}", b"%d" % n)
    newest = list(range(hub.head - 4, hub.head + 1))
    for fresh in (None, 1):
        step = hub._history.scan(Selector(["m/*"]), Scan(0, hub.head, backlog=fresh))
        assert [r.seq for r in step.records] == newest and step.position == hub.head
    assert [r.seq for r in hub._history.newest(Selector(["m/*", "m/1"]))] == newest


def test_a_few_topics_are_found_without_looking_at_all_the_others() -> None:
    hub = make_hub(make_history(records=10**6))
    first = post(hub, "a")
    for _ in range(SCAN_RECORDS + 500):
        post(hub, "noise")
    last = put(hub, "z")
    step = hub._history.scan(Selector(["a", "z"]), Scan(0, hub.head))
    assert [r.seq for r in step.records] == [first, last] and step.position == hub.head


def test_a_state_is_not_withheld_from_a_long_pass_over_a_few_topics() -> None:
    """The pass rule: of each state its newest place up to the horizon, whatever came after."""
    hub = make_hub(make_history(records=10**6))
    state = put(hub, "z", b"1")
    for _ in range(SCAN_RECORDS + 500):
        post(hub, "noise")
    post(hub, "a")
    horizon = hub.head
    put(hub, "z", b"2")
    few = hub._history.scan(Selector(["a", "z"]), Scan(0, horizon))
    assert [r.seq for r in few.records] == [state, horizon]


def test_a_step_ends_after_so_many_bytes() -> None:
    hub = make_hub()
    for _ in range(10):
        post(hub, "a", b"x" * 1000)
    step = hub._history.scan(Selector(["a"]), Scan(0, hub.head), size=2500)
    assert [r.seq for r in step.records] == [1, 2, 3] and step.position == 3


def test_a_step_ends_at_a_topics_last_record() -> None:
    hub = make_hub()
    post(hub, "a"), post(hub, "a", end=True), post(hub, "a")
    assert hub._history.scan(Selector(["a"]), Scan(0, 3)).position == 2
    assert hub._history.scan(Selector(["a", "b"]), Scan(0, 3)).position == 3


# The bound on all topics


def test_the_bound_is_told_when_states_alone_reach_it() -> None:
    hub = make_hub(make_history(total=2000))
    for n in range(4):
        put(hub, f"s/{n}", b"x" * 100)
    assert not hub._history.full
    put(hub, "s/4", b"x" * 100)
    assert hub._history.full
    delete(hub, "s/0")
    put(hub, "s/1", b"")
    assert isinstance(hub._history, History) and hub._history.total <= 2100


def test_what_was_superseded_is_remembered_within_bounds() -> None:
    hub = make_hub()
    for n in range(100):
        put(hub, "s", b"%d" % n * 100_000)
    assert hub._history.total < 6 * 2**20
    assert hub._history.topics["s"].size <= 200_000
