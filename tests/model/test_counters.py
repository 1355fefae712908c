"""The counters of the hot paths."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexcast.model.counters import BUCKETS, WAYS, Counters


@given(st.lists(st.tuples(st.floats(0, 5), st.integers(0, 1000)), max_size=30))
def test_each_latency_is_in_its_bucket(said: list[tuple[float, int]]) -> None:
    counters = Counters()
    for seconds, deliveries in said:
        counters.latency(seconds, deliveries)
    total = 0
    for bound, count in zip((*BUCKETS, float("inf")), counters.latency_counts, strict=True):
        total += count
        assert total == sum(n for seconds, n in said if seconds <= bound)
    assert counters.latency_sum == pytest.approx(sum(s * n for s, n in said))


CONTRACT = {"refresh", "poll", "long-poll", "sse", "websocket", "push"}


def test_every_way_of_the_contract_has_a_meter_of_its_own() -> None:
    counters = Counters()
    assert set(counters.ways) == set(WAYS) == CONTRACT
    counters.ways["sse"].clients += 1
    assert counters.ways["poll"].clients == 0
