"""Idempotency keys: a repeat answers as the first did, for as long as a key is known."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexcast.hub import idempotency as keys
from hexcast.hub.idempotency import RETAINED_SECONDS, IdempotencyKeys, use_of
from hexcast.model.problem import Problem
from hexcast.model.record import Draft, Published
from tests.support.fakes import Clock, accepted, make_history, make_hub, put, refused, tell


def draft(key: str = "k", data: bytes = b"1", topic: str = "t", **more: str) -> Draft:
    return Draft(topic, "post", data, "text/plain", key=key, **more)  # type: ignore[arg-type]


DONE = Published("e-1", "t", True, True)


def begin(used: IdempotencyKeys, draft: Draft, now: float) -> Published | Problem | None:
    """What a hub does when it stages a draft."""
    use = use_of(draft)
    known = used.find(draft.topic, use, now)
    if known is None:
        used.begin(draft.topic, use, now)
    return known


def settle(used: IdempotencyKeys, draft: Draft, now: float = 0) -> None:
    used.settle(draft.topic, use_of(draft), DONE, now)


def test_a_key_is_new_then_in_progress_then_answered() -> None:
    used = IdempotencyKeys()
    assert begin(used, draft(), 0) is None
    in_progress = begin(used, draft(), 1)
    assert isinstance(in_progress, Problem) and in_progress.status == 409
    settle(used, draft())
    assert begin(used, draft(), 2) is DONE


@pytest.mark.parametrize("other", [
    draft(data=b"2"),
    Draft("t", "put", b"1", "text/plain", key="k"),
    Draft("t", "post", b"1", "text/html", key="k"),
    Draft("t", "post", b"1", "text/plain", event="e", key="k"),
    Draft("t", "post", b"1", "text/plain", end=True, key="k"),
])  # fmt: skip
def test_other_content_under_the_same_key(other: Draft) -> None:
    used = IdempotencyKeys()
    assert begin(used, draft(), 0) is None
    settle(used, draft())
    problem = begin(used, other, 0)
    assert isinstance(problem, Problem) and problem.status == 422
    assert begin(used, draft(), 0) is DONE


@pytest.mark.parametrize(
    "other", [draft(topic="u"), draft(key="l"), draft(publisher="somebody else")]
)
def test_keys_do_not_meet(other: Draft) -> None:
    used = IdempotencyKeys()
    assert begin(used, draft(), 0) is None
    assert begin(used, other, 0) is None


@given(st.lists(st.tuples(st.integers(0, 90), st.sampled_from("abc")), max_size=30))
def test_a_key_is_known_for_two_minutes_and_not_for_ever(uses: list[tuple[int, str]]) -> None:
    used, now, first = IdempotencyKeys(), 0, dict[str, int]()
    for wait, key in uses:
        now += wait
        outcome = begin(used, draft(key), now)
        if key in first and now - first[key] <= 120:
            assert outcome is not None, "deleted too early"
        if key not in first or now - first[key] > RETAINED_SECONDS:
            assert outcome is None, "known for too long"
        if outcome is None:
            first[key] = now
            settle(used, draft(key), now)
        used.expire(now)
    used.expire(now + RETAINED_SECONDS + 1)
    assert not used._uses


def test_the_use_of_a_key_on_another_node_is_known() -> None:
    used = IdempotencyKeys()
    settle(used, draft())
    assert begin(used, draft(), 0) is DONE


def test_what_came_to_nothing_may_be_tried_again() -> None:
    used = IdempotencyKeys()
    assert begin(used, draft(), 0) is None
    used.discard("t", use_of(draft()))
    assert begin(used, draft(), 0) is None


def test_keys_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "MAX_KEYS", 3)
    used = IdempotencyKeys()
    for key in "abc":
        assert begin(used, draft(key), 0) is None
    problem = begin(used, draft("d"), 0)
    assert isinstance(problem, Problem) and problem.status == 503 and problem.retry_after
    # What is known stays known, and room is made in time.
    assert isinstance(begin(used, draft("a"), 0), Problem)
    assert begin(used, draft("d"), RETAINED_SECONDS + 1) is None


# Through the hub


def test_a_repeat_publishes_nothing_and_answers_the_same() -> None:
    hub = make_hub()
    first = accepted(tell(hub, draft()))
    assert accepted(tell(hub, draft())) == first and hub.head == 1
    assert refused(tell(hub, draft(data=b"2"))).status == 422 and hub.head == 1


def test_a_repeat_of_an_unchanged_put() -> None:
    hub = make_hub()
    put(hub, "t", b"1")
    same = Draft("t", "put", b"1", "text/plain", key="k")
    first = accepted(tell(hub, same))
    assert not first.changed
    put(hub, "t", b"2")
    assert accepted(tell(hub, same)) == first and hub.head == 2


def test_keys_are_forgotten_by_the_sweep() -> None:
    clock = Clock()
    hub = make_hub(clock=clock)
    tell(hub, draft())
    clock.now += RETAINED_SECONDS + 1
    hub.sweep()
    tell(hub, draft())
    assert hub.head == 2


def test_a_passing_refusal_is_not_the_answer_for_ever() -> None:
    """503 says "retry with the same key": so the retry must be judged anew."""
    hub = make_hub(make_history(total=500))
    put(hub, "big", b"x" * 600)
    assert refused(tell(hub, draft())).status == 503
    tell(hub, Draft("big", "delete"))
    assert accepted(tell(hub, draft())).changed
