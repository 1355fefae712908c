"""Page refresh: the page that a browser without JavaScript sees, fetched again and again.

A page shows the newest there is, so of a stream, what came and went between two fetches is not seen
on this way. Therefore it does not move the cursor: who goes on over another way misses nothing.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Sequence

import msgspec

from ...model import Id
from ..encoding import topics_path
from ..errors import ProtocolError, Refused
from ..html_page import Shown, read_page
from ..messages import Record
from ..transport import Transport
from .base import Glimpse, Item, Opened, Position

__all__ = ["news", "receive", "refresh_seconds"]

# `Refresh: 5` or `Refresh: 5; url=…` (HTML, section 4.2.4.3, "shared declarative refresh steps").
_REFRESH = re.compile(r"\s*([0-9]{1,6})(?:\.[0-9]*)?\s*(?:[;,].*)?", re.ASCII | re.DOTALL)


async def receive(transport: Transport, position: Position) -> AsyncGenerator[Item, None]:
    """Fetch the page again as its Refresh field says; yield what it shows that is new."""
    every = str(max(1, round(position.every)))
    path = topics_path(position.topics, way="refresh", every=every)
    headers = {"Accept": "text/html"}
    opened = False
    while True:
        answer = await transport.request("GET", path, headers=headers)
        is_page = answer.headers.get("content-type", "").startswith("text/html")
        # A page that has nothing to show yet is one all the same, though its status is 404.
        if answer.status not in (200, 304) and not (answer.status == 404 and is_page):
            raise Refused.from_response(answer.status, answer.headers, answer.body)
        if answer.status != 304 and not is_page:
            raise ProtocolError(f"no page at {transport.url}{path}")
        if not opened:
            opened = True
            yield Opened()
        if answer.status != 304:
            if "etag" in answer.headers:
                headers["If-None-Match"] = answer.headers["etag"]
            for record in news(read_page(answer.body.decode("utf-8", "replace")), position):
                position.seen[record.topic] = record.id
                yield Glimpse(record)
        await asyncio.sleep(refresh_seconds(answer.headers.get("refresh"), position.every))


def news(shown: Sequence[Shown], position: Position) -> list[Record]:
    """What of a page is beyond the cursor and was not seen on it before, in the log's order.

    Raises ProtocolError where an id is none.
    """
    try:
        cursor = Id.parse(position.cursor or "")
    except ValueError:
        cursor = None
    found: list[tuple[int, Record]] = []
    for value in shown:
        topic = value.topic or position.topics[0]
        try:
            id = Id.parse(value.id)
        except ValueError as error:
            raise ProtocolError(f"the page of {topic}: {error}") from error
        had = cursor is not None and id.epoch == cursor.epoch and id.seq <= cursor.seq
        if not had and position.seen.get(topic) != value.id:
            raw = msgspec.json.encode({"id": value.id, "topic": topic, "data": value.text})
            found.append((id.seq, Record(value.id, topic, "", value.text, raw=raw)))
    return [record for _, record in sorted(found, key=lambda pair: pair[0])]


def refresh_seconds(value: str | None, otherwise: float) -> float:
    """Seconds until the next fetch: at least one, and `otherwise` where no Refresh field says."""
    match = _REFRESH.fullmatch(value or "")
    return max(1.0, float(match[1])) if match else max(1.0, otherwise)
