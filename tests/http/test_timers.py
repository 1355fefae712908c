"""The wheel of timers: never early, at most one resolution late, each time once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hexcast.http.timers import Wheel

RESOLUTION = 0.25


class Thing:
    """Notes when it was called; may set itself, or others, anew from there."""

    def __init__(self, wheel: Wheel) -> None:
        self.wheel = wheel
        self.due = 0.0
        self.bucket = 0
        self.calls: list[float] = []
        self.then: list[tuple[Thing, float | None]] = []
        self.wanted: float | None = None  # by the test's own book

    def timeout(self) -> None:
        now = self.wheel.now  # type: ignore[attr-defined]
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
            self.wheel.cancel(self)
        else:
            self.wheel.set(self, when)
        self.wanted = when


class Turning(Wheel):
    def __init__(self, start: float) -> None:
        super().__init__(RESOLUTION)
        self.now = start
        self.turn(start)

    def go_on(self, seconds: float) -> None:
        steps = round(seconds / RESOLUTION)
        for _ in range(steps):
            self.now += RESOLUTION
            self.turn(self.now)


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
    wheel = Turning(start)
    things = [Thing(wheel) for _ in range(5)]
    for step, which, time in steps:
        thing = things[which % 5]
        if step == "set":
            thing.set(wheel.now + time)
        elif step == "cancel":
            thing.set(None)
        elif step == "go":
            wheel.go_on(time)
        else:
            thing.then.append((things[which // 5], time if step == "then set" else None))
        for t in things:
            assert t.wanted is None or t.wanted > wheel.now - 2 * RESOLUTION - 1e-9, "forgotten"
    for thing in things:
        thing.then = []
    wheel.go_on(30)
    assert all(t.wanted is None for t in things), "forgotten"
    assert len(wheel) == 0


def test_a_deadline_on_the_dot_is_met_at_the_next_turn() -> None:
    wheel = Turning(100.0)
    thing = Thing(wheel)
    thing.set(101.0)
    wheel.go_on(0.75)
    assert thing.calls == []
    wheel.go_on(0.25)
    assert thing.calls == [101.0]


def test_moving_a_deadline_later_again_and_again_costs_no_bucket() -> None:
    wheel = Turning(100.0)
    thing = Thing(wheel)
    for n in range(1000):
        thing.set(wheel.now + 5 + n / 100)
    assert len(wheel) == 1 and len(wheel._buckets) == 1


def test_a_clock_that_stood_still_for_long() -> None:
    wheel = Turning(100.0)
    things = [Thing(wheel) for _ in range(3)]
    for n, thing in enumerate(things):
        wheel.set(thing, 101.0 + n)
        thing.wanted = 10_000.0  # however late: once
    wheel.now = 10_000.0
    wheel.turn(wheel.now)
    assert [t.calls for t in things] == [[10_000.0]] * 3
