"""The wheel of timers: never early, at most one resolution late, each time once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hexcast.http.timers import TimerWheel

RESOLUTION = 0.25


class Thing:
    """Notes when it was called; may set itself, or others, anew from there."""

    def __init__(self, timers: TimerWheel) -> None:
        self.timers = timers
        self.due = 0.0
        self.bucket = 0
        self.calls: list[float] = []
        self.then: list[tuple[Thing, float | None]] = []
        self.wanted: float | None = None  # by the test's own book

    def timeout(self) -> None:
        now = self.timers.now  # type: ignore[attr-defined]
        assert self.wanted is not None, "called though nothing was set"
        assert self.wanted <= now, "early"
        assert now < self.wanted + 2 * RESOLUTION + 1e-9, "late"
        self.wanted = None
        self.calls.append(now)
        todo, self.then = self.then, []
        for other, after in todo:
            other.set(None if after is None else now + after)

    def set(self, when: float | None) -> None:
        if when is None:
            self.timers.remove(self)
        else:
            self.timers.set(self, when)
        self.wanted = when


class Turning(TimerWheel):
    def __init__(self, start: float) -> None:
        super().__init__(RESOLUTION)
        self.now = start
        self.advance(start)

    def go_on(self, seconds: float) -> None:
        steps = round(seconds / RESOLUTION)
        for _ in range(steps):
            self.now += RESOLUTION
            self.advance(self.now)


times = st.floats(0.001, 20, allow_nan=False)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("set"), st.integers(0, 4), times),
        st.tuples(st.just("cancel"), st.integers(0, 4), times),
        st.tuples(st.just("go"), st.integers(0, 4), times),
        st.tuples(st.just("then set"), st.integers(0, 24), times),
        st.tuples(st.just("then cancel"), st.integers(0, 24), times),
    ),
    max_size=40,
)


@given(steps, st.floats(0, 10**6))
def test_any_order_of_setting_moving_and_cancelling(
    steps: list[tuple[str, int, float]], start: float
) -> None:
    timers = Turning(start)
    things = [Thing(timers) for _ in range(5)]
    for step, which, time in steps:
        thing = things[which % 5]
        if step == "set":
            thing.set(timers.now + time)
        elif step == "cancel":
            thing.set(None)
        elif step == "go":
            timers.go_on(time)
        else:
            thing.then.append((things[which // 5], time if step == "then set" else None))
        for t in things:
            assert t.wanted is None or t.wanted > timers.now - 2 * RESOLUTION - 1e-9, "forgotten"
    for thing in things:
        thing.then = []
    timers.go_on(30)
    assert all(t.wanted is None for t in things), "forgotten"
    assert len(timers) == 0


def test_a_deadline_on_the_dot_is_met_at_the_next_turn() -> None:
    timers = Turning(100.0)
    thing = Thing(timers)
    thing.set(101.0)
    timers.go_on(0.75)
    assert thing.calls == []
    timers.go_on(0.25)
    assert thing.calls == [101.0]


def test_moving_a_deadline_later_again_and_again_costs_no_bucket() -> None:
    timers = Turning(100.0)
    thing = Thing(timers)
    for n in range(1000):
        thing.set(timers.now + 5 + n / 100)
    assert len(timers) == 1 and len(timers._buckets) == 1


def test_a_clock_that_stood_still_for_long() -> None:
    timers = Turning(100.0)
    things = [Thing(timers) for _ in range(3)]
    for n, thing in enumerate(things):
        timers.set(thing, 101.0 + n)
        thing.wanted = 10_000.0  # however late: once
    timers.now = 10_000.0
    timers.advance(timers.now)
    assert [t.calls for t in things] == [[10_000.0]] * 3
