"""Requests that change topics: one message, or a stream of lines.

`one` reads a request to one topic and answers it; `batch` reads many lines of one request and
acknowledges each in order. Both make a `Draft` and hand it to the hub.
"""

from .batch import batch
from .one import OPS, Line, draft_of_line, publish, publishable

__all__ = [
    "OPS",
    "Line",
    "batch",
    "draft_of_line",
    "publish",
    "publishable",
]
