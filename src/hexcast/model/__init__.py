"""What every room speaks of: topics and patterns, records and cursors, types and problems.

No I/O, no clocks. `record` comes first: an `Id`, a `Cursor`, a `Draft` that somebody wants
published, the `Record` that it becomes and the `Gap` that stands for records that are gone.
`patterns` has the names of topics and the index that finds who follows one. `problem` is every
error that a client sees.
"""

from .caller import Caller
from .content_type import (
    BINARY,
    FORMS,
    JSON,
    TEXT,
    as_json,
    base_type,
    check_type,
    is_json,
    parses,
    quote,
    settle_type,
    utf8,
)
from .counters import BUCKETS, Counters
from .event import check_event
from .lru import ByteLRU
from .patterns import (
    MAX_SELECTED,
    PatternIndex,
    Selector,
    check_pattern,
    check_topic,
    is_pattern,
    matches,
)
from .per_client import PerClient
from .problem import Problem
from .record import Draft, Gap, Id, Kind, Op, Place, Published, Record, parse_cursor
from .ways import WAYS, WayName

__all__ = [
    "BINARY",
    "BUCKETS",
    "FORMS",
    "JSON",
    "MAX_SELECTED",
    "TEXT",
    "WAYS",
    "ByteLRU",
    "Caller",
    "Counters",
    "Draft",
    "Gap",
    "Id",
    "Kind",
    "Op",
    "PatternIndex",
    "PerClient",
    "Place",
    "Problem",
    "Published",
    "Record",
    "Selector",
    "WayName",
    "as_json",
    "base_type",
    "check_event",
    "check_pattern",
    "check_topic",
    "check_type",
    "is_json",
    "is_pattern",
    "matches",
    "parse_cursor",
    "parses",
    "quote",
    "settle_type",
    "utf8",
]
