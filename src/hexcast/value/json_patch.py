"""JSON patches (RFC 6902): reading one, and applying it wholly or not at all.

The work is done on a copy of the value that is only as large as it has to be: an object or array
is copied when an operation first changes something in it, and once a patch at most. So the value
that the server holds is never touched, and a patch that fails half-way leaves nothing behind.

Why not the jsonpatch library: it compares numbers in a ``test`` with Python's ``==``, which for
numbers kept as text means their digits and not, as section 4.6 asks, their worth; it copies the
whole value for each patch; and it sets no bound to ``copy``, with which thirty short operations
make a gigabyte. The tests use it as an oracle.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias, cast

from .errors import FailedTest, MalformedPatch, MissingPath, TooDeep, TooLarge, TooManyOperations
from .json_text import LIMITS, Json, Limits, Number, check, parse
from .pointer import Nothing, Pointer, child, index

Op: TypeAlias = Literal["add", "remove", "replace", "move", "copy", "test"]
_OPS = ("add", "remove", "replace", "move", "copy", "test")

_NUMBER = re.compile(rb"(-?)([0-9]+)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?")


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of a JSON patch.

    ``source`` is the pointer of ``from`` (`move` and `copy`; else the same as ``path``);
    ``value`` the operand of `add`, `replace` and `test` (else None).
    """

    op: Op
    path: Pointer
    source: Pointer
    value: Json


def parse_json_patch(data: bytes, limits: Limits = LIMITS) -> tuple[Operation, ...]:
    """The operations of a JSON patch.

    The patch is checked as a whole before any of it is applied. Raises `MalformedPatch` and
    `TooManyOperations`, and what `parse` raises. Members that an operation does not define are
    ignored (section 4).
    """
    document = parse(data, limits)
    if not isinstance(document, list):
        raise MalformedPatch("it is not an array")
    if len(document) > limits.operations:
        raise TooManyOperations(limits.operations)
    return tuple(_operation(place, member) for place, member in enumerate(document))


def apply_json_patch(
    value: Json, operations: tuple[Operation, ...], limits: Limits = LIMITS
) -> Json:
    """What the value becomes when all operations are applied in turn; the value itself is kept.

    Raises `FailedTest` or `MissingPath`, and `TooLarge`, `TooManyMembers` or `TooDeep` where the
    result is. Its text may still be too large, which `dump` with limits finds out.
    """
    draft = _Draft(value, limits)
    for place, operation in enumerate(operations):
        try:
            draft.do(operation)
        except Nothing as error:
            path = operation.source if error.at_source else operation.path
            raise MissingPath(place, operation.op, path.text, str(error)) from None
        except _Unequal:
            reason = "the value there is another one"
            raise FailedTest(place, operation.op, operation.path.text, reason) from None
    check(draft.root, limits)
    return draft.root


def _operation(place: int, member: Json) -> Operation:
    if not isinstance(member, dict):
        raise MalformedPatch("an operation that is not an object", place)
    op = member.get("op")
    if op not in _OPS:
        raise MalformedPatch(f'"op" must be one of {", ".join(_OPS)}', place)
    path = _pointer(member, "path", place)
    source = path
    if op in ("move", "copy"):
        source = _pointer(member, "from", place)
    elif op in ("add", "replace", "test") and "value" not in member:
        raise MalformedPatch('"value" is missing', place)
    if op == "move" and path != source and path.tokens[: len(source.tokens)] == source.tokens:
        raise MalformedPatch("a value cannot be moved into itself", place)  # section 4.4
    if op == "remove" and not path.tokens:
        raise MalformedPatch("the whole value cannot be removed by a patch", place)
    return Operation(cast(Op, op), path, source, member.get("value"))


def _pointer(member: dict[str, Json], name: str, place: int) -> Pointer:
    text = member.get(name)
    if not isinstance(text, str):
        raise MalformedPatch(f'"{name}" must be a string', place)
    try:
        return Pointer.parse(text)
    except ValueError as error:
        raise MalformedPatch(f'"{name}" {error}', place) from None


class _Unequal(Exception):
    """A test that failed."""


