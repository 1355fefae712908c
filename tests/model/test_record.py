"""Ids and cursors are read back as they were written, and nothing else is taken for one."""

from __future__ import annotations

import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexcast.model.record import Id, Place, Record, parse_cursor

epochs = st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=16)
seqs = st.integers(0, 10**18 - 1)


@given(epochs, seqs)
def test_an_id_comes_back(epoch: str, seq: int) -> None:
    written = str(Id(epoch, seq))
    assert Id.parse(written) == Id(epoch, seq)
    assert parse_cursor(written) == Id(epoch, seq)
    assert Record(epoch, seq, "t", "post", "", "", b"", 0, False).id == written


@given(st.text() | st.from_regex(r"[a-z0-9A-Z]{0,18}-+[0-9٠-٩]{0,20}\n?", fullmatch=True))
def test_only_ids_are_ids(text: str) -> None:
    # Read by hand, so that the grammar is not its own judge.
    epoch, dash, seq = text.partition("-")
    good = (
        bool(dash)
        and 1 <= len(epoch) <= 16
        and set(epoch) <= set(string.ascii_lowercase + string.digits)
        and 1 <= len(seq) <= 18
        and set(seq) <= set(string.digits)
        and (seq == "0" or seq[0] != "0")
    )
    if good:
        assert str(Id.parse(text)) == text
    else:
        with pytest.raises(ValueError, match="EPOCH-SEQ"):
            Id.parse(text)


@pytest.mark.parametrize("text", ["k-01", "k-", "-1", "K-1", "k-1 ", " k-1", "k-1\n", "k--1",
                                  "k-+1", "k-1e3", "a" * 17 + "-1", "k-" + "1" * 19, "now ", "",
                                  "Earliest", "k-١"])  # fmt: skip
def test_malformed_cursors(text: str) -> None:
    with pytest.raises(ValueError, match=re.escape("EPOCH-SEQ")):
        parse_cursor(text)


def test_the_cursors_that_are_words() -> None:
    assert parse_cursor("earliest") is Place.EARLIEST
    assert parse_cursor("now") is Place.NOW


@given(st.integers(0, 50), st.integers(0, 50))
def test_a_record_is_visible_until_something_supersedes_it(until: int, horizon: int) -> None:
    record = Record("e", 1, "t", "put", "", "", b"", 0, False, until=until)
    assert record.visible(horizon) == (until == 0 or horizon < until)
