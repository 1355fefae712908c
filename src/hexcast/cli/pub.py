"""`hexcast pub`: one record, or standard input a record a line."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncGenerator, AsyncIterable, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace

from ..client import Client, Message, TooLong, Trust, Verb
from ..model import check_topic, settle_type
from .console import DONE, FAILED, say
from .progress import Progress
from .run_client import Notices, run_client
from .stdin import lines_of

__all__ = ["Publication", "messages_of", "pub"]

LINE_BYTES = 16 * 2**20


@dataclass(frozen=True, slots=True)
class Publication:
    """What is the same for all records of one run."""

    topic: str
    op: Verb = "post"
    event: str | None = None
    type: str | None = None
    key: str | None = None
    end: bool = False

    def message(self, data: bytes, *, number: int | None = None, end: bool = False) -> Message:
        """The message of one payload; `number` tells lines of one run apart by their keys."""
        key = self.key if self.key is None or number is None else f"{self.key}-{number}"
        if self.op == "append":
            # A log may hold any bytes; its lines are lines of the text too.
            text = data.decode(errors="replace") + ("" if number is None else "\n")
            return Message(self.topic, text, "append", self.event, self.type, key, end)
        type = self.type or (None if self.op == "patch" else settle_type("", data))
        return Message(self.topic, data, self.op, self.event, type, key, end)


def pub(url: str, publication: Publication, data: str | None, trust: Trust | None = None) -> int:
    """Publish; give the exit code."""
    if data is None:
        if sys.stdin is None:
            say("standard input is closed")
            return FAILED
        return run_client(url, lambda client: _publish_lines(client, publication), trust)
    # The bytes as the shell gave them, be they UTF-8 or not.
    given = os.fsencode(data)
    return run_client(url, lambda client: _publish_one(client, publication, given), trust)


async def _publish_one(client: Client, publication: Publication, data: bytes) -> int:
    message = publication.message(data, end=publication.end)
    published = await client.publish(
        message.topic,
        message.data,
        op=message.op,
        event=message.event,
        type=message.type,
        key=message.key,
        end=message.end,
    )
    print(published.id, flush=True)
    return DONE


async def _publish_lines(client: Client, publication: Publication) -> int:
    check_topic(publication.topic)  # before the first line is read
    progress = Progress(sys.stderr)
    async with (
        aclosing(lines_of(sys.stdin.fileno(), LINE_BYTES)) as lines,
        aclosing(messages_of(publication, lines, progress.refused)) as messages,
        client.publish_many(messages, listener=Notices(progress.tell)) as acknowledgements,
        progress,
    ):
        progress.pending = lambda: acknowledgements.unacknowledged
        async for acknowledged in acknowledgements:
            if acknowledged.error is None:
                progress.acknowledged()
            else:
                progress.refused(str(acknowledged.error))
    return FAILED if progress.refusals else DONE


async def messages_of(
    publication: Publication,
    lines: AsyncIterable[bytes | TooLong],
    refused: Callable[[str], None],
) -> AsyncGenerator[Message, None]:
    """A message for each line, as soon as the line is there.

    With `end` each is held back until it is known whether it is the last. `refused` is told of
    lines that are too long to send.
    """
    number = 0
    held: Message | None = None
    async for line in lines:
        number += 1
        if isinstance(line, TooLong):
            refused(f"line {number} has {line.size} bytes, more than {LINE_BYTES}")
            continue
        message = publication.message(line, number=number)
        if not publication.end:
            yield message
            continue
        if held is not None:
            yield held
        held = message
    if held is not None:
        yield replace(held, end=True)
