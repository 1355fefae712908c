"""What a change in part (PATCH) makes of a state's value. Pure.

The value is kept whole: a patch is resolved the moment it is judged, in the log's order, so that
of two concurrent ones both survive.
"""

from __future__ import annotations

from ..model import JSON, TEXT, Draft, Problem, Record, base_type, is_json, utf8
from ..value import (
    Json,
    LimitExceeded,
    Limits,
    Malformed,
    PatchConflict,
    append,
    apply_json_patch,
    apply_merge_patch,
    dump,
    parse,
    parse_json_patch,
)

__all__ = ["ACCEPT_PATCH", "JSON_PATCH", "MERGE_PATCH", "check_patch_type", "resolve"]

MERGE_PATCH = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
ACCEPT_PATCH = f"{MERGE_PATCH}, {JSON_PATCH}"


def check_patch_type(type: str) -> str:
    """Return the kind of patch that a content type names. Raises Problem 415."""
    base = base_type(type)
    if base not in (MERGE_PATCH, JSON_PATCH):
        raise Problem(
            415,
            f"a patch is {MERGE_PATCH} or {JSON_PATCH}; text is added with ?op=append",
            accept_patch=ACCEPT_PATCH,
        )
    return base


def resolve(draft: Draft, value: Record | None, limits: Limits) -> Problem | None:
    """Set `draft.data` and `draft.type` to the value that a patch or an append leads to.

    `value` is the value now, None where there is none. Returns what is wrong instead, if
    something is. What was asked for stays in `draft.change`, so that it can be judged again.
    """
    try:
        if draft.op == "append":
            return _append(draft, value, limits)
        return _patch(draft, value, limits)
    except Malformed as error:
        return Problem(400, str(error))
    except PatchConflict as error:
        return Problem(409, str(error))
    except LimitExceeded as error:
        return Problem(413, str(error))


def _append(draft: Draft, value: Record | None, limits: Limits) -> Problem | None:
    if value is None:
        typed = draft.change_type and not is_json(draft.change_type)
        draft.type = draft.change_type if typed else TEXT
        draft.data = append(b"", draft.change, limits)
        return None
    if is_json(value.type) or utf8(value.data) is None:
        return Problem(409, f"the value is {value.type or 'octets'}: only text can be appended to")
    draft.type = value.type
    draft.data = append(value.data, draft.change, limits)
    return None


def _patch(draft: Draft, value: Record | None, limits: Limits) -> Problem | None:
    before: Json = {}
    if value is not None:
        if not is_json(value.type):
            return Problem(409, f"the value is {value.type or 'octets'}, not JSON")
        try:
            before = parse(value.data, limits)
        except (Malformed, LimitExceeded) as error:
            return Problem(409, f"the value cannot be patched: {error}")
    if draft.change_type == JSON_PATCH:
        after = apply_json_patch(before, parse_json_patch(draft.change, limits), limits)
    else:
        after = apply_merge_patch(before, parse(draft.change, limits), limits)
    data = dump(after, limits)
    draft.type = JSON if value is None else value.type
    # A change that changes nothing leaves the bytes as they were published.
    draft.data = value.data if value is not None and data == dump(before) else data
    return None
