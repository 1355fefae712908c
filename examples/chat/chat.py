"""A chat room on Hexcast: two-way over every way, and usable without JavaScript.

    hexcast serve --allow-origin http://127.0.0.1:8070
    python examples/chat/chat.py                          # the room: http://127.0.0.1:8070
    python examples/chat/chat.py --join Anna --way push   # the same room in a terminal

The room is one stream, `chat/lobby`. This program serves its pages and publishes what a form sends;
the pages' script follows the room, and publishes, at Hexcast itself.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import re
import sys
from collections import deque
from collections.abc import AsyncIterator
from html import escape
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from aiohttp import web

from hexcast.client.client import Client
from hexcast.client.errors import HexcastError, Refused
from hexcast.client.fallback import WayChoice
from hexcast.client.messages import Gap, Record

HERE = Path(__file__).parent
TOPIC = "chat/lobby"
NEWEST = 50
LONGEST = {"name": 40, "text": 2000}
EVERY = 4  # seconds between two looks of a page without JavaScript
WAYS = ("websocket", "sse", "long-poll", "poll", "refresh", "push")


class Invalid(ValueError):
    """What somebody has sent is no message."""


def message(name: str, text: str) -> dict[str, str]:
    """One message, as it is published. Raises Invalid."""
    said = {"name": name.strip(), "text": text.strip()}
    for field, most in LONGEST.items():
        if not said[field]:
            raise Invalid(f"the {field} is empty")
        if len(said[field]) > most:
            raise Invalid(f"the {field} is longer than {most} characters")
    return said


def read(record: Record) -> tuple[str, str] | None:
    """Name and text of a message; None for what is none, whoever published it."""
    said = record.data
    if not isinstance(said, dict) or "name" not in said or "text" not in said:
        return None
    return str(said["name"]), str(said["text"])


class Room:
    """The room as this program knows it: a subscriber like any other."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.client = Client(url)
        self.lines: deque[str] = deque(maxlen=NEWEST)
        self.cursor = "now"  # those who are given `lines` have everything up to here

    async def follow(self) -> None:
        """Follow the room until this program ends."""
        async with self.client.subscribe(TOPIC, last=NEWEST) as items:
            async for item in items:
                if isinstance(item, Gap):
                    self.lines.append("<li><em>Some messages are no longer held.</em></li>")
                    continue
                said = read(item)
                if said is not None:
                    name, text = map(escape, said)
                    self.lines.append(f'<li id="{item.id}"><b>{name}</b> <span>{text}</span></li>')
                self.cursor = item.id


ROOM = web.AppKey("room", Room)


@contextlib.asynccontextmanager
async def following(room: Room) -> AsyncIterator[None]:
    """Follow the room; a server that refuses ends this program, with the reason."""
    task = asyncio.create_task(room.follow())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await room.client.aclose()


def document(file: str, **values: str) -> web.Response:
    """An HTML file with its {{words}} filled in. The values are HTML already."""
    html = (HERE / file).read_text(encoding="utf-8")
    html = re.sub(r"{{(\w+)}}", lambda found: values[found[1]], html)
    return web.Response(text=html, content_type="text/html", headers={"Cache-Control": "no-store"})


async def page(request: web.Request) -> web.Response:
    """The room, with its newest messages in it."""
    room = request.app[ROOM]
    return document(
        "page.html",
        hexcast=escape(room.url),
        cursor=escape(room.cursor),
        messages="\n".join(room.lines),
        name=escape(unquote(request.cookies.get("name", ""))),
        fault=escape(request.query.get("fault", "")),
    )


async def messages(request: web.Request) -> web.Response:
    """The messages alone, for the frame that refreshes itself."""
    answer = document("messages.html", messages="\n".join(request.app[ROOM].lines))
    answer.headers["Refresh"] = str(EVERY)
    return answer


async def say(request: web.Request) -> web.Response:
    """What a form sends."""
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        raise web.HTTPForbidden(text="forms of other sites do not speak here")
    form = await request.post()
    name = str(form.get("name", ""))
    try:
        await request.app[ROOM].client.publish(TOPIC, message(name, str(form.get("text", ""))))
        answer = web.Response(status=303, headers={"Location": "/"})
    except (Invalid, HexcastError) as fault:
        answer = web.Response(status=303, headers={"Location": f"/?fault={quote(str(fault))}"})
    answer.set_cookie("name", quote(name.strip()[: LONGEST["name"]]), samesite="Lax")
    return answer


async def file(request: web.Request) -> web.FileResponse:
    """The page's script and style."""
    return web.FileResponse(HERE / request.match_info["file"])


def app(url: str) -> web.Application:
    """The pages of the room at the Hexcast server `url`."""
    made = web.Application(client_max_size=16 * 1024)
    made[ROOM] = room = Room(url)

    async def follow(_: web.Application) -> AsyncIterator[None]:
        async with following(room):
            yield

    made.cleanup_ctx.append(follow)
    made.router.add_get("/", page)
    made.router.add_get("/messages", messages)
    made.router.add_post("/say", say)
    made.router.add_get("/{file:(?:chat|socket)\\.(?:js|css)}", file)
    return made


async def join(url: str, name: str, way: WayChoice) -> None:
    """The room in a terminal: lines typed are said, what is said is printed."""

    async def listen(client: Client) -> None:
        async with client.subscribe(TOPIC, last=10, way=way) as items:
            async for item in items:
                said = None if isinstance(item, Gap) else read(item)
                print(
                    "(some messages are no longer held)" if said is None else "{}: {}".format(*said)
                )

    async def speak(client: Client) -> None:
        while line := await asyncio.to_thread(sys.stdin.readline):
            try:
                await client.publish(TOPIC, message(name, line))
            except (Invalid, Refused) as fault:
                print(f"not said: {fault}", file=sys.stderr)

    async with Client(url) as client:
        listening = asyncio.create_task(listen(client))
        try:
            await speak(client)
        finally:
            listening.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await listening


def main() -> None:
    """Serve the room's pages, or join it."""
    words = argparse.ArgumentParser(description="A chat room on Hexcast.")
    words.add_argument("--url", default=os.environ.get("HEXCAST_URL", "http://127.0.0.1:8066"))
    words.add_argument("--port", type=int, default=8070)
    words.add_argument("--join", metavar="NAME", help="join the room in this terminal")
    words.add_argument("--way", choices=WAYS, default="sse", help="how to follow it, with --join")
    given = words.parse_args()
    if given.join:
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(join(given.url, given.join, given.way))
        return
    host = urlsplit(given.url).hostname or ""
    if host not in ("127.0.0.1", "localhost", "::1"):
        print(f"pages of 127.0.0.1 will speak to {host}", file=sys.stderr)
    web.run_app(app(given.url), host="127.0.0.1", port=given.port)


if __name__ == "__main__":
    main()