class _Draft:
    """A value while a patch is applied to it.

    ``_own`` holds the identity of each object and array that is this draft's alone and may be
    changed in place. All others are shared, with the value that came in, with the patch, or
    between two places after a `copy`. An identity is never reused by a foreign one, since every
    foreign one outlives the draft.
    """

    def __init__(self, value: Json, limits: Limits) -> None:
        self.root = value
        self._own: set[int] = set()
        self._limits = limits
        self._copied = 0
        # What was weighed and has been shared since, by identity: held, so that none is reused.
        self._weighed: dict[int, tuple[Json, int]] = {}

    def do(self, operation: Operation) -> None:
        path = operation.path.tokens
        match operation.op:
            case "add":
                self._add(path, operation.value)
            case "remove":
                self._remove(path)
            case "replace":
                self._replace(path, operation.value)
            case "move":
                value = self._from(operation)
                if operation.source != operation.path:
                    self._remove(operation.source.tokens)
                    self._add(path, value)
            case "copy":
                value = self._from(operation)
                self._share(value)
                self._add(path, value)
            case "test":
                if not _equal(self._find(path), operation.value):
                    raise _Unequal

    def _from(self, operation: Operation) -> Json:
        try:
            return self._find(operation.source.tokens)
        except Nothing as error:
            error.at_source = True
            raise

    def _find(self, path: tuple[str, ...]) -> Json:
        value = self.root
        for token in path:
            value = child(value, token)
        return value

    def _open(self, path: tuple[str, ...]) -> dict[str, Json] | list[Json]:
        """The object or array at a path, it and all above it made this draft's own."""
        self.root = opened = self._claim(self.root)
        for token in path:
            claimed = self._claim(child(opened, token))
            if isinstance(opened, dict):
                opened[token] = claimed
            else:
                opened[int(token)] = claimed
            opened = claimed
        return opened

    def _claim(self, value: Json) -> dict[str, Json] | list[Json]:
        if not isinstance(value, (dict, list)):
            raise Nothing("what is above it is neither an object nor an array")
        if id(value) in self._own:
            return value
        own = value.copy()
        self._own.add(id(own))
        return own

    def _add(self, path: tuple[str, ...], value: Json) -> None:
        if not path:
            self.root = value
            return
        parent, last = self._open(path[:-1]), path[-1]
        if isinstance(parent, dict):
            parent[last] = value
        elif last == "-":
            parent.append(value)
        else:
            parent.insert(index(last, len(parent) + 1), value)

    def _remove(self, path: tuple[str, ...]) -> None:
        parent, last = self._open(path[:-1]), path[-1]
        child(parent, last)
        if isinstance(parent, dict):
            del parent[last]
        else:
            del parent[int(last)]

    def _replace(self, path: tuple[str, ...], value: Json) -> None:
        if not path:
            self.root = value
            return
        parent, last = self._open(path[:-1]), path[-1]
        child(parent, last)
        if isinstance(parent, dict):
            parent[last] = value
        else:
            parent[int(last)] = value

    def _share(self, value: Json) -> None:
        """Makes a value fit to stand in two places, and counts what it adds.

        A copy that is copied again doubles; so what is copied is counted, roughly in bytes of
        JSON, and the count ends the patch before it ends the memory.
        """
        self._copied += self._weigh(value)
        if self._copied > self._limits.bytes:
            raise TooLarge(self._limits.bytes)

    def _weigh(self, value: Json, depth: int = 0) -> int:
        """Roughly the bytes of a value; what is in it is the draft's own no more.

        Recurses no deeper than a value may be, and raises `TooDeep` there. What was weighed is not
        weighed again: until it is claimed, and so is another one, it does not change.
        """
        if isinstance(value, str):
            return len(value)
        if isinstance(value, Number):
            return len(bytes(value))
        if not isinstance(value, (dict, list)):
            return 0
        known = self._weighed.get(id(value))
        if known is not None and id(value) not in self._own:
            return known[1]
        if depth > self._limits.depth:
            raise TooDeep(self._limits.depth)
        self._own.discard(id(value))
        weight = 1 + len(value)
        if isinstance(value, dict):
            weight += sum(map(len, value))
            parts: Iterable[Json] = value.values()
        else:
            parts = value
        weight += sum(self._weigh(part, depth + 1) for part in parts)
        self._weighed[id(value)] = value, weight
        return weight


def _equal(found: Json, wanted: Json) -> bool:
    """Equality of section 4.6: members in any order, numbers by what they are worth.

    Recurses no deeper than ``wanted``, which was read within the limits.
    """
    if isinstance(wanted, dict):
        return (
            isinstance(found, dict)
            and found.keys() == wanted.keys()
            and all(_equal(found[key], member) for key, member in wanted.items())
        )
    if isinstance(wanted, list):
        return (
            isinstance(found, list)
            and len(found) == len(wanted)
            and all(map(_equal, found, wanted))
        )
    if isinstance(wanted, Number):
        return isinstance(found, Number) and (found == wanted or _worth(found) == _worth(wanted))
    return found == wanted


def _worth(number: Number) -> tuple[bytes, bytes, int | bytes]:
    """Sign, digits without zeros at either end, power of ten: the same for the same number.

    A power of ten that itself has more than 4,000 digits is compared as it was written, since
    Python's int() refuses such.
    """
    written = bytes(number)
    parts = _NUMBER.fullmatch(written)
    assert parts is not None, "a Number holds a JSON number"
    sign, whole, fraction, power = parts[1], parts[2], parts[3] or b"", parts[4] or b"0"
    digits = (whole + fraction).lstrip(b"0")
    if not digits:
        return b"", b"", 0
    if len(power) > 4000:
        return sign, whole + b"." + fraction, power
    significant = digits.rstrip(b"0")
    return sign, significant, int(power) - len(fraction) + len(digits) - len(significant)
