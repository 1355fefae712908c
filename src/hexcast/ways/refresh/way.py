"""Page refresh: an HTML page of the topic that the browser itself asks for again."""

from __future__ import annotations

from ...http import Exchange, Headers, Response
from ...model import Record
from ..compressed import CACHED, KEPT
from ..context import Context
from ..query import ReceiveQuery
from .layout import LIVE_POLICY, PLAIN_POLICY
from .topic_page import Shown, topic_page
from .topic_script import send_ahead

__all__ = ["refresh"]

MAX_TOPICS = 1000
MAX_BYTES = 2**20
"""What a page shows of several topics at most, the newest first; what is left out it says."""

HISTORY = 20
"""Records in the history of a topic's page."""

HTML = "text/html; charset=utf-8"


def refresh(context: Context, query: ReceiveQuery, exchange: Exchange) -> None:
    """Answer with a page: plain where the way was named, live where `Accept` chose it."""
    hub = context.hub
    context.counters.ways["refresh"].requests += 1
    live, base = not query.chosen, context.settings.base_path
    newest = _newest(context, query)
    records = _shown(newest)
    tag = hub.id(max((r.seq for r in newest), default=0))
    if not query.one:
        tag += f"+{len(newest)}"  # a delete leaves the others' ids as they were
    # Of weak tags there is one for all codings.
    keep = bool(query.keep and records)
    headers: list[tuple[str, str]] = [KEPT if keep else CACHED, ("Hexcast-Way", "refresh")]
    if records:
        headers.append(("ETag", f'W/"{tag}"'))
    if query.vary:
        headers.append(("Vary", query.vary))
    if not live:
        headers.append(("Refresh", str(query.every)))
    if records and (tag in query.none_match or "*" in query.none_match):
        exchange.respond(Response(304, tuple(headers)))
        return
    if live and exchange.request.method == "GET" and not query.none_match:
        # Who has a page with a tag has its script too.
        value = records[0] if query.one and records else None
        send_ahead(exchange, base, value)
    shown = Shown(
        hub.id(hub.head), live, query.every, exchange.request.origin, base,
        len(newest) - len(records), hub.recent(query.selector.single, HISTORY),
    )  # fmt: skip
    page = topic_page(query.selector.text, records, shown)
    version = (query.selector.text, tag, *shown[:-1])
    coded = context.coder.coded(query, version, HTML, page, keep=keep)
    if keep and not coded.kept:
        headers[0] = CACHED
    head: Headers = (
        ("Content-Type", HTML),
        ("Content-Security-Policy", LIVE_POLICY if live else PLAIN_POLICY),
        ("X-Content-Type-Options", "nosniff"),
    )
    status = 200 if records or not query.one else 404
    answer = Response(status, (*head, *headers, *coded.headers), coded.body)
    context.send("refresh", exchange, answer, len(records))


def _newest(context: Context, query: ReceiveQuery) -> list[Record]:
    """Each selected topic's newest record."""
    if not query.one:
        return context.hub.newest(query.selector)
    value = context.hub.value(query.selector.single)
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
