from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hexcast.client.backoff import Backoff


def test_the_bound_doubles_up_to_the_cap() -> None:
    backoff = Backoff(base=0.5, cap=30.0, draw=lambda: 1.0)
    assert [backoff.next() for _ in range(8)] == [0.5, 1, 2, 4, 8, 16, 30, 30]


def test_a_success_begins_anew() -> None:
    backoff = Backoff(base=0.5, draw=lambda: 1.0)
    for _ in range(5):
        backoff.next()
    backoff.reset()
    assert backoff.failures == 0
    assert backoff.next() == 0.5


def test_it_goes_on_for_ever() -> None:
    backoff = Backoff(cap=30.0, draw=lambda: 1.0)
    assert [backoff.next() for _ in range(5000)][-1] == 30.0


@given(
    draws=st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=20),
    floor=st.floats(0, 100),
)
def test_never_less_than_asked_and_never_more_than_the_cap_above_it(
    draws: list[float], floor: float
) -> None:
    remaining = iter(draws)
    backoff = Backoff(base=0.5, cap=30.0, draw=lambda: next(remaining))
    for draw in draws:
        seconds = backoff.next(floor)
        assert floor <= seconds <= floor + 30.0
        assert draw or seconds == floor  # full jitter: the whole range, down to nothing
