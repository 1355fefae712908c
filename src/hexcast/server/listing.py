"""The list of topics: which ones a request is shown, in the order of their names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from heapq import nsmallest
from typing import NamedTuple

from ..http import Request
from ..hub import Hub
from ..model import Problem, Selector
from ..ways import Live

__all__ = ["Listing", "list_topics"]

DEFAULT_LIMIT, MAX_LIMIT = 1000, 10_000


class Listing(NamedTuple):
    """One page of the list."""

    topics: list[Live]
    left: int
    """How many more there are, after these."""
    match: str
    """The pattern that the request asks for; empty for all."""


def list_topics(
    hub: Hub, interested: Callable[[str], Mapping[str, int]], request: Request
) -> Listing:
    """The topics that have a value: at most `limit` after the name `after`, that `match`.

    `interested` gives the clients that follow a topic, by way. Raises Problem 400 where `match` is
    not a pattern.
    """
    limit = int(request.number("limit", DEFAULT_LIMIT, 1, MAX_LIMIT))
    after, match = request.first("after"), request.first("match")
    try:
        selector = Selector((match,)) if match else None
    except ValueError as error:
        raise Problem(400, f"match: {error}") from None
    found = [
        topic
        for topic in hub.live()
        if topic.name > after and (selector is None or selector.matches(topic.name))
    ]
    shown = nsmallest(limit, found, key=lambda topic: topic.name)
    live = [
        Live(topic.name, topic.kind, topic.id, topic.rate, interested(topic.name))
        for topic in shown
    ]
    return Listing(live, len(found) - len(shown), match)
