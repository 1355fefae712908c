"""What is held of one topic, against a plain list."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexcast.hub.topic import Topic
from hexcast.model.record import Record


def record(seq: int, op: str = "post", size: int = 1) -> Record:
    data = b"" if op == "delete" else b"x" * size
    return Record("e", seq, "t", op, "", "text/plain", data, 0, False)  # type: ignore[arg-type]


steps = st.lists(
    st.tuples(
        st.sampled_from(["add", "add", "add", "delete", "replace", "evict"]), st.integers(0, 9)
    ),
    max_size=30,
)


@given(steps, st.integers(0, 35), st.integers(0, 6))
def test_a_topic_is_a_list(steps: list[tuple[str, int]], asked: int, count: int) -> None:
    topic, model, evicted = Topic("t", "stream"), [], 0
    for seq, (step, size) in enumerate(steps, 1):
        if step == "add":
            model.append(record(seq, size=size))
            topic.add(model[-1])
        elif step == "delete":
            model.append(record(seq, "delete"))
            topic.add(model[-1])
        elif step == "replace":
            model = [record(seq, "put", size)]
            topic.replace(model[0])
        else:
            gone = topic.evict()
            assert gone is (model.pop(0) if model else None)
            evicted = gone.seq if gone else evicted
        assert len(topic) == len(model)
        assert topic.size == sum(len(r.data) for r in model)
        assert topic.newest is (model[-1] if model else None)
        assert topic.evicted == evicted
        assert list(topic.after(0)) == model
        assert list(topic.after(asked)) == [r for r in model if r.seq > asked]
        assert topic.find(asked) is next((r for r in model if r.seq == asked), None)
        newest = model[-1] if model else None
        assert topic.value is (None if newest is None or newest.op == "delete" else newest)
        # A window is made for two records or more; a million topics of one cost no container.
        assert (topic.window is not None) == (len(model) > 1)

    # The newest `count` up to a horizon, back to the last delete at most.
    upto = [r for r in model if r.seq <= asked]
    begin = max((n + 1 for n, r in enumerate(upto) if r.op == "delete"), default=0)
    wanted = upto[begin:][max(0, len(upto) - begin - count) :] if count else []
    start = topic.since_last(count, asked)
    assert [r for r in topic.after(start) if r.seq <= asked] == wanted


def test_the_rate_of_a_steady_stream_and_of_a_quiet_one() -> None:
    topic = Topic("t", "stream")
    for tenth in range(1000):
        topic.count(tenth * 100)
    now = 99_900
    assert topic.rate(now) == pytest.approx(10, rel=0.1)
    assert topic.rate(now + 10_000) == pytest.approx(topic.rate(now) / math.e, rel=0.01)
    assert topic.rate(now + 10**9) < 0.001


def test_the_rate_when_the_clock_goes_back() -> None:
    topic = Topic("t", "stream")
    topic.count(10_000)
    topic.count(5_000)
    assert 0 < topic.rate(1_000) < math.inf
