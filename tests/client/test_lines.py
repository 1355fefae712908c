from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from hexcast.client.lines import LineSplitter, TooLong

LIMIT = 8


def split(*pieces: bytes, limit: int = LIMIT) -> list[bytes | TooLong]:
    splitter = LineSplitter(limit)
    lines = [line for piece in pieces for line in splitter.feed(piece)]
    return [*lines, *splitter.finish()]


def all_at_once(data: bytes) -> list[bytes | TooLong]:
    lines = data.split(b"\n")
    if not lines[-1]:
        lines.pop()
    whole = [line.removesuffix(b"\r") for line in lines]
    return [line if len(line) <= LIMIT else TooLong(len(line)) for line in whole]


@given(
    data=st.lists(st.sampled_from([b"\n", b"\r", b"\r\n", b"abc", b"12345678", b"9"])).map(
        b"".join
    ),
    cuts=st.lists(st.integers(0, 100), max_size=10),
)
def test_any_cut_gives_the_same_lines(data: bytes, cuts: list[int]) -> None:
    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    pieces = [data[a:b] for a, b in pairwise(places)]
    found = split(*pieces)
    expected = all_at_once(data)
    assert len(found) == len(expected)
    for line, other in zip(found, expected, strict=True):
        if isinstance(other, TooLong):
            # The CR of a line whose bytes were dropped may count: the size is for people.
            assert isinstance(line, TooLong)
            assert line.size - other.size in (0, 1)
        else:
            assert line == other


def test_empty_lines_are_lines() -> None:
    assert split(b"\n\r\na\n") == [b"", b"", b"a"]


def test_the_last_line_needs_no_end() -> None:
    assert split(b"a\nb") == [b"a", b"b"]


def test_an_overlong_line_is_told_by_its_length_and_the_next_is_whole() -> None:
    assert split(b"x" * 1000, b"x" * 1000, b"\nok\n") == [TooLong(2000), b"ok"]


def test_an_overlong_line_is_not_kept() -> None:
    splitter = LineSplitter(LIMIT)
    for _ in range(1000):
        assert list(splitter.feed(b"x" * 1000)) == []
    assert len(splitter._pending) == 0
