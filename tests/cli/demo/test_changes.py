"""What counts as a notable change of the machine."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexcast.cli.demo.changes import Burst, Changes, Drift, Threshold
from hexcast.cli.demo.machine import Machine, Snapshot

CALM = Snapshot(
    cpu_percent=5.0,
    cpu_each=(5.0, 5.0),
    load=(0.1, 0.1, 0.1),
    memory_total=100,
    memory_available=60,
    memory_percent=40.0,
    swap_percent=0.0,
    disk_total=100,
    disk_free=50,
    disk_percent=50.0,
    disk_read=0.0,
    disk_written=0.0,
    network_received=1e4,
    network_sent=1e4,
    interfaces_up=frozenset({"lo"}),
    processes=100,
)


def told(*snapshots: Snapshot) -> list[list[str]]:
    changes = Changes()
    return [[change.event for change in changes.of(snapshot)] for snapshot in snapshots]


def test_nothing_is_told_of_a_calm_machine() -> None:
    assert told(*[CALM] * 5) == [[]] * 5


@pytest.mark.parametrize(
    ("name", "high", "between"),
    [
        ("memory", {"memory_percent": 90.0}, {"memory_percent": 86.0}),
        ("swap", {"swap_percent": 50.0}, {"swap_percent": 41.0}),
        ("disk", {"disk_percent": 95.0}, {"disk_percent": 89.0}),
        ("load", {"load": (3.0, 1.0, 1.0)}, {"load": (2.2, 1.0, 1.0)}),
    ],
)
def test_a_level_is_told_when_it_is_reached_and_when_it_is_left(
    name: str, high: dict[str, object], between: dict[str, object]
) -> None:
    above = replace(CALM, **high)  # type: ignore[arg-type]  # of the right types each
    middle = replace(CALM, **between)  # type: ignore[arg-type]
    events = told(CALM, middle, above, middle, above, CALM, middle)
    assert events == [[], [], [f"{name}-high"], [], [], [f"{name}-normal"], []]


def test_a_moment_of_work_is_no_high_load_of_the_processors() -> None:
    busy = replace(CALM, cpu_percent=100.0)
    assert told(CALM, busy, busy, CALM, CALM, CALM) == [[]] * 6
    assert told(busy, busy, busy, CALM, CALM, CALM) == [
        *([], [], ["cpu-high"], [], ["cpu-normal"], [])
    ]


def test_bursts() -> None:
    fast = replace(CALM, network_received=5e6)
    assert told(CALM, fast, fast, CALM) == [[], ["received-burst"], [], ["received-calm"]]
    assert told(fast, fast) == [[], []]  # it was so from the beginning: that is no change
    small = replace(CALM, network_sent=9e5)  # ninety times as much, and still nothing
    assert told(CALM, small) == [[], []]


def test_processes_and_interfaces() -> None:
    more = replace(CALM, processes=112)
    up = replace(CALM, interfaces_up=frozenset({"lo", "eth0"}))
    assert told(CALM, replace(CALM, processes=105), more, CALM) == [
        *([], [], ["processes"], ["processes"])
    ]
    assert told(CALM, up, CALM) == [[], ["interface-up"], ["interface-down"]]


VALUES = st.lists(st.floats(0, 100), max_size=60)


@given(values=VALUES, over=st.integers(1, 4))
def test_a_threshold_tells_by_turns_and_only_beyond_its_bounds(
    values: list[float], over: int
) -> None:
    threshold = Threshold(high=80, low=50, over=over)
    states = [threshold.is_high for value in values if threshold.changed(value)]
    assert states == [n % 2 == 0 for n in range(len(states))]
    if max(values, default=0) < 80:
        assert states == []


@given(values=VALUES)
def test_a_burst_begins_and_ends_by_turns(values: list[float]) -> None:
    burst = Burst(least=10)
    states = [burst.is_high for value in values if burst.changed(value)]
    assert states == [n % 2 == 0 for n in range(len(states))]


@given(values=st.lists(st.integers(0, 1000), max_size=60))
def test_what_has_drifted_is_told_once(values: list[int]) -> None:
    drift = Drift(least=10)
    sum_told = sum(drift.moved(value) for value in values)
    if values:
        assert drift.told == values[0] + sum_told
        assert abs(values[-1] - drift.told) < max(10, drift.told / 10)


def test_a_burst_that_lasts_becomes_usual() -> None:
    burst = Burst(least=10)
    assert [burst.changed(rate) for rate in [1.0] + [100.0] * 30].count(True) == 2
    assert not burst.is_high


def test_this_machine_can_be_read() -> None:
    machine = Machine()
    snapshot = machine.read()
    assert snapshot.memory_total > snapshot.memory_available > 0
    assert 0 <= snapshot.cpu_percent <= 100
    assert snapshot.processes > 0
    states = snapshot.states()
    assert set(states) == {"cpu", "memory", "disk", "network", "load"}
    assert states["memory"]["total"] == snapshot.memory_total
