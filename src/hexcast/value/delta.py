"""The difference between a value and the one that takes its place, as a merge patch.

Most changes touch one member of many, so most of a new value need not be read closely. A text is
split into its members' texts (a scan in C that also checks the grammar), and only members whose
bytes differ are looked into, in the same manner again where both are objects.

What may go unread is exactly what the old value already held, at the same place and byte for byte:
it was checked when it came. `msgspec.Raw` checks neither UTF-8 nor depth, so UTF-8 is checked of
the whole text (of a key named twice, only the last value is looked at afterwards), and depth of
every member that is new.

**Order.** JSON's objects are unordered, but people see the order: a client that walks the members
to draw rows would show another order than one that has just loaded the page. So what a client
holds after a delta is what the server holds, order included, and where a merge patch would leave
another order (a member put in before an old one, members rearranged) the answer is the full value.
A publisher gets the most out of deltas by writing members in one fixed order and new ones last.
"""

from __future__ import annotations

import re
import sys
from dataclasses import replace

import msgspec

from .errors import TooLarge
from .json_text import LIMITS, Json, Limits, dump, parse
from .merge_patch import NotExpressible, says_null

_Members = dict[str, msgspec.Raw]
_split = msgspec.json.Decoder(_Members).decode
_OBJECT = re.compile(rb"[ \t\r\n]*\{")
_BRACE = ord("{")
_READ_BEFORE = Limits(bytes=sys.maxsize, depth=256, members=sys.maxsize)


class Document:
    """A JSON text known to be sound, with its members' texts at hand once they were needed.

    A `Document` holds its text, and after the first delta about 110 bytes more a member.
    """

    __slots__ = ("_limits", "_members", "text")

    def __init__(self, text: bytes, limits: Limits = LIMITS) -> None:
        """Raises what `parse` raises."""
        parse(text, limits)
        self.text = text
        """The value, as it was published."""
        self._limits = limits
        self._members: _Members | None = None

    def value(self) -> Json:
        """The value, parsed anew."""
        return parse(self.text, self._limits)

    def followed_by(self, text: bytes) -> tuple[Document, bytes | None]:
        """The document that takes this one's place, and the merge patch that leads to it.

        The patch is None where the full text has to be sent instead: where `diff` has no answer,
        or its answer is no smaller than the text. Raises, for a text that is no JSON within the
        limits, what `parse` raises; this document stays as it was.
        """
        old = self._split()
        new = object.__new__(Document)
        new.text, new._limits, new._members = text, self._limits, None
        if old is None or not _OBJECT.match(text):
            parse(text, self._limits)
            return new, None
        try:
            new._members = _scan(text, self._limits)
            patch = dump(_changes(old, new._members, self._limits))
        except NotExpressible:
            parse(text, self._limits)  # it was given up before all of it was read
            return new, None
        except (ValueError, RecursionError):
            parse(text, self._limits)  # says what is wrong, and where in the whole text
            raise
        return new, patch if len(patch) < len(text) else None

    def _split(self) -> _Members | None:
        if self._members is None and _OBJECT.match(self.text):
            self._members = _split(self.text)
        return self._members


def delta(old: bytes, new: bytes, limits: Limits = LIMITS) -> bytes | None:
    """A merge patch that makes one text's value the other's; None: send ``new`` in full.

    For values that are the same, however written, the patch is ``{}``. Applying the patch gives
    a value whose canonical text is that of ``new``. Whoever compares each value with the one
    before should hold a `Document` instead, which reads each text once. Raises what `parse`
    raises, of either text.
    """
    return Document(old, limits).followed_by(new)[1]


def diff(old: Json, new: Json) -> dict[str, Json] | None:
    """The merge patch that makes one value the other; None where there is none.

    There is none where either is not an object, where a member that is new or changed is null or
    an object with a null in it, and where the members would be left in another order. A changed
    array is replaced whole. Values are compared by their canonical text, so ``1`` becomes ``1.0``.
    """
    if not isinstance(old, dict) or not isinstance(new, dict):
        return None
    try:
        return _changes(_split(dump(old)), _split(dump(new)), _READ_BEFORE)
    except NotExpressible:
        return None


def _scan(text: bytes, limits: Limits) -> _Members:
    """The members of an object's text, with all checks made that `_changes` does not make."""
    if len(text) > limits.bytes:
        raise TooLarge(limits.bytes)
    # A member takes two bytes at least, and each is begun by one of three characters: for most
    # texts the first test settles that they are not too many, for most others the second.
    if len(text) > 2 * limits.members and (
        text.count(b",") + text.count(b"{") + text.count(b"[") > limits.members
    ):
        parse(text, limits)
    text.decode()
    return _split(text)


def _changes(old: _Members, new: _Members, limits: Limits) -> dict[str, Json]:
    """The merge patch between two objects; raises `NotExpressible`, and what `parse` raises.

    ``limits`` are those of the objects.
    """
    if [key for key in old if key in new] + [key for key in new if key not in old] != list(new):
        raise NotExpressible
    inside = limits
    patch: dict[str, Json] = {}
    for key, text in new.items():
        before = old.get(key)
        if before == text:
            continue
        if inside is limits:
            inside = replace(limits, depth=limits.depth - 1)
        after = bytes(text)
        if before is not None and after[0] == _BRACE and bytes(before)[0] == _BRACE:
            if changes := _changes(_split(before), _split(after), inside):
                patch[key] = changes
            continue
        value = parse(after, inside)
        if before is not None and dump(parse(bytes(before), inside)) == dump(value):
            continue
        if says_null(value):
            raise NotExpressible
        patch[key] = value
    for key in old:
        if key not in new:
            patch[key] = None
    return patch
