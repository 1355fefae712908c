"""Text that grows at its end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexcast.value.append import append
from hexcast.value.errors import MalformedText, TooLarge
from hexcast.value.json_text import Limits

from .values import untimed

pieces = st.lists(st.text(max_size=6).map(str.encode), max_size=6)


@untimed
@given(st.text(max_size=6).map(str.encode), pieces)
def test_pieces_appended_one_by_one_give_the_whole_text(value: bytes, texts: list[bytes]) -> None:
    one_by_one = value
    for text in texts:
        one_by_one = append(one_by_one, text)
    assert one_by_one == value + b"".join(texts)


def test_a_piece_with_half_a_character_is_refused_with_its_place() -> None:
    with pytest.raises(MalformedText) as caught:
        append(b"caf", "xé".encode()[:2])
    assert caught.value.offset == 1
    with pytest.raises(MalformedText):
        append("é".encode()[:1], "é".encode()[1:])


def test_the_whole_is_bounded() -> None:
    assert append(b"abc", b"de", Limits(bytes=5)) == b"abcde"
    with pytest.raises(TooLarge) as caught:
        append(b"abc", b"def", Limits(bytes=5))
    assert caught.value.limit == 5
