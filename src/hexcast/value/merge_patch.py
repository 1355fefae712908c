"""Merge patches (RFC 7396): applying one, and folding several into one.

A merge patch is a function on values. A fold is the composition of such functions, written as one
merge patch again; not every composition can be, and `fold` says so rather than come close.
"""

from __future__ import annotations

from .errors import LimitExceeded
from .json_text import LIMITS, Json, Limits, check, dump, parse


class NotExpressible(Exception):
    """No merge patch does what is asked. Caught inside the room, where it means a full value."""


def apply_merge_patch(value: Json, patch: Json, limits: Limits = LIMITS) -> Json:
    """What the value becomes; the value itself is left as it is.

    Members keep their places, new ones come at the end in the patch's order. Raises
    `TooManyMembers` or `TooDeep` where the result is; its text may still be too large, which
    `dump` with limits finds out.
    """
    result = _merge(value, patch)
    check(result, limits)
    return result


def fold(first: bytes, *rest: bytes, limits: Limits = LIMITS) -> bytes | None:
    """One merge patch that does what these, applied in turn, do; None where there is none.

    The promise holds for every value the patches may be applied to, members' order included. It
    cannot be kept, and the answer is None, where

    - a later patch has an object for a member that an earlier one deleted or set to something
      else than an object. The member must then be built anew, but a patch that has an object
      there merges it with whatever is held;
    - a later patch sets a member that an earlier one deleted. It must then move to the end, but a
      patch that sets a member leaves it in its place;
    - the first patch is not an object, and a later one is: the same, of the whole value;
    - the folded patch would itself be beyond the limits.

    Takes and gives texts, because as a parsed value the patch ``null`` and no patch would look the
    same. Raises what `parse` raises.
    """
    folded = parse(first, limits)
    try:
        for text in rest:
            folded = _compose(folded, parse(text, limits))
    except NotExpressible:
        return None
    try:
        check(folded, limits)
        return dump(folded, limits)
    except LimitExceeded:
        return None


def says_null(value: Json) -> bool:
    """Whether a null stands where, in a merge patch, it would mean a deletion.

    Nulls inside arrays are data: an array replaces the member whole (RFC 7396 section 2).
    """
    if isinstance(value, dict):
        return any(says_null(member) for member in value.values())
    return value is None


def _merge(target: Json, patch: Json) -> Json:
    if not isinstance(patch, dict):
        return patch
    result = target.copy() if isinstance(target, dict) else {}
    for key, change in patch.items():
        if change is None:
            result.pop(key, None)
        elif isinstance(change, dict):
            result[key] = _merge(result.get(key), change)
        else:
            result[key] = change
    return result


def _compose(earlier: Json, later: Json) -> Json:
    """The patch that is ``earlier``, then ``later``; raises `NotExpressible`.

    Builds it out of ``earlier``, so that a long fold costs no more than its patches are long.
    """
    if not isinstance(later, dict):
        return later
    if not isinstance(earlier, dict):
        raise NotExpressible
    for key, change in later.items():
        if key not in earlier or change is None:
            earlier[key] = change  # a deletion stays one, for values that held the member before
        elif earlier[key] is None:
            raise NotExpressible
        else:
            earlier[key] = _compose(earlier[key], change)
    return earlier
