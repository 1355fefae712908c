"""JSON text to values and back, without losing a digit.

A value is made of Python's own dict, list, str, bool and None, with one exception: a number is a
`Number`, which holds the number's text. Python's float would turn ``1.0`` and ``1e0`` into one
thing and cut ``12345678901234567890.123`` short; and ``True == 1``, so that with plain ints a
comparison of two values could not tell ``true`` from ``1``. `Number` is `msgspec.Raw`, which the
encoder writes out verbatim, so that `dump` needs no code of its own.

Reading is left to the standard library's C scanner: it gives each number's text to a hook and
says where a fault is. Three of its liberties are taken back here: ``NaN`` and the infinities, and
``\\u`` escapes of half a surrogate pair, which no UTF-8 text can hold (RFC 8259 section 8.2).

Where an object names a key twice, the last value counts, at the place of the first: what
JavaScript's JSON.parse does, so that a browser that reads the same text holds the same. The values
before it have to be well-formed, and count for nothing else.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import NoReturn, TypeAlias

import msgspec

from .errors import MalformedJson, TooDeep, TooLarge, TooManyMembers

Number: TypeAlias = msgspec.Raw
"""A JSON number as it was written: ``bytes(number)`` is its text. Equal only if that is equal."""

Json: TypeAlias = "dict[str, Json] | list[Json] | str | Number | bool | None"
"""A JSON value. Treat it as immutable: patches share parts of the values they were made from."""

_DEEPEST = 256  # the scanner, the encoder and merging recurse; Python's stack allows about 1,000


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a value or a patch may be.

    Raises ValueError if ``depth`` is negative or above 256.
    """

    bytes: int = 1024 * 1024
    """Of a text read, and of a text written when `dump` is given limits."""
    depth: int = 64
    """Objects and arrays inside each other; ``{}`` is 1 deep, a bare number 0."""
    members: int = 100_000
    """Members of all objects and elements of all arrays together."""
    operations: int = 1_000
    """Operations of one JSON patch; each may cost as much as its widest array is long."""

    def __post_init__(self) -> None:
        if not 0 <= self.depth <= _DEEPEST:
            raise ValueError(f"depth must be from 0 to {_DEEPEST}")


LIMITS = Limits()


def parse(data: bytes, limits: Limits = LIMITS) -> Json:
    """The value that a JSON text in UTF-8 stands for.

    Raises `MalformedJson`, `TooLarge`, `TooDeep` or `TooManyMembers`. A byte order mark is
    malformed.
    """
    if len(data) > limits.bytes:
        raise TooLarge(limits.bytes)
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise MalformedJson("a byte that is not UTF-8", data[: error.start].decode()) from None
    try:
        value: Json = _decoder.decode(text)
    except json.JSONDecodeError as error:
        raise MalformedJson(error.msg, text[: error.pos]) from None
    except _NotJson as error:
        raise MalformedJson(f"{error} is no JSON number", text[: _find_constant(text)]) from None
    except RecursionError:
        offset = _find_too_deep(text, limits.depth)
        if offset is None:
            raise  # the fault is the caller's stack, not the text
        raise TooDeep(limits.depth, offset) from None
    _refuse_lone_surrogates(text)
    try:
        check(value, limits)
    except TooDeep:
        raise TooDeep(limits.depth, _find_too_deep(text, limits.depth)) from None
    return value


def dump(value: Json, limits: Limits | None = None) -> bytes:
    """A value's canonical text, in UTF-8.

    No space between tokens, members in their order, numbers as they were written, and in strings
    only what must be escaped: the quotation mark, the backslash, and control characters below
    U+0020 (by the short form where there is one). With ``limits``, raises `TooLarge`.
    """
    text = msgspec.json.encode(value)
    if limits is not None and len(text) > limits.bytes:
        raise TooLarge(limits.bytes)
    return text


def check(value: Json, limits: Limits) -> None:
    """Raises `TooDeep` or `TooManyMembers` where a value is beyond its limits.

    Walks level by level rather than by recursion: a patch may nest deeper than the stack allows.
    """
    depth = members = 0
    level: list[dict[str, Json] | list[Json]] = []
    if isinstance(value, (dict, list)):
        level.append(value)
    while level:
        depth += 1
        if depth > limits.depth:
            raise TooDeep(limits.depth)
        members += sum(map(len, level))
        if members > limits.members:
            raise TooManyMembers(limits.members)
        below: list[dict[str, Json] | list[Json]] = []
        for container in level:
            children = container.values() if isinstance(container, dict) else container
            # Most hold only scalars; asking that first, in C, makes the walk three times as fast.
            if not _CONTAINERS.isdisjoint(map(type, children)):
                below += [child for child in children if isinstance(child, (dict, list))]
        level = below


class _NotJson(Exception):
    """Carries the name of a constant out of the scanner, which does not say where it stood."""


def _refuse_constant(name: str) -> NoReturn:
    raise _NotJson(name)


_CONTAINERS = frozenset((dict, list))
_decoder = json.JSONDecoder(
    parse_int=Number, parse_float=Number, parse_constant=_refuse_constant, strict=True
)

# A string is taken whole, so that what stands inside it is not seen; an unfinished one is taken
# to the end of the text, so that no scan here is worse than linear.
_STRING = r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?'
_CONSTANTS = re.compile(rf"{_STRING}|(NaN|-?Infinity)", re.DOTALL)
_BRACKETS = re.compile(rf"{_STRING}|(?P<open>[\[{{])|(?P<close>[\]}}])", re.DOTALL)
_ESCAPES = re.compile(
    r"""\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}  # a pair
      | (?P<lone>\\u[dD][89a-fA-F])
      | \\.""",
    re.VERBOSE,
)


def _find_constant(text: str) -> int:
    """Where the first NaN or infinity outside a string stands, in characters."""
    return next(found.start() for found in _CONSTANTS.finditer(text) if found[1])


def _find_too_deep(text: str, depth: int) -> int | None:
    """The byte of the first bracket that nests deeper than ``depth``."""
    nested = 0
    for found in _BRACKETS.finditer(text):
        if found["open"]:
            nested += 1
            if nested > depth:
                return len(text[: found.start()].encode())
        elif found["close"]:
            nested -= 1
    return None


def _refuse_lone_surrogates(text: str) -> None:
    if "\\ud" not in text and "\\uD" not in text:
        return
    for found in _ESCAPES.finditer(text):
        if found["lone"]:
            raise MalformedJson("half a surrogate pair", text[: found.start()])
