"""Server-Sent Events: one answer that stays open."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from ..encoding import topics_path
from ..errors import ProtocolError
from ..eventstream import EventStreamParser, EventTooLarge, Reconnection, ServerEvent
from ..messages import read_gap, read_message
from ..transport import Transport
from .base import Ended, Item, Moved, Opened, Position, Retry

__all__ = ["STREAM_HEADERS", "follow_events", "receive"]

STREAM_HEADERS = {
    "Accept": "text/event-stream",
    "Accept-Encoding": "identity",  # a coding's buffer would hold events back
    "Cache-Control": "no-store",
}


async def receive(transport: Transport, position: Position) -> AsyncGenerator[Item, None]:
    """Follow one event stream to its end. A dead connection is noticed by its silence."""
    path = topics_path(position.topics, way="sse", format="json", **position.query())
    async with transport.stream(path, headers=STREAM_HEADERS) as (response, pieces):
        if response.status == 204:
            yield Ended()
            return
        async with aclosing(follow_events(pieces, Opened())) as items:
            async for item in items:
                yield item


async def follow_events(pieces: AsyncIterator[bytes], opened: Opened) -> AsyncGenerator[Item, None]:
    """What the bytes of an event stream say; `opened` when the first have come.

    Raises ProtocolError.
    """
    parser = EventStreamParser()
    known_losses = False
    async for piece in pieces:
        if not known_losses:
            known_losses = True
            yield opened
        try:
            for event in parser.feed(piece):
                item = _item(event)
                if item is not None:
                    yield item
        except EventTooLarge as error:
            raise ProtocolError(str(error)) from error


def _item(event: ServerEvent | Reconnection) -> Item | None:
    if isinstance(event, Reconnection):
        return Retry(event.seconds)
    match event.type:
        case "hexcast:gap":
            return read_gap(event.data.encode())
        case "hexcast:cursor":
            return Moved(event.id) if event.id else None
        case name if name.startswith("hexcast:") and name not in _RECORDS:
            return None  # a notice of a later version
        case _:
            return read_message(event.data.encode())


# In json format records are plain messages; these names carry a record's json form too.
_RECORDS = ("hexcast:record", "hexcast:delete")
