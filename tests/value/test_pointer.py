"""JSON Pointer: the RFC's own examples (section 5), and what is none."""

from __future__ import annotations

import pytest

from hexcast.value.json_text import dump, parse
from hexcast.value.pointer import Nothing, Pointer

DOCUMENT = parse(
    b'{"foo":["bar","baz"],"":0,"a/b":1,"c%d":2,"e^f":3,"g|h":4,"i\\\\j":5,"k\\"l":6," ":7,"m~n":8}'
)


@pytest.mark.parametrize(
    ("pointer", "found"),
    [
        ("", None), ("/foo", b'["bar","baz"]'), ("/foo/0", b'"bar"'), ("/", b"0"), ("/a~1b", b"1"),
        ("/c%d", b"2"), ("/e^f", b"3"), ("/g|h", b"4"), ("/i\\j", b"5"), ('/k"l', b"6"),
        ("/ ", b"7"), ("/m~0n", b"8"),
    ],
)  # fmt: skip
def test_the_examples_of_the_rfc(pointer: str, found: bytes | None) -> None:
    assert dump(Pointer.parse(pointer).find(DOCUMENT)) == (found or dump(DOCUMENT))


@pytest.mark.parametrize(
    "pointer", ["/foo/2", "/foo/-", "/foo/00", "/foo/bar", "/x", "/foo/0/y", "/foo/9999999999"]
)
def test_places_that_are_not_there(pointer: str) -> None:
    with pytest.raises(Nothing):
        Pointer.parse(pointer).find(DOCUMENT)


@pytest.mark.parametrize("pointer", ["foo", "/a~", "/a~2b", "#/foo"])
def test_what_is_no_pointer(pointer: str) -> None:
    with pytest.raises(ValueError, match=r"must be|has a ~"):
        Pointer.parse(pointer)
