"""The table of epochs: names of places, and which cursors are still good."""

from __future__ import annotations

import pytest

from hexcast.hub.epochs import Epochs
from hexcast.model.record import Id


def table(*rows: tuple[str, int]) -> Epochs:
    epochs = Epochs()
    for name, base in rows:
        epochs.begin(name, base)
    return epochs


def test_one_epoch() -> None:
    epochs = table(("a", 0))
    assert epochs.newest == "a"
    assert [epochs.of(seq) for seq in (0, 1, 9)] == ["a", "a", "a"]
    assert epochs.known(Id("a", 0), 5) and epochs.known(Id("a", 5), 5)
    assert not epochs.known(Id("a", 6), 5) and not epochs.known(Id("b", 1), 5)


def test_a_place_has_the_epoch_that_it_was_written_in() -> None:
    epochs = table(("a", 0), ("b", 10), ("c", 10), ("d", 12))
    assert [epochs.of(seq) for seq in (0, 1, 10, 11, 12, 13)] == ["a", "a", "a", "c", "c", "d"]


def test_a_cursor_from_before_the_break_is_good_and_one_beyond_is_not() -> None:
    epochs = table(("a", 0), ("b", 10))
    assert epochs.known(Id("a", 10), 15)
    assert not epochs.known(Id("a", 11), 15), "the parent had it, and it is lost"
    assert epochs.known(Id("b", 10), 15) and epochs.known(Id("b", 15), 15)
    assert not epochs.known(Id("b", 9), 15), "no such id was ever given"
    assert not epochs.known(Id("b", 16), 15)


def test_an_epoch_begins_once_and_after_its_parent() -> None:
    epochs = table(("a", 0), ("b", 10))
    with pytest.raises(ValueError):
        epochs.begin("a", 12)
    with pytest.raises(ValueError):
        epochs.begin("c", 9)
