"""Server-Sent Events: one answer that stays open."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from ..errors import ProtocolError
from ..eventstream import EventStreamParser, EventTooLarge, Reconnection, ServerEvent
from ..records import read_gap, read_message
from ..transport import Transport
from ..wire import topics_path
from .base import Ended, Item, Moved, Opened, Position, Retry

__all__ = ["receive"]


async def receive(transport: Transport, position: Position) -> AsyncGenerator[Item, None]:
    """Follow one event stream to its end. A dead connection is noticed by its silence."""
    path = topics_path(position.topics, way="sse", format="json", **position.query())
    headers = {
        "Accept": "text/event-stream",
        "Accept-Encoding": "identity",  # a coding's buffer would hold events back
        "Cache-Control": "no-store",
    }
    async with transport.stream(path, headers=headers) as (status, pieces):
        if status == 204:
            yield Ended()
            return
        parser = EventStreamParser()
        opened = False
        async for piece in pieces:
            if not opened:
                opened = True
                yield Opened()
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
