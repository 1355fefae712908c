"""What every log keeps with the fold, whatever it is kept on: one suite over all engines."""

from __future__ import annotations

from collections.abc import Callable
from itertools import cycle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexcast.log.base import Staged
from hexcast.log.memory import MemoryLog
from hexcast.model.problem import Problem
from hexcast.model.record import Draft, Published
from tests.log.engines import REFUSED, Engine, Node, NodeLog
from tests.support.fakes import EPOCH, Clock, accepted, at_once, refused

MERGE = "application/merge-patch+json"


def memory() -> Node:
    clock = Clock()
    return Node(MemoryLog(EPOCH, clock.ms), clock)


def delaying() -> Node:
    clock = Clock()
    return Node(NodeLog(Engine(), clock.ms), clock)


def among_others() -> Node:
    """Before each of its commits, another node has committed something."""
    clock, engine = Clock(), Engine()
    other = Node(NodeLog(engine, clock.ms), clock)
    numbers = iter(range(10**6))
    log = NodeLog(engine, clock.ms)
    turn = log.turn

    def busy() -> bool:
        if len(log._staging or ()) and next(numbers) % 2 == 0:
            other.publish(Draft("other", "post", b"x", "text/plain"))
        return turn()

    log.turn = busy  # type: ignore[method-assign]
    return Node(log, clock)


LOGS: dict[str, Callable[[], Node]] = {
    "memory": memory, "delaying": delaying, "among others": among_others,
}  # fmt: skip


@pytest.fixture(params=list(LOGS))
def node(request: pytest.FixtureRequest) -> Node:
    return LOGS[request.param]()


def data(node: Node, topic: str) -> bytes:
    value = node.hub.value(topic)
    assert value is not None
    return value.data


def test_one_of_two_that_must_be_the_first(node: Node) -> None:
    first, second = node.publish(
        Draft("t", "put", b"1", "text/plain", if_none=("*",)),
        Draft("t", "put", b"2", "text/plain", if_none=("*",)),
    )
    problem = refused(second)
    assert problem.status == 412 and problem.etag == accepted(first).id
    assert data(node, "t") == b"1"


def test_two_merge_patches_are_both_in(node: Node) -> None:
    outcomes = node.publish(
        Draft("t", "patch", b'{"x":1}', MERGE), Draft("t", "patch", b'{"y":2}', MERGE)
    )
    assert [accepted(o).changed for o in outcomes] == [True, True]
    assert data(node, "t") == b'{"x":1,"y":2}'


def test_what_is_appended_comes_one_after_the_other(node: Node) -> None:
    node.publish(*(Draft("t", "append", text) for text in (b"a", b"b", b"c")))
    assert data(node, "t") == b"abc"


def test_a_stream_that_begins_is_no_state(node: Node) -> None:
    begun, other = node.publish(
        Draft("t", "post", b"1", "text/plain"), Draft("t", "put", b"2", "text/plain")
    )
    assert accepted(begun).begun and refused(other).status == 409


def test_the_same_value_again_has_the_id_that_it_has(node: Node) -> None:
    same = Draft("t", "put", b"1", "text/plain")
    first, again = (accepted(o) for o in node.publish(same, same))
    assert first.changed and not again.changed and first.id == again.id


def test_a_guarded_change_of_what_moves_on(node: Node) -> None:
    (first,) = node.publish(Draft("t", "put", b"1", "text/plain"))
    id = accepted(first).id
    one, two = node.publish(
        Draft("t", "put", b"2", "text/plain", if_match=(id,)),
        Draft("t", "put", b"3", "text/plain", if_match=(id,)),
    )
    assert refused(two).status == 412 and refused(two).etag == accepted(one).id


def test_deleted_and_begun_again_as_the_other_kind(node: Node) -> None:
    outcomes = node.publish(
        Draft("t", "post", b"1", "text/plain"), Draft("t", "delete"),
        Draft("t", "put", b"2", "text/plain"), Draft("t", "delete"), Draft("t", "delete"),
    )  # fmt: skip
    assert [isinstance(o, Published) for o in outcomes] == [True, True, True, True, False]
    assert refused(outcomes[-1]).status == 404


def test_a_key_publishes_once(node: Node) -> None:
    keyed = Draft("t", "post", b"1", "text/plain", key="k")
    (first,) = node.publish(keyed)
    again, other = node.publish(keyed, Draft("t", "post", b"2", "text/plain", key="k"))
    assert again == first and refused(other).status == 422
    (value,) = node.hub.recent("t", 10)
    assert value.id == accepted(first).id


def test_an_append_of_nothing_is_answered(node: Node) -> None:
    answers: list[object] = []
    node.hub.publish([], answers.append)
    node.settle()
    assert answers == [[]]


def test_answers_come_in_order(node: Node) -> None:
    order: list[int] = []
    for n in range(7):
        draft = Draft("t", "post", b"%d" % n, "text/plain")
        node.hub.publish([draft], lambda _, n=n: order.append(n))  # type: ignore[misc]
    node.settle()
    assert order == list(range(7))
    assert [r.data for r in reversed(node.hub.recent("t", 10))] == [b"%d" % n for n in range(7)]


# While the first is in progress, and after the engine has refused


