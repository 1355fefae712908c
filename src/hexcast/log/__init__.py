"""The ordered log: it alone gives records their ids and their order.

`base` has the interface, and the rules that a log and the fold keep with each other; `memory` is
the log that lives as long as the process; `staging` is the queue of an engine that commits later
than it judges; `open` chooses an engine. The hub folds what a log hands on; nothing else reads a
log.
"""

from .base import Done, Durability, Entry, KeyUse, Log, Outcome, Staged
from .open import open_log

__all__ = [
    "Done",
    "Durability",
    "Entry",
    "KeyUse",
    "Log",
    "Outcome",
    "Staged",
    "open_log",
]
