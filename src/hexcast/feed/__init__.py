"""Feeds: one for each distinct (selector, wire form), and the subscribers that share it.

A subscriber is a cursor into the log. One that is caught up has no cursor of its own: its place is
the feed's, and each flush is one write of shared bytes. One that lags (its socket is full, or it
has only just come) makes passes from its own cursor until it reaches the feed's place, and joins.

Everyone at one place holds the same values of states, so that deltas are shared bytes as well: a
pass from a place tells of each change against the value there.
"""

from .feed import PLAIN, Feed, Step, Terms
from .feeds import Feeds
from .paced import PacedFeed
from .subscriber import Client, Subscriber

__all__ = ["PLAIN", "Client", "Feed", "Feeds", "PacedFeed", "Step", "Subscriber", "Terms"]
