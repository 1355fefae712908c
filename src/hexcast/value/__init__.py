"""Values: exact JSON, patches of it, the difference between two of it. No I/O, no clocks.

What every function here keeps:

- **Exactness.** A number is its text: ``1.0``, ``1`` and ``1e0`` are three different values, and
  a number of any length comes out as it went in. Only the ``test`` of a JSON patch compares
  numbers by what they are worth, because RFC 6902 section 4.6 says so.
- **Order.** The members of an object stay where they are; new ones come at the end.
- **One text for one value.** `dump` writes a value in exactly one way. Two values are the same
  when those texts are the same, and everything a patch, a delta or a fold promises is promised
  of those texts, byte for byte.
- **Keys are data.** ``__proto__``, ``constructor`` or an empty key mean nothing special.
- **Bounds.** Every read takes `Limits`, and a value that outgrows them is a named error.

The errors fall in three families, each a `ValueError`: `Malformed` (400), `LimitExceeded` (413)
and `PatchConflict` (409).
"""

from .append import append, fold_appends
from .delta import Document, delta, diff
from .errors import (
    FailedTest,
    LimitExceeded,
    Malformed,
    MalformedJson,
    MalformedPatch,
    MalformedText,
    MissingPath,
    PatchConflict,
    TooDeep,
    TooLarge,
    TooManyMembers,
    TooManyOperations,
)
from .json_patch import Operation, apply_json_patch, parse_json_patch
from .json_text import LIMITS, Json, Limits, Number, dump, parse
from .merge_patch import apply_merge_patch, fold
from .pointer import Nothing, Pointer

__all__ = [
    "LIMITS",
    "Document",
    "FailedTest",
    "Json",
    "LimitExceeded",
    "Limits",
    "Malformed",
    "MalformedJson",
    "MalformedPatch",
    "MalformedText",
    "MissingPath",
    "Nothing",
    "Number",
    "Operation",
    "PatchConflict",
    "Pointer",
    "TooDeep",
    "TooLarge",
    "TooManyMembers",
    "TooManyOperations",
    "append",
    "apply_json_patch",
    "apply_merge_patch",
    "delta",
    "diff",
    "dump",
    "fold",
    "fold_appends",
    "parse",
    "parse_json_patch",
]
