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
from dataclasses import replace

import msgspec

from .errors import TooLarge
from .json_text import LIMITS, Json, Limits, dump, parse
from .merge_patch import deletes_a_member

_Members = dict[str, msgspec.Raw]
_split = msgspec.json.Decoder(_Members).decode
_OBJECT = re.compile(rb"[ \t\r\n]*\{")
_BRACE = ord("{")


class _NotExpressible(Exception):
    """No merge patch leads from the one value to the other: the full value has to be sent."""


class Document:
    """A JSON text that was checked, with its members' texts once a delta needed them.

    Memory: its text, and after the first delta about 110 bytes more a member.
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
        """The value, parsed at each call."""
        return parse(self.text, self._limits)

    def followed_by(self, text: bytes) -> tuple[Document, bytes | None]:
        """The next document, and the merge patch that leads to it (canonical text).

        The patch is None where the full text has to be sent instead:

        - either value is not an object;
        - a member that is new or changed is null, or an object with a null in it, which a merge
          patch would take for a deletion;
        - the patch would leave the members in another order;
        - the patch is no smaller than the text.

        A changed array is replaced whole. Values are compared by their canonical text, so ``1``
        and ``1.0`` differ; for the same value written otherwise the patch is ``{}``. Raises what
        `parse` raises for a text that is not JSON within the limits; this document stays as it was.
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
        except _NotExpressible:
            parse(text, self._limits)  # the comparison stopped before all of it was read
            return new, None
        except (ValueError, RecursionError):
            parse(text, self._limits)  # raises with the position in the whole text
            raise
        return new, patch if len(patch) < len(text) else None

    def _split(self) -> _Members | None:
        if self._members is None and _OBJECT.match(self.text):
            self._members = _split(self.text)
        return self._members


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
    """The merge patch between two objects; raises `_NotExpressible`, and what `parse` raises.

    ``limits`` are those of the objects.
    """
    if [key for key in old if key in new] + [key for key in new if key not in old] != list(new):
        raise _NotExpressible
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
        if deletes_a_member(value):
            raise _NotExpressible
        patch[key] = value
    for key in old:
        if key not in new:
            patch[key] = None
    return patch
