"""Clients of a lab's run, one a way, for `hexcast bench ways`: each tells what id came and when.

They ask as the lab's page does: with its tag or its cursor, for all or for only the change. Push is
received by the server itself, which tells it with its figures.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode

import httpx
import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from ...client import EventStreamParser, ServerEvent, read_page

__all__ = ["CLIENTS", "Asked", "Tally", "conversation", "now"]

MAX_MESSAGE = 4 * 2**20
ANSWER_SECONDS = 40.0
_BARE = re.compile(r'^(?:W/)?"|(?:~\w+)?"$')


def now() -> float:
    """Milliseconds since 1970 UTC."""
    return time.time_ns() / 1e6


@dataclass(slots=True)
class Tally:
    """What one way has brought: the newest publication, and how long each took."""

    ages: list[float] = field(default_factory=list)
    arrivals: list[tuple[str, float]] = field(default_factory=list)
    """Not settled yet, because it is not known what was published."""
    seen: set[str] = field(default_factory=set)
    twice: int = 0
    shown: int = -1

    def arrive(self, id: str, at: float, *, glimpse: bool = False) -> None:
        """An id came; a glimpse may be of what was there before."""
        if id not in self.seen:
            self.seen.add(id)
            self.arrivals.append((id, at))
        elif not glimpse:
            self.twice += 1

    def settle(self, places: dict[str, int], times: list[float]) -> None:
        """Take in what arrived, by the places of ids and the times of publications."""
        left = []
        for id, at in self.arrivals:
            place = places.get(id)
            if place is None:
                left.append((id, at))
                continue
            if self.shown >= 0:
                self.ages += [max(0.0, at - t) for t in times[self.shown + 1 : place + 1]]
            self.shown = max(self.shown, place)
        self.arrivals = left[-1000:]

    def begin(self) -> None:
        """Count from the next arrival on."""
        self.shown = -1
        self.arrivals.clear()


@dataclass(frozen=True, slots=True)
class Asked:
    """What a client asks for."""

    base: str
    topic: str
    client: str
    every: float
    delta: bool

    def url(self, **params: str) -> str:
        params["client"] = self.client
        return f"{self.base}/topics/{quote(self.topic)}?{urlencode(params)}"


async def _refresh(http: httpx.AsyncClient, asked: Asked, tally: Tally) -> None:
    url = asked.url(way="refresh", every=str(max(1, round(asked.every))))
    tag = ""
    while True:
        answer = await http.get(url, headers={"If-None-Match": tag} if tag else {})
        tag = answer.headers.get("ETag", "")
        for shown in read_page(answer.text):
            tally.arrive(shown.id, now(), glimpse=True)
        await asyncio.sleep(asked.every)


class _Told(msgspec.Struct):
    id: str


class _Batch(msgspec.Struct):
    cursor: str
    records: list[_Told]


_batch = msgspec.json.Decoder(_Batch)


async def _ask(http: httpx.AsyncClient, asked: Asked, tally: Tally, wait: int) -> None:
    params = {"way": "long-poll", "wait": str(wait)} if wait else {"way": "poll"}
    tag = cursor = ""
    while True:
        if asked.delta and cursor:
            answer = await http.get(asked.url(**params, since=cursor, delta="1"))
            answer.raise_for_status()
            batch = _batch.decode(answer.content)
            for record in batch.records:
                tally.arrive(record.id, now())
            cursor = batch.cursor
        else:
            headers = {"If-None-Match": tag} if tag else {}
            answer = await http.get(asked.url(**params), headers=headers)
            if answer.status_code == 200:
                tag = answer.headers["ETag"]
                cursor = _BARE.sub("", tag)
                tally.arrive(cursor, now())
            elif answer.status_code not in (304, 404):
                answer.raise_for_status()
        if not wait:
            await asyncio.sleep(asked.every)


async def _poll(http: httpx.AsyncClient, asked: Asked, tally: Tally) -> None:
    await _ask(http, asked, tally, 0)


async def _long_poll(http: httpx.AsyncClient, asked: Asked, tally: Tally) -> None:
    await _ask(http, asked, tally, 25)


async def _sse(http: httpx.AsyncClient, asked: Asked, tally: Tally) -> None:
    delta = {"delta": "1"} if asked.delta else {}
    async with http.stream("GET", asked.url(way="sse", **delta)) as answer:
        answer.raise_for_status()
        parser = EventStreamParser()
        async for piece in answer.aiter_bytes():
            for event in parser.feed(piece):
                if isinstance(event, ServerEvent) and event.type != "hexcast:cursor":
                    tally.arrive(event.id, now())


async def _websocket(http: httpx.AsyncClient, asked: Asked, tally: Tally) -> None:
    delta = {"delta": "1"} if asked.delta else {}
    async with conversation(asked.url(way="websocket", **delta)) as connection:
        async for message in connection:
            try:
                tally.arrive(msgspec.json.decode(message, type=_Told).id, now())
            except msgspec.ValidationError:
                continue  # a cursor that moved


@asynccontextmanager
async def conversation(url: str) -> AsyncIterator[ClientConnection]:
    """A WebSocket that speaks `hexcast.v1`."""
    async with connect(
        "ws" + url.removeprefix("http"),
        subprotocols=[Subprotocol("hexcast.v1")],
        max_size=MAX_MESSAGE,
        close_timeout=2,
    ) as connection:
        yield connection


CLIENTS: dict[str, Callable[[httpx.AsyncClient, Asked, Tally], Awaitable[None]]] = {
    "refresh": _refresh,
    "poll": _poll,
    "long-poll": _long_poll,
    "sse": _sse,
    "websocket": _websocket,
}
"""For each way, what follows a topic until it is cancelled. Raises what its library does."""
