"""The memory log: order, ids and the single step of judging and appending."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexcast.log.base import Log, Outcome
from hexcast.log.memory import MemoryLog
from hexcast.model.problem import Problem
from hexcast.model.record import Draft, Published, Record


class Fold:
    """Refuses what is called `no`, leaves alone what is called `same`, takes all else."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.heard: list[str] = []

    def judge(self, draft: Draft) -> Outcome | None:
        self.heard.append(f"judge {draft.data.decode()}")
        if draft.topic == "no":
            return Problem(409, "no")
        if draft.topic == "same":
            return Published("e-0", "same", changed=False, begun=False)
        return None

    def apply(self, record: Record, draft: Draft | None) -> Published:
        assert draft is not None
        self.heard.append(f"apply {record.data.decode()}")
        self.records.append(record)
        return Published(record.id, record.topic, changed=True, begun=True)


@given(st.lists(st.lists(st.sampled_from(["a", "b", "no", "same"]), max_size=5), max_size=5))
def test_the_sequence(batches: list[list[str]]) -> None:
    fold, times = Fold(), iter(range(1000, 2000))
    log: Log = MemoryLog("e", lambda: next(times))
    log.open(fold)
    told: list[list[Outcome]] = []
    wanted: list[str] = []
    for batch in batches:
        drafts = [Draft(t, "post", f"{len(told)}.{n}".encode(), "x/y", "ev", True)
                  for n, t in enumerate(batch)]  # fmt: skip
        log.append(drafts, told.append)
        for draft in drafts:
            wanted.append(f"judge {draft.data.decode()}")
            if draft.topic in "ab":
                wanted.append(f"apply {draft.data.decode()}")
    # A draft is judged after all that came before it was applied.
    assert fold.heard == wanted
    assert [len(t) for t in told] == [len(b) for b in batches]
    assert [r.seq for r in fold.records] == list(range(1, log.newest + 1))
    assert all((r.epoch, r.type, r.event, r.end) == ("e", "x/y", "ev", True) for r in fold.records)
    assert [r.time for r in fold.records] == sorted(r.time for r in fold.records)
    outcomes = [(t, o) for b, os in zip(batches, told, strict=True)
                for t, o in zip(b, os, strict=True)]  # fmt: skip
    for topic, outcome in outcomes:
        assert isinstance(outcome, Problem) == (topic == "no")
    assert log.promise == "nothing"


def test_a_log_is_open_or_it_is_not() -> None:
    log = MemoryLog("e", lambda: 0)
    with pytest.raises(RuntimeError):
        log.append([Draft("a", "post")], lambda outcomes: None)
    log.open(Fold())
    log.close()
    with pytest.raises(RuntimeError):
        log.append([Draft("a", "post")], lambda outcomes: None)
