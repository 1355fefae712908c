"""Polling and long polling: one request after another, each with the cursor of the last answer.

They differ in one thing only: a poll comes back at once and the client waits before it asks again,
a long poll is held by the server until there is something.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from ..encoding import topics_path
from ..errors import Refused
from ..messages import Batch, read_batch
from ..transport import ANSWER_SECONDS, Transport
from .base import Ended, Item, Moved, Opened, Position

__all__ = ["receive_long_poll", "receive_poll"]

WAIT_SECONDS = 25
LIMIT = 1000  # the most records that a server puts into one batch


async def receive_poll(transport: Transport, position: Position) -> AsyncGenerator[Item, None]:
    """Ask every `position.every` seconds."""
    async for items, more in _batches(transport, position, way="poll"):
        for item in items:
            yield item
        if not more:
            await asyncio.sleep(position.every)


async def receive_long_poll(transport: Transport, position: Position) -> AsyncGenerator[Item, None]:
    """Ask, be held until there is something, and ask again."""
    async for items, _ in _batches(transport, position, way="long-poll", wait=str(WAIT_SECONDS)):
        for item in items:
            yield item


async def _batches(
    transport: Transport, position: Position, **query: str
) -> AsyncGenerator[tuple[list[Item], bool], None]:
    """What each answer says, and whether there is more to be had at once."""
    items: list[Item] = [Opened()]
    starting = position.cursor is None
    while True:
        batch = await _ask(transport, position, **({"way": "poll"} if starting else query))
        if batch.gap is not None:
            items.append(batch.gap)
        for record in batch.records:
            # Without a cursor the server tells each topic's newest. Of a stream that is news only
            # to who asked for its last records: others begin from now.
            if not starting or position.last is not None or record.op == "put":
                items.append(record)
        items.append(Moved(batch.cursor))
        if batch.end:
            items.append(Ended())
        starting = starting and batch.more
        yield items, batch.more
        items = []


async def _ask(transport: Transport, position: Position, **query: str) -> Batch:
    query |= {"format": "json", "limit": str(LIMIT)} | position.query()
    topics = position.topics
    if position.cursor is None:
        topics *= 2  # naming even one topic in the query makes the answer a batch with a cursor
    answer = await transport.request(
        "GET",
        topics_path(topics, **query),
        headers={"Accept": "application/json"},
        seconds=ANSWER_SECONDS + WAIT_SECONDS,
    )
    if answer.status != 200:
        raise Refused.from_response(answer.status, answer.headers, answer.body)
    return read_batch(answer.body)
