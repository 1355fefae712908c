"""Feeds: one for each distinct (selector, wire format), and the subscribers that share its bytes.

A subscriber is a cursor into the log. One that is caught up shares its feed's position, and each
flush is one write of shared bytes. One that lags scans from its own cursor until it reaches the
feed's position, and joins. Begin with `feed`, which has the theory, then `subscriber`; `registry`
owns the feeds, `throttled` paces them, `segments` shares what scans send, `context` is what all
feeds share, `encoding` says what a wire format is, `deltas` what changed in a value.
"""

from .deltas import Change
from .encoding import AnswerEncoder, StreamEncoder
from .feed import PLAIN, DeliveryOptions, Feed
from .registry import Feeds
from .subscriber import Subscriber

__all__ = [
    "PLAIN",
    "AnswerEncoder",
    "Change",
    "DeliveryOptions",
    "Feed",
    "Feeds",
    "StreamEncoder",
    "Subscriber",
]
