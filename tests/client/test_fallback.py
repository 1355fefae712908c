from __future__ import annotations

import pytest

from hexcast.client.fallback import Plan, WayChoice


def test_auto_begins_with_the_best_and_stays_while_it_works() -> None:
    plan = Plan("auto")
    assert plan.way == "sse"
    for _ in range(10):
        assert plan.failed()
        plan.worked()
        assert plan.way == "sse"


def test_auto_goes_on_after_two_failures_and_round_at_the_end() -> None:
    plan = Plan("auto")
    ways = []
    for _ in range(10):
        ways.append(plan.way)
        assert plan.failed()
    assert ways == [w for w in ("sse", "websocket", "long-poll", "poll", "sse") for _ in range(2)]


def test_auto_goes_on_at_once_from_a_way_that_is_not_there_and_gives_up_after_the_last() -> None:
    plan = Plan("auto")
    ways = [plan.way]
    while plan.failed(for_good=True):
        ways.append(plan.way)
    assert ways == ["sse", "websocket", "long-poll", "poll"]


def test_a_way_that_works_in_between_gives_all_of_them_another_try() -> None:
    plan = Plan("auto")
    for _ in range(3):
        assert plan.failed(for_good=True)
    plan.worked()
    assert plan.way == "poll"
    assert plan.failed(for_good=True)


@pytest.mark.parametrize("way", ["sse", "poll", "long-poll", "websocket", "refresh"])
def test_a_chosen_way_is_kept(way: WayChoice) -> None:
    plan = Plan(way)
    for _ in range(5):
        assert plan.failed()
        assert plan.way == way
    assert not plan.failed(for_good=True)
