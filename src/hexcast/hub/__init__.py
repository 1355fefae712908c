"""The hub: a deterministic fold of the log into what can be replayed.

Begin with `hub`, which stages drafts and applies what the log has committed. `history` is what is
retained, `topic` the records of one topic in it, `epochs` the names of places, `idempotency` the
keys of publishes already made, `patching` the value after a change in part, `resume` where a
subscription begins, `scan` what is walked for it.
"""

from .history import History
from .hub import Hub
from .idempotency import MAX_KEY_BYTES
from .patching import MERGE_PATCH, check_patch_type
from .resume import ResumePoint, resume_point
from .scan import Scan

__all__ = [
    "MAX_KEY_BYTES",
    "MERGE_PATCH",
    "History",
    "Hub",
    "ResumePoint",
    "Scan",
    "check_patch_type",
    "resume_point",
]