def test_a_repeat_while_the_first_is_in_progress() -> None:
    node = delaying()
    keyed = Draft("t", "post", b"1", "text/plain", key="k")
    first, repeat = node.begin(keyed), node.begin(keyed)
    assert isinstance(node.log, NodeLog)
    node.log.turn()  # staged, both
    node.settle()
    assert accepted(first[0]).changed and refused(repeat[0]).status == 409
    assert node.publish(keyed) == first


def test_what_is_refused_leaves_no_trace() -> None:
    clock, refusals = Clock(), cycle([True, False])
    node = Node(NodeLog(Engine(), clock.ms, refuse=lambda: next(refusals)), clock)
    keyed = Draft("t", "post", b"1", "text/plain", key="k")
    first, second = node.publish(keyed, Draft("t", "put", b"2", "text/plain"))
    assert first is REFUSED
    assert accepted(second).begun, "judged again, without the stream that never began"
    assert refused(node.publish(keyed)[0]).status == 409, "tried again, and found to be a state now"


def test_a_key_is_known_on_another_node_and_after_a_restart() -> None:
    clock, engine = Clock(), Engine()
    one, two = (Node(NodeLog(engine, clock.ms), clock) for _ in range(2))
    keyed = Draft("t", "post", b"1", "text/plain", key="k")
    (first,) = one.publish(keyed)
    restarted = Node(NodeLog(engine, clock.ms), clock)
    two.settle()
    for node in (two, restarted):
        assert accepted(node.publish(keyed)[0]).id == accepted(first).id
    assert len(engine.entries) == 1


def test_a_close_answers_what_is_pending() -> None:
    node = delaying()
    outcomes = node.begin(Draft("t", "post", b"1", "text/plain"))
    at_once(node.hub.close())
    assert outcomes == [REFUSED]


def test_an_entry_of_another_node_is_not_applied_over_what_is_staged() -> None:
    clock, engine = Clock(), Engine()
    one, two = (Node(NodeLog(engine, clock.ms), clock) for _ in range(2))
    one.begin(Draft("t", "put", b"1", "text/plain"))
    assert isinstance(one.log, NodeLog)
    one.log.turn()
    two.publish(Draft("t", "put", b"2", "text/plain"))
    with pytest.raises(RuntimeError):
        one.hub.apply(engine.entries[0])


def test_a_log_is_started_or_it_is_not() -> None:
    clock = Clock()
    log = MemoryLog(EPOCH, clock.ms)
    with pytest.raises(RuntimeError):
        log.append([Draft("a", "post")], lambda outcomes: None)
    at_once(log.close())
    with pytest.raises(RuntimeError):
        log.append([Draft("a", "post")], lambda outcomes: None)


# Any interleaving

drafts = st.builds(
    Draft,
    topic=st.sampled_from(["a", "b"]),
    op=st.sampled_from(["post", "put", "put", "patch", "append", "delete"]),
    data=st.sampled_from([b'{"x":1}', b'{"y":2}', b'{"x":null}']),
    type=st.just(MERGE),
    end=st.just(False),
    key=st.sampled_from(["", "", "k", "l"]),
    if_match=st.sampled_from([(), (), ("*",), (f"{EPOCH}-1",), (f"{EPOCH}-2",)]),
    if_none=st.sampled_from([(), (), (), ("*",)]),
)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("publish"), st.integers(0, 1), st.lists(drafts, min_size=1, max_size=3)),
        st.tuples(st.just("turn"), st.integers(0, 1), st.just([])),
    ),
    max_size=40,
)


@given(steps, st.lists(st.booleans(), min_size=1, max_size=5), st.integers(1, 4))
def test_any_interleaving_is_that_of_the_log(
    steps: list[tuple[str, int, list[Draft]]], refusals: list[bool], group: int
) -> None:
    """Every entry is what its draft leads to at its own place, and all nodes fold the same."""
    clock, engine, refuse = Clock(), Engine(), cycle([*refusals, False])
    nodes = [
        Node(NodeLog(engine, clock.ms, group=group, refuse=lambda: next(refuse)), clock)
        for _ in range(2)
    ]
    answers: list[tuple[list[Draft], list[Published | Problem]]] = []
    for step, which, given_drafts in steps:
        node = nodes[which]
        if step == "publish":
            answers.append((given_drafts, node.begin(*given_drafts)))
        else:
            assert isinstance(node.log, NodeLog)
            node.log.turn()
    for node in (*nodes, *nodes):
        node.settle()
    # The oracle: one node that applies each entry before it judges the next.
    oracle = Node(MemoryLog(EPOCH, clock.ms), clock)
    ids = set()
    for draft, entry in zip(engine.drafts, engine.entries, strict=True):
        verdict = oracle.hub.stage(draft)
        assert isinstance(verdict, Staged), "it would have been refused at this place"
        assert (verdict.data, verdict.type) == (entry.record.data, entry.record.type)
        ids.add(oracle.hub.apply(entry, verdict).id)
    acknowledged = set()
    for given_drafts, outcomes in answers:
        assert len(outcomes) == len(given_drafts), "every draft is answered"
        acknowledged |= {o.id for o in outcomes if isinstance(o, Published) and o.changed}
    assert acknowledged == ids, "what is acknowledged is in the log, and nothing else is"
    keys = [(r.topic, use.key) for r, use in engine.entries if use is not None]
    assert len(keys) == len(set(keys)), "a key publishes once"
    for topic in "ab":
        values = {
            (value.id, value.data) if value else None
            for value in (n.hub.value(topic) for n in (*nodes, oracle))
        }
        assert len(values) == 1
