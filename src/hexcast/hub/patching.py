"""What a change in part (PATCH) makes of a state's value. Pure.

The whole value is kept: a patch is applied the moment its draft is staged, in the log's order, so
that of two concurrent ones both survive.
"""

from __future__ import annotations

from typing import Protocol

from ..model import JSON, TEXT, Draft, Problem, base_type, is_json, utf8
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

__all__ = ["ACCEPT_PATCH", "JSON_PATCH", "MERGE_PATCH", "apply_change", "check_patch_type"]

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


class BaseValue(Protocol):
    """The value that a change in part applies to."""

    @property
    def data(self) -> bytes: ...

    @property
    def type(self) -> str: ...


def apply_change(
    draft: Draft, value: BaseValue | None, limits: Limits
) -> tuple[bytes, str] | Problem:
    """The value that a patch or an append leads to, and its content type; or what is wrong.

    `value` is the value now, None where there is none.
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


def _append(draft: Draft, value: BaseValue | None, limits: Limits) -> tuple[bytes, str] | Problem:
    if value is None:
        typed = draft.type and not is_json(draft.type)
        return append(b"", draft.data, limits), draft.type if typed else TEXT
    if is_json(value.type) or utf8(value.data) is None:
        return Problem(409, f"the value is {value.type or 'binary'}: only text can be appended to")
    return append(value.data, draft.data, limits), value.type


def _patch(draft: Draft, value: BaseValue | None, limits: Limits) -> tuple[bytes, str] | Problem:
    before: Json = {}
    if value is not None:
        if not is_json(value.type):
            return Problem(409, f"the value is {value.type or 'binary'}, not JSON")
        try:
            before = parse(value.data, limits)
        except (Malformed, LimitExceeded) as error:
            return Problem(409, f"the value cannot be patched: {error}")
    if draft.type == JSON_PATCH:
        after = apply_json_patch(before, parse_json_patch(draft.data, limits), limits)
    else:
        after = apply_merge_patch(before, parse(draft.data, limits), limits)
    data = dump(after, limits)
    if value is None:
        return data, JSON
    # A change that changes nothing leaves the bytes as they were published.
    return value.data if data == dump(before) else data, value.type
