"""The rules by which a change is accepted (protocol 2), against a model of one topic."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from hexcast.model.patterns import Selector
from hexcast.model.problem import Problem
from hexcast.model.record import Draft, Id, Record
from tests.support.fakes import (
    EPOCH,
    Clock,
    accepted,
    age,
    delete,
    make_history,
    make_hub,
    post,
    put,
    refused,
    tell,
)

changes = st.lists(
    st.tuples(
        st.sampled_from(["post", "put", "put", "delete"]),
        st.sampled_from([b"1", b"2"]),
        st.sampled_from(["text/plain", "text/html"]),
        st.sampled_from(["", "e"]),
        st.booleans(),
        st.sampled_from(["none", "none", "match", "stale", "any", "absent"]),
    ),
    max_size=12,
)


@given(changes)
def test_what_becomes_of_each_change(steps: list[tuple[Any, bytes, str, str, bool, str]]) -> None:
    hub = make_hub()
    followed: list[Record] = []
    hub.follow = followed.append
    kind, value = "", None  # what the topic is, and the newest (id, what was said)
    for op, data, type, event, end, expects in steps:
        if op == "delete":
            data, type, event, end = b"", "", "", False
        said = (data, type, event, end)
        newest = value[0] if value else f"{EPOCH}-1"
        match = {"match": (newest,), "stale": ("other-9",), "any": ("*",)}.get(expects, ())
        before = hub.head
        outcome = tell(hub, Draft("t", op, *said[:3], end, if_match=match,
                                  if_none=("*",) if expects == "absent" else ()))  # fmt: skip
        status, recorded = 0, False
        if (expects == "absent" and value) or (match and (not value or expects == "stale")):
            status = 412
        elif op == "delete":
            status, recorded = (0, True) if value else (404, False)
        elif value and (kind == "stream") != (op == "post"):
            status = 409
        else:
            recorded = not (op == "put" and value and value[1] == said)
        assert hub.head == before + recorded and len(followed) == hub.head
        if status:
            problem = refused(outcome)
            assert problem.status == status
            if status == 412:
                assert problem.etag == (value[0] if value else "")
            if status == 409:
                assert kind in problem.detail
            continue
        done = accepted(outcome)
        assert done.topic == "t" and done.changed == recorded
        assert done.begun == (recorded and (op == "post" or (op == "put" and not value)))
        if recorded:
            assert done.id == f"{EPOCH}-{hub.head}"
            last = followed[-1]
            assert (last.op, last.data, last.type, last.event, last.end) == (op, *said)
            kind = "stream" if op == "post" else "state" if op == "put" else ""
            value = None if op == "delete" else (done.id, said)
        else:
            assert value and done.id == value[0]


def test_a_change_in_part_is_resolved_at_its_place() -> None:
    hub = make_hub()
    outcomes: list[Any] = []
    drafts = [
        Draft("t", "append", data=b"a"),
        Draft("t", "append", data=b"b", key="k"),
        Draft("t", "append", data=b""),
        Draft("t", "patch", data=b"{}", type="application/merge-patch+json"),
        Draft("t", "append", data=b"b", key="k"),
        Draft("t", "append", data=b"c", key="k"),
    ]
    hub.publish(drafts, outcomes.extend)
    ids = [o.status if isinstance(o, Problem) else (o.id, o.changed) for o in outcomes]
    first, second = (f"{EPOCH}-1", True), (f"{EPOCH}-2", True)
    assert ids == [first, second, (second[0], False), 409, second, 422]
    value = hub._topics["t"].value
    assert value is not None and (value.data, value.op) == (b"ab", "append")
    assert outcomes[0].begun and not outcomes[1].begun


def test_several_drafts_are_judged_each_at_its_place() -> None:
    hub = make_hub()
    outcomes: list[Any] = []
    hub.publish(
        [
            Draft("a", "post", b"1", "t/p"),
            Draft("a", "put", b"1", "t/p"),
            Draft("a", "delete"),
            Draft("a", "put", b"1", "t/p"),
            Draft("a", "put", b"1", "t/p"),
            Draft("a", "put", b"2", "t/p", if_match=(f"{EPOCH}-3",)),
            Draft("a", "put", b"3", "t/p", if_match=(f"{EPOCH}-3",)),
        ],
        outcomes.extend,
    )
    ids = [o.status if isinstance(o, Problem) else (o.id, o.changed) for o in outcomes]
    e = EPOCH
    assert ids == [(f"{e}-1", True), 409, (f"{e}-2", True), (f"{e}-3", True), (f"{e}-3", False),
                   (f"{e}-4", True), 412]  # fmt: skip


def test_done_is_called_once_though_there_is_nothing_to_do() -> None:
    hub, calls = make_hub(), []
    hub.publish([], calls.append)
    assert calls == [[]]


def test_a_full_server_takes_no_more_but_deletes_and_what_is_smaller() -> None:
    hub = make_hub(make_history(total=1000))
    for n in range(4):
        tell(hub, Draft(f"s/{n}", "put", b"x" * 100, "text/plain"))
    problem = refused(tell(hub, Draft("new", "post", b"1", "text/plain")))
    assert problem.status == 503 and problem.retry_after
    larger = refused(tell(hub, Draft("s/2", "put", b"x" * 101, "text/plain")))
    assert larger.status == 503
    put(hub, "s/2", b"y" * 100), put(hub, "s/2", b"y")
    delete(hub, "s/0"), delete(hub, "s/1")
    hub.sweep()
    post(hub, "new")


# Places


def test_which_cursors_are_known() -> None:
    hub = make_hub()
    post(hub, "a")
    assert hub.known(Id(EPOCH, 0)) and hub.known(Id(EPOCH, 1))
    assert not hub.known(Id(EPOCH, 2)) and not hub.known(Id("other", 1))


def test_a_record_is_found_by_its_place() -> None:
    hub = make_hub(make_history(records=2))
    for _ in range(3):
        post(hub, "a")
    assert hub.record_at("a", 1) is None and hub.record_at("b", 2) is None
    found = hub.record_at("a", 2)
    assert found is not None and found.seq == 2 and hub.record_at("a", 4) is None


def test_the_gap_after_a_place_of_which_nothing_is_known() -> None:
    hub = make_hub(make_history(records=2))
    put(hub, "state")
    for _ in range(4):
        post(hub, "a/x")
    post(hub, "b")

    def gap(*names: str) -> tuple[str, tuple[str, ...]] | None:
        found = hub.gap_of_unknown(Selector(names), "old-7", {})
        assert found.after == "old-7" and found.reset
        return found.before, found.topics

    assert gap("state") == (f"{EPOCH}-1", ()), "states lose nothing, but what they were is void"
    assert gap("a/x") == (f"{EPOCH}-4", ("a/x",))
    assert gap("b") == (f"{EPOCH}-1", ("b",))
    assert gap("never") == (f"{EPOCH}-1", ("never",))
    assert gap("**") == (f"{EPOCH}-4", ("a/x", "b"))
    assert gap("zz/*") == (f"{EPOCH}-1", ("zz/*",))
    assert gap("state", "b") == (f"{EPOCH}-1", ("b",))


def test_an_unknown_place_is_told_of_once() -> None:
    """Of topics forgotten whole, too, the first gap has said it."""
    clock = Clock()
    hub = make_hub(make_history(seconds=5), clock)
    post(hub, "a"), post(hub, "a")
    age(hub, clock, 60)
    for names in (["a"], ["*"], ["never"]):
        told: dict[str, int] = {}
        first = hub.gap_of_unknown(Selector(names), "old-7", told)
        assert first is not None
        assert hub.gap(Selector(names), 0, hub.id(0), told) is None
        # What it covers reaches over all that is lost.
        assert first.before == f"{EPOCH}-3"
