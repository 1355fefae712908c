"""Page refresh: an HTML page of the topic that the browser itself asks for again."""

from __future__ import annotations

from ..http.exchange import Exchange, Headers, Response
from ..record import Record
from .ask import Ask
from .coded import CACHED, KEPT
from .context import Context
from .page import LIVE_POLICY, PLAIN_POLICY, topic_page

__all__ = ["refresh"]

MAX_TOPICS = 1000
HTML = "text/html; charset=utf-8"


def refresh(context: Context, ask: Ask, exchange: Exchange) -> None:
    """Answer with a page: plain where the way was named, live where `Accept` chose it."""
    hub, meter = context.hub, context.meters.ways["refresh"]
    meter.requests += 1
    live = not ask.chosen
    records, position = _newest(context, ask)
    tag = hub.id(max((r.seq for r in records), default=0))
    if not ask.one:
        tag += f"+{len(records)}"  # a delete leaves the others' ids as they were
    # Of weak tags there is one for all codings.
    keep = bool(ask.keep and records)
    headers: list[tuple[str, str]] = [KEPT if keep else CACHED, ("Hexcast-Way", "refresh")]
    if records:
        headers.append(("ETag", f'W/"{tag}"'))
    if ask.vary:
        headers.append(("Vary", ask.vary))
    if not live:
        headers.append(("Refresh", str(ask.every)))
    if records and (tag in ask.none_match or "*" in ask.none_match):
        exchange.respond(Response(304, tuple(headers)))
        return
    page = topic_page(ask.selector.text, records, hub.id(position), live=live, every=ask.every)
    version = (ask.selector.text, tag, position, live, ask.every)
    coded = context.coder.coded(ask, version, HTML, page, keep=keep)
    if keep and not coded.kept:
        headers[0] = CACHED
    meter.deliveries += len(records)
    meter.sent += len(coded.body)
    head: Headers = (
        ("Content-Type", HTML),
        ("Content-Security-Policy", LIVE_POLICY if live else PLAIN_POLICY),
        ("X-Content-Type-Options", "nosniff"),
    )
    status = 200 if records or not ask.one else 404
    exchange.respond(Response(status, (*head, *headers, *coded.headers), coded.body))


def _newest(context: Context, ask: Ask) -> tuple[list[Record], int]:
    """Each selected topic's newest record, as many as a page shows, and the place they are from."""
    hub = context.hub
    if ask.one:
        topic = hub.topics.get(ask.selector.single)
        value = None if topic is None else topic.value
        return ([] if value is None else [value]), hub.head
    scanned = hub.history.scan(ask.selector, 0, hub.head, fresh=1, limit=MAX_TOPICS, size=2**20)
    return scanned.records, scanned.position
