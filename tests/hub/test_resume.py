"""Where a client starts, by what it brings (protocol 3)."""

from __future__ import annotations

import pytest

from hexcast.hub.hub import Hub
from hexcast.hub.resume import MAX_LAST, ResumePoint, resume_point
from hexcast.hub.scan import Scan
from hexcast.model.patterns import Selector
from hexcast.model.problem import Problem
from hexcast.model.record import Gap
from tests.support.fakes import EPOCH, make_history, make_hub, post, put

A = Selector(["a"])


@pytest.fixture
def hub() -> Hub:
    hub = make_hub(make_history(records=3))
    for _ in range(5):
        post(hub, "a")
    return hub


def test_without_a_cursor(hub: Hub) -> None:
    start = resume_point(hub, A)
    assert (start.scan.cursor, start.scan.horizon, start.scan.backlog, start.gap) == (0, 5, 0, None)
    assert resume_point(hub, A, last=3).scan.backlog == 3
    assert resume_point(hub, A, last=-3).scan.backlog == 0
    assert resume_point(hub, A, last=10**30).scan.backlog == MAX_LAST


@pytest.mark.parametrize("form", ["header", "since"])
def test_the_same_cursor_either_way(hub: Hub, form: str) -> None:
    start = resume_point(hub, A, **{form: f"{EPOCH}-4"})
    assert (start.scan.cursor, start.scan.horizon, start.scan.backlog) == (4, 5, None)
    assert start.given == f"{EPOCH}-4" == start.header(hub, 5, 5)
    now = resume_point(hub, A, **{form: "now"})
    assert (now.scan.cursor, now.scan.horizon, now.given) == (5, 5, "")
    assert now.header(hub, 0, 5) == f"{EPOCH}-5"


def test_the_header_wins_unless_it_is_empty(hub: Hub) -> None:
    assert resume_point(hub, A, header=f"{EPOCH}-4", since="nonsense").scan.cursor == 4
    assert resume_point(hub, A, header="", since=f"{EPOCH}-3").scan.cursor == 3


def test_a_malformed_since_is_refused_and_a_malformed_header_is_not(hub: Hub) -> None:
    with pytest.raises(Problem) as refusal:
        resume_point(hub, A, since="3")
    assert refusal.value.status == 400
    start = resume_point(hub, A, header="3" * 1000)
    assert start.gap is not None and len(start.gap.after) <= 64
    assert start.scan.cursor == 0 and start.given == ""


@pytest.mark.parametrize("cursor", ["other-3", f"{EPOCH}-6"])
def test_a_place_that_is_not_known(hub: Hub, cursor: str) -> None:
    start = resume_point(hub, A, since=cursor)
    assert start.gap is not None
    assert start.gap == Gap(cursor, f"{EPOCH}-3", ("a",), reset=True)
    assert start.scan.cursor == 0 and start.given == cursor
    assert hub.gap(A, 0, hub.id(0), dict(start.reported)) is None, "told once"


def test_earliest_is_all_that_is_held_and_loses_nothing(hub: Hub) -> None:
    start = resume_point(hub, A, since="earliest")
    assert (start.scan.cursor, start.gap, start.scan.backlog) == (0, None, None)
    reported = dict(start.reported)
    assert hub.gap(A, 0, hub.id(0), reported) is None
    post(hub, "a")
    later = hub.gap(A, 0, hub.id(0), reported)
    assert later is not None, "what is lost from now on is told"


def test_an_unknown_place_and_nothing_but_states() -> None:
    hub = make_hub()
    put(hub, "s")
    start = resume_point(hub, Selector(["s"]), since="other-9")
    assert start.gap == Gap("other-9", f"{EPOCH}-1", (), reset=True) and start.scan.cursor == 0


def test_the_place_an_answer_begins_at(hub: Hub) -> None:
    fresh = ResumePoint(Scan(0, 5, backlog=2))
    assert fresh.header(hub, 4, 5) == f"{EPOCH}-3"
    assert fresh.header(hub, 0, 5) == f"{EPOCH}-5"
    assert ResumePoint(Scan(2, 5)).header(hub, 4, 5) == f"{EPOCH}-2"
