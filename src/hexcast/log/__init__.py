"""The ordered log: it alone gives records their ids and their order.

`base` has the interface and what its two sides promise each other; `memory` is the log that lives
as long as the process. The hub folds what a log hands on; nothing else reads a log.
"""

from .base import Log, Outcome
from .memory import MemoryLog

__all__ = [
    "Log",
    "MemoryLog",
    "Outcome",
]
