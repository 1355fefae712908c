"""Merge patches (RFC 7396): applying one to a value."""

from __future__ import annotations

from .json_text import LIMITS, Json, Limits, check


def apply_merge_patch(value: Json, patch: Json, limits: Limits = LIMITS) -> Json:
    """What the value becomes; the value itself is left as it is.

    Members keep their places, new ones come at the end in the patch's order. Raises
    `TooManyMembers` or `TooDeep` where the result is; its text may still be too large, which
    `dump` with limits finds out.
    """
    result = _merge(value, patch)
    check(result, limits)
    return result


def deletes_a_member(value: Json) -> bool:
    """Whether a null stands where, in a merge patch, it would mean a deletion.

    Nulls inside arrays are data: an array replaces the member whole (RFC 7396 section 2).
    """
    if isinstance(value, dict):
        return any(deletes_a_member(member) for member in value.values())
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
