"""Page refresh: an HTML page of the topic that the browser itself asks for again."""

from __future__ import annotations

from ..http.exchange import Exchange, Headers, Response
from ..record import Record
from .ask import Ask
from .context import Context
from .page import LIVE_POLICY, PLAIN_POLICY, topic_page

__all__ = ["refresh"]

MAX_TOPICS = 1000
MAX_BYTES = 2**20
"""What a page shows of several topics at most, the newest first; what is left out it says."""


def refresh(context: Context, ask: Ask, exchange: Exchange) -> None:
    """Answer with a page: plain where the way was named, live where `Accept` chose it."""
    hub, meter = context.hub, context.meters.ways["refresh"]
    meter.requests += 1
    live = not ask.chosen
    newest = _newest(context, ask)
    records = _shown(newest)
    tag = hub.id(max((r.seq for r in newest), default=0))
    if not ask.one:
        tag += f"+{len(newest)}"  # a delete leaves the others' ids as they were
    headers: list[tuple[str, str]] = [("Cache-Control", "no-cache"), ("Hexcast-Way", "refresh")]
    if records:
        headers.append(("ETag", f'W/"{tag}"'))
    if ask.vary:
        headers.append(("Vary", ask.vary))
    if not live:
        headers.append(("Refresh", str(ask.every)))
    if records and (tag in ask.none_match or "*" in ask.none_match):
        exchange.respond(Response(304, tuple(headers)))
        return
    body = topic_page(
        ask.selector.text, records, hub.id(hub.head), live=live, every=ask.every,
        left_out=len(newest) - len(records),
    )  # fmt: skip
    meter.deliveries += len(records)
    meter.sent += len(body)
    page: Headers = (
        ("Content-Type", "text/html; charset=utf-8"),
        ("Content-Security-Policy", LIVE_POLICY if live else PLAIN_POLICY),
        ("X-Content-Type-Options", "nosniff"),
    )
    exchange.respond(Response(200 if records or not ask.one else 404, (*page, *headers), body))


def _newest(context: Context, ask: Ask) -> list[Record]:
    """Each selected topic's newest record."""
    if not ask.one:
        return context.hub.history.newest(ask.selector)
    topic = context.hub.topics.get(ask.selector.single)
    value = None if topic is None else topic.value
    return [] if value is None else [value]


def _shown(newest: list[Record]) -> list[Record]:
    """As many of the newest as a page takes, at least one."""
    shown: list[Record] = []
    size = 0
    for record in reversed(newest[-MAX_TOPICS:]):
        size += len(record.data)
        if shown and size > MAX_BYTES:
            break
        shown.append(record)
    return shown[::-1]
