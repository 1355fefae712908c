"""What a request asks to receive: which topics, over which way, from where. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..feed import PLAIN, Terms
from ..http.negotiate import accepts, entity_tags, prefers_html, wait_preference
from ..http.request import Request
from ..problem import Problem
from ..start import Start
from ..topics import Selector

__all__ = ["Ask", "Way", "read_ask"]

Way = Literal["refresh", "poll", "long-poll", "sse", "websocket", "push"]
WAYS = ("refresh", "poll", "long-poll", "sse", "websocket", "push")

DEFAULT_LIMIT, MAX_LIMIT = 100, 1000
DEFAULT_WAIT, MAX_WAIT = 25.0, 90.0
DEFAULT_EVERY, MAX_EVERY = 5, 86_400
MIN_RATE, MAX_RATE = 0.1, 1000


@dataclass(frozen=True, slots=True)
class Ask:
    """A request to receive, read once. Numbers are clamped; empty strings mean not given."""

    way: Way
    chosen: bool
    """Whether the client named the way, instead of leaving it to its headers."""
    selector: Selector
    one: bool
    """Whether the URL names one topic, as a path without a pattern."""
    format: Literal["raw", "json"]
    header: str
    """`Last-Event-ID`."""
    since: str
    last: int
    limit: int
    wait: float
    every: int
    delta: bool
    rate: float
    """Flushes a second at most; 0 for no bound."""
    none_match: tuple[str, ...]
    """The ids of `If-None-Match`."""
    vary: str
    """The headers that were negotiated on."""
    fallback: str = ""
    """Why the way that was named is not the one that serves."""

    def terms(self, start: Start) -> Terms:
        """The terms on which a client is served that starts so."""
        if not self.delta:
            return Terms(rate=self.rate) if self.rate else PLAIN
        return Terms(self.selector, self.rate, strangers=not start.holds)

    @property
    def cursor_given(self) -> bool:
        return bool(self.header or self.since)


def _way(request: Request) -> tuple[Way, bool]:
    """The way a request chooses; first match wins (contract 3)."""
    named = request.first("way")
    # RFC 9110, 7.8: an Upgrade in HTTP/1.0 is ignored.
    upgrade = request.header("upgrade").lower() == "websocket" and request.version != "1.0"
    if named or "way" in request.query:
        if named not in WAYS:
            raise Problem(400, f"way is one of {', '.join(WAYS)}")
        return named, True  # type: ignore[return-value]  # checked against WAYS
    if upgrade:
        return "websocket", False
    accept = request.header("accept")
    if accepts(accept, "text/event-stream"):
        return "sse", False
    if "wait" in request.query or wait_preference(request.header("prefer")) is not None:
        return "long-poll", False
    if request.first("since"):
        return "poll", False
    return ("refresh" if prefers_html(accept) else "poll"), False


def read_ask(request: Request, selector: Selector, *, one: bool) -> Ask:
    """Read what a request asks for. Raises Problem 400 where it cannot be meant."""
    way, chosen = _way(request)
    format = request.first("format") or ("raw" if one else "json")
    if format not in ("raw", "json"):
        raise Problem(400, "format is raw or json")
    preferred = wait_preference(request.header("prefer"))
    return Ask(
        way=way,
        chosen=chosen,
        selector=selector,
        one=one,
        format="raw" if format == "raw" else "json",
        header=request.header("last-event-id"),
        since=request.first("since"),
        last=int(request.number("last", 0, 0, 1_000_000)),
        limit=int(request.number("limit", DEFAULT_LIMIT, 1, MAX_LIMIT)),
        wait=request.number(
            "wait", DEFAULT_WAIT if preferred is None else min(preferred, MAX_WAIT), 0, MAX_WAIT
        ),
        every=int(request.number("every", DEFAULT_EVERY, 1, MAX_EVERY)),
        delta=request.flag("delta"),
        rate=request.number("rate", 0, MIN_RATE, MAX_RATE),
        none_match=entity_tags(request.header("if-none-match")),
        vary="" if chosen else "Accept, Prefer",
    )
