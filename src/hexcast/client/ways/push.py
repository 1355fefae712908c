"""HTTP/2 server push: a stream of lines, each after the pushed answer that is its record.

The lines give the order; what is pushed is the record in json form. A record that could not be
pushed is asked for by the path in its line, on the same connection. A server that does not push
answers with Server-Sent Events and says why; so does one that is reached over HTTP/1.1 alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from itertools import islice

from ..encoding import topics_path
from ..errors import ConnectionFailed, ProtocolError, Refused
from ..http2 import Answer, H2Connection, NoHttp2
from ..lines import LineSplitter, TooLong
from ..messages import Announced, Gap, Record, read_announcement, read_message
from ..transport import Transport
from .base import Ended, Item, Moved, Opened, Position
from .sse import STREAM_HEADERS, follow_events

__all__ = ["receive"]

LINE_BYTES = 2**20
FETCHED_AT_ONCE = 16
"""Records that were not pushed and are asked for at a time."""

_HEADERS = STREAM_HEADERS | {"Accept": "application/x-ndjson, text/event-stream"}


async def receive(transport: Transport, position: Position) -> AsyncGenerator[Item, None]:
    """Follow one stream to its end."""
    path = topics_path(position.topics, way="push", format="json", **position.query())
    try:
        connection = await H2Connection.open(transport)
    except NoHttp2:
        following = _over_http1(transport, path)
    else:
        following = _over_http2(connection, path)
    async with aclosing(following) as items:
        async for item in items:
            yield item


async def _over_http1(transport: Transport, path: str) -> AsyncGenerator[Item, None]:
    async with transport.stream(path, headers=_HEADERS) as (response, pieces):
        if response.status == 204:
            yield Ended()
            return
        opened = Opened("sse", response.headers.get("hexcast-fallback", "http1"))
        async with aclosing(follow_events(pieces, opened)) as items:
            async for item in items:
                yield item


async def _over_http2(connection: H2Connection, path: str) -> AsyncGenerator[Item, None]:
    async with connection:
        answer = connection.get(path, _HEADERS, minded=True)
        while answer.headers is None:
            if answer.over:
                raise ConnectionFailed("the server refused the stream")
            await connection.turn()
        headers = answer.headers
        if answer.status == 204:
            yield Ended()
            return
        if answer.status >= 400:
            connection.give_back(answer)
            raise Refused.from_response(answer.status, headers, await connection.whole(answer))
        following: AsyncGenerator[Item, None]
        match headers.get("content-type", "").partition(";")[0].strip():
            case "application/x-ndjson":
                yield Opened()
                if "hexcast-cursor" in headers:
                    yield Moved(headers["hexcast-cursor"])
                following = _follow_lines(connection, answer)
            case "text/event-stream":
                opened = Opened("sse", headers.get("hexcast-fallback", ""))
                following = follow_events(_pieces(connection, answer), opened)
            case kind:
                raise ProtocolError(
                    f"status {answer.status} and {kind or 'no content type'} in place of a stream"
                )
        async with aclosing(following) as items:
            async for item in items:
                yield item


async def _pieces(connection: H2Connection, answer: Answer) -> AsyncIterator[bytes]:
    """The body as it comes."""
    while True:
        data = connection.take(answer)
        if data:
            yield data
        connection.give_back(answer)
        if answer.over:
            return
        await connection.turn()


@dataclass(slots=True)
class _Told:
    """A line, and where its record comes from."""

    line: Gap | str | Announced
    answer: Answer | None = None
    fetched: bool = False


async def _follow_lines(connection: H2Connection, answer: Answer) -> AsyncGenerator[Item, None]:
    splitter = LineSplitter(LINE_BYTES)
    waiting: deque[_Told] = deque()
    while True:
        for line in splitter.feed(connection.take(answer)):
            if isinstance(line, TooLong):
                raise ProtocolError(f"a line of {line.size} bytes")
            told = _Told(read_announcement(line))
            if isinstance(told.line, Announced) and told.line.pushed:
                told.answer = connection.pushed.pop(told.line.path, None)
            waiting.append(told)
        _fetch(connection, waiting)
        while waiting and _ready(waiting[0]):
            yield _item(connection, waiting.popleft())
            _fetch(connection, waiting)
        if not waiting:
            # More lines only when these are done with: they are what is waited for in order.
            connection.give_back(answer)
            if answer.over:
                return
        await connection.turn()


def _fetch(connection: H2Connection, waiting: deque[_Told]) -> None:
    """Ask for those of the first that were not pushed, or whose push was broken off."""
    for told in islice(waiting, FETCHED_AT_ONCE):
        line = told.line
        if not isinstance(line, Announced) or line.op == "delete":
            continue
        if told.answer is None or told.answer.reset:
            if told.fetched:
                raise ConnectionFailed(f"the server broke off {line.path}")
            told.fetched = True
            told.answer = connection.get_target(line.path, {"Accept": "application/json"})


def _ready(told: _Told) -> bool:
    line = told.line
    if not isinstance(line, Announced) or line.op == "delete":
        return True
    return told.answer is not None and told.answer.ended


def _item(connection: H2Connection, told: _Told) -> Item:
    line = told.line
    if isinstance(line, Gap):
        return line
    if isinstance(line, str):
        return Moved(line)
    if line.op == "delete":
        return Record(line.id, line.topic, "delete", None, raw=line.raw)
    answer = told.answer
    assert answer is not None
    body = connection.take(answer)
    if answer.status in (404, 410):
        # It went while it was asked for. Who returns with the cursor is told what that means.
        raise ConnectionFailed(f"{line.id} of {line.topic} is no longer held")
    if answer.status != 200:
        raise Refused.from_response(answer.status, answer.headers or {}, body)
    record = read_message(body.rstrip(b"\n"))
    if record.id != line.id:
        raise ProtocolError(f"{record.id} was pushed as {line.id}")
    return record
