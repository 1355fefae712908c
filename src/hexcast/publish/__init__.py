"""Requests that change topics: one message, or a stream of lines.

`one` reads a request to one topic and answers it; `batch` reads many lines of one request and
acknowledges each in order. Both make a `Draft` and publish it through `pending`, which bounds the
wait for the log.
"""

from .batch import batch
from .one import OPS, Line, draft_of_line, publish, publishable
from .pending import PendingPublishes

__all__ = [
    "OPS",
    "Line",
    "PendingPublishes",
    "batch",
    "draft_of_line",
    "publish",
    "publishable",
]
