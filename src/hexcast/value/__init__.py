"""Values: exact JSON, patches of it, the difference between two of it. No I/O, no clocks.

Begin with `json_text`: a number keeps its text, members keep their order, and a value has one
text; two values are the same when those texts are. `merge_patch`, `json_patch`, `pointer` and
`append` change a value; `delta` finds the smallest change between two. Every read takes `Limits`.
Errors are of three families: `Malformed` (400), `LimitExceeded` (413), `PatchConflict` (409).
"""

from .append import append
from .delta import Document
from .errors import LimitExceeded, Malformed, PatchConflict
from .json_patch import apply_json_patch, parse_json_patch
from .json_text import LIMITS, Json, Limits, dump, parse
from .merge_patch import apply_merge_patch
from .pointer import Nothing, Pointer

__all__ = [
    "LIMITS",
    "Document",
    "Json",
    "LimitExceeded",
    "Limits",
    "Malformed",
    "Nothing",
    "PatchConflict",
    "Pointer",
    "append",
    "apply_json_patch",
    "apply_merge_patch",
    "dump",
    "parse",
    "parse_json_patch",
]
