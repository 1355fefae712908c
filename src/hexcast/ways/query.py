"""What a request asks to receive: which topics, over which way, from where. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal, NamedTuple

from ..feed import PLAIN, DeliveryOptions
from ..http import (
    STREAM_CODINGS,
    Request,
    accepted_codings,
    accepts,
    available_dictionary,
    entity_tags,
    pattern_of,
    prefers_html,
    revalidates,
    wait_preference,
)
from ..hub import ResumePoint
from ..model import WAYS, Problem, Selector, WayName

__all__ = ["ReceiveQuery", "read_page_query", "read_query"]

DEFAULT_LIMIT, MAX_LIMIT = 100, 1000
DEFAULT_WAIT, MAX_WAIT = 25.0, 90.0
DEFAULT_EVERY, MAX_EVERY = 5, 86_400
MIN_RATE, MAX_RATE = 0.1, 1000
LAST_EVENT_ID_FIELDS = ("lastEventId", "last-event-id", "Last-Event-ID")
"""Query fields that stand for the header where a client cannot set headers."""


@dataclass(frozen=True, slots=True)
class ReceiveQuery:
    """A request to receive, read once. Numbers are clamped; empty strings mean not given."""

    way: WayName
    chosen: bool
    """Whether the client named the way, instead of leaving it to its headers."""
    selector: Selector
    one: bool
    """Whether the URL names one topic, as a path without a pattern."""
    format: Literal["raw", "json"]
    header: str
    """The cursor of `Last-Event-ID`, as a header or as a query field."""
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
    codings: tuple[str, ...] = ()
    """The content codings that a body may have, the most wanted first; empty for none."""
    stream_coding: str = ""
    """The content coding of a body that stays open; empty for none."""
    dictionary: bytes = b""
    """The SHA-256 of what the client could decode with (RFC 9842)."""
    keep: str = ""
    """Where the answer may be the dictionary for the next one: the URLs it is for, as a
    structured field's string."""
    fallback: str = ""
    """Why the way that was named is not the one that serves."""

    def options(self, start: ResumePoint) -> DeliveryOptions:
        """How a client that starts so is served."""
        if not self.delta:
            return DeliveryOptions(rate=self.rate) if self.rate else PLAIN
        return DeliveryOptions(self.selector, self.rate, lacks_base=start.lacks_base)

    @property
    def shape(self) -> tuple[object, ...]:
        """What decides how one value is told, beside the dictionary."""
        return self.format, self.way, self.vary, self.codings, self.keep

    @property
    def coding(self) -> str:
        """The coding of what has no dictionary; empty for none."""
        for coding in self.codings:
            if coding != "dcz":
                return "" if coding == "identity" else coding
        return ""

    @property
    def cursor_given(self) -> bool:
        return bool(self.header or self.since)


def _way(request: Request) -> tuple[WayName, bool]:
    """The way a request chooses; first match wins (protocol 3)."""
    named = request.first("way")
    # RFC 9110, 7.8: an Upgrade in HTTP/1.0 is ignored.
    upgrade = request.header("upgrade").lower() == "websocket" and request.version != "1.0"
    if named or "way" in request.query:
        if named not in WAYS:
            raise Problem(400, f"way is one of {', '.join(WAYS)}")
        if upgrade and request.version == "2" and named != "websocket":
            # Over HTTP/1.1 an Upgrade may be ignored; RFC 8441 knows no other answer to a CONNECT.
            raise Problem(400, f"a WebSocket was asked for, and way={named}")
        return named, True
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


def _last_event_id(request: Request) -> str:
    """The header, or the query field in which polyfills of EventSource send it."""
    if header := request.header("last-event-id"):
        return header
    for name in LAST_EVENT_ID_FIELDS:
        if name in request.query:
            return request.first(name)
    return ""


def read_query(
    request: Request, selector: Selector, *, one: bool, compress: bool = True
) -> ReceiveQuery:
    """Read what a request asks for. Raises Problem 400 where it cannot be meant."""
    way, chosen = _way(request)
    format = request.first("format") or ("raw" if one else "json")
    if format not in ("raw", "json"):
        raise Problem(400, "format is raw or json")
    preferred = wait_preference(request.header("prefer"))
    coded = _read_codings(request, compress=compress)
    return ReceiveQuery(
        way=way,
        chosen=chosen,
        selector=selector,
        one=one,
        format="raw" if format == "raw" else "json",
        header=_last_event_id(request),
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
        vary=_vary(way, chosen=chosen, compress=compress),
        codings=coded.codings,
        stream_coding=coded.stream,
        dictionary=coded.dictionary,
        keep=coded.keep,
    )


def read_page_query(request: Request, selector: Selector, *, compress: bool = True) -> ReceiveQuery:
    """Read how a page of a site is asked for: its address leaves no other way than refresh."""
    coded = _read_codings(request, compress=compress)
    return ReceiveQuery(
        way="refresh",
        chosen=request.first("way") == "refresh",
        selector=selector,
        one=False,
        format="raw",
        header="",
        since="",
        last=0,
        limit=DEFAULT_LIMIT,
        wait=DEFAULT_WAIT,
        every=int(request.number("every", DEFAULT_EVERY, 1, MAX_EVERY)),
        delta=False,
        rate=0,
        none_match=entity_tags(request.header("if-none-match")),
        vary=_vary("refresh", chosen=True, compress=compress),
        codings=coded.codings,
        dictionary=coded.dictionary,
        keep=coded.keep,
    )


class _Codings(NamedTuple):
    """The members of an Ask that tell how its answer may be coded."""

    codings: tuple[str, ...]
    stream: str
    dictionary: bytes
    keep: str


def _read_codings(request: Request, *, compress: bool) -> _Codings:
    accept = request.header("accept-encoding")
    codings = accepted_codings(accept) if compress else ()
    streams = accepted_codings(accept, STREAM_CODINGS) if compress else ()
    dictionary, keep = b"", ""
    if len(codings) > 1:
        if "dcz" in codings:
            dictionary = available_dictionary(request.header("available-dictionary"))
        keep = pattern_of(request.target) if _keeps(request, codings) else ""
    stream = streams[0] if streams and streams[0] != "identity" else ""
    return _Codings(codings, stream, dictionary, keep)


def _keeps(request: Request, codings: tuple[str, ...]) -> bool:
    """Whether the client would keep the answer as a dictionary, and may be told to.

    Chromium keeps only what may be shown stale, and then shows it to requests that do not insist.
    So it is said only to those that do, with max-age=0: a page's own refresh, a reload, a fetch
    with `cache: "no-cache"`. It names `dcz` only once it has a dictionary; for the first one it is
    known by its client hints, which nobody else sends.
    """
    if not revalidates(request.header("cache-control")):
        return False
    return "dcz" in codings or ("zstd" in codings and bool(request.header("sec-ch-ua")))


@cache
def _vary(way: WayName, *, chosen: bool, compress: bool) -> str:
    """The headers that an answer depends on; the same for all that a URL may be answered with."""
    if not compress or (chosen and way == "websocket"):
        return "" if chosen else "Accept, Prefer"
    codings = "Accept-Encoding"
    if not chosen or way in ("refresh", "poll"):
        codings += ", Available-Dictionary"
    return codings if chosen else f"Accept, Prefer, {codings}"
