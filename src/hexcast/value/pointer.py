"""JSON Pointer (RFC 6901): reading one, and following it into a value."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .json_text import Json

_BAD_ESCAPE = re.compile(r"~(?![01])")
# RFC 6901 section 4: array-index = %x30 / ( %x31-39 *(%x30-39) ). No array here has a place that
# takes more than nine digits, and Python's int() refuses very long ones.
_INDEX = re.compile(r"0|[1-9][0-9]{0,8}")


class Nothing(Exception):
    """A path that leads nowhere; ``at_source`` where it is that of a patch's ``from``."""

    at_source = False


@dataclass(frozen=True, slots=True)
class Pointer:
    """A JSON Pointer: as it was written, and the member names or indexes it names."""

    text: str
    tokens: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Pointer:
        """Read a pointer. Raises ValueError that says how ``text`` is none."""
        if text and not text.startswith("/"):
            raise ValueError("must be empty or begin with /")
        if _BAD_ESCAPE.search(text):
            raise ValueError("has a ~ that is neither ~0 nor ~1")
        tokens = text.split("/")[1:]
        return cls(text, tuple(token.replace("~1", "/").replace("~0", "~") for token in tokens))

    def find(self, value: Json) -> Json:
        """What stands at this place of a value. Raises `Nothing` where there is no such place."""
        for token in self.tokens:
            value = child(value, token)
        return value


def child(value: Json, token: str) -> Json:
    """The member or element that a token names. Raises `Nothing` where there is none."""
    if isinstance(value, dict):
        if token not in value:
            raise Nothing("there is no such member")
        return value[token]
    if isinstance(value, list):
        return value[index(token, len(value))]
    raise Nothing("what is above it is neither an object nor an array")


def index(token: str, length: int) -> int:
    """The index that a token names in an array. Raises `Nothing` where it has none such."""
    if not _INDEX.fullmatch(token):
        raise Nothing("an array has no such index")
    place = int(token)
    if place >= length:
        raise Nothing("the array is not that long")
    return place
