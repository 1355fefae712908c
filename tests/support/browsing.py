"""Pages in a real browser that follow topics, and a proxy that can be told what to do to them."""

from __future__ import annotations

import asyncio
import mimetypes
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Self

from playwright.async_api import Browser, BrowserContext, Page

from tests.support.browsers import chromium as chromium
from tests.support.harness import Endpoint, deadline

FOLLOW = """async ([url, options]) => {
    const {Hexcast} = await import(new URL('/hexcast.js', location));
    const live = window.live = new Hexcast(url, options);
    window.seen = [], window.told = [], window.ways = [];
    for (const type of ['gap', 'error', 'expired', 'state'])
        live.addEventListener(type, ({detail}) => told.push([type, detail.title ?? detail]));
    live.addEventListener('way', ({detail}) => ways.push(detail));
    (async () => { for await (const record of live) if (record.op != 'gap') seen.push(record.data); })()
        .catch((error) => told.push(['thrown', error.title]));
}"""
"""Follows a topic; `seen` are the data of its records, `told` and `ways` the events."""


@asynccontextmanager
async def pages(browser: Browser, number: int = 1, **options: Any) -> AsyncIterator[list[Page]]:
    """Some tabs of one browser profile. An error that no script catches fails the test."""
    context: BrowserContext = await browser.new_context(**options)
    context.set_default_timeout(15_000)
    faults: list[str] = []
    context.on("weberror", lambda error: faults.append(str(error.error)))
    try:
        yield [await context.new_page() for _ in range(number)]
    finally:
        await context.close()
    assert not faults


@asynccontextmanager
async def page_of(browser: Browser, **options: Any) -> AsyncIterator[Page]:
    async with pages(browser, 1, **options) as tabs:
        yield tabs[0]


async def follow(page: Page, front: Endpoint, url: str, **options: Any) -> None:
    """Let a page of this server follow a topic."""
    await page.goto(f"{front.url}/healthz")
    await page.evaluate(FOLLOW, [url, options])


async def until(page: Page, expression: str, seconds: float = 20) -> Any:
    """Wait until an expression is true in the page, and give its value."""
    try:
        handle = await page.wait_for_function(expression, timeout=seconds * 1000)
    except Exception as error:
        story = await page.evaluate(
            "JSON.stringify([window.live?.way, window.live?.state, window.live?.cursor,"
            " window.seen?.length, window.told, window.ways])"
        )
        raise AssertionError(f"not in {seconds} s: {expression}; {story}") from error
    return await handle.json_value()


class Proxy(Endpoint):
    """A proxy before a server: it can cut connections, and refuse WebSocket.

    What is under `/site/` it serves itself, from a folder.
    """

    def __init__(self, upstream: Endpoint, site: Path | None = None) -> None:
        super().__init__(0)
        self.upstream = upstream
        self.site = site
        self.refuse_websocket = False
        self.swallow_held = False  # answer no request that may be held
        self.closed = False  # take no connections
        self.flows = asyncio.Event()  # while it is not set, no byte passes to the browser
        self.flows.set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, self.host, 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self.cut()

    async def cut(self) -> None:
        """Cut all connections."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        async with deadline("connections to end"):
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        # A connection that is cut, by the test or at either end, is what this proxy is for.
        with suppress(OSError, asyncio.CancelledError, asyncio.IncompleteReadError):
            if not self.closed:
                await self._relay(reader, writer)
        self._tasks.discard(task)
        writer.transport.abort()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if self.site is not None and head.startswith(b"GET /site/"):
            await self._file(self.site / head.split(b" ", 2)[1].decode()[len("/site/") :], writer)
            return
        if self.refuse_websocket and b"upgrade: websocket" in head.lower():
            writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()
            return
        if self.swallow_held and re.search(rb"[?&]wait=[^0&]", head):
            await reader.read()  # until the client gives up
            return
        # One request a connection, so that each is looked at.
        if b"upgrade: websocket" not in head.lower():
            head = head.replace(b"Connection: keep-alive", b"Connection: close")
        head = head.replace(self.authority.encode(), self.upstream.authority.encode())
        up_reader, up_writer = await asyncio.open_connection(self.upstream.host, self.upstream.port)
        try:
            up_writer.write(head)
            done, pending = await asyncio.wait(
                [
                    asyncio.ensure_future(self._pump(reader, up_writer, upstream=False)),
                    asyncio.ensure_future(self._pump(up_reader, writer, upstream=True)),
                ],
                return_when=asyncio.FIRST_COMPLETED,
            )
            for task in pending:
                task.cancel()
            await asyncio.gather(*done, *pending, return_exceptions=True)
        finally:
            up_writer.transport.abort()

    async def _file(self, path: Path, writer: asyncio.StreamWriter) -> None:
        content = await asyncio.to_thread(path.read_bytes)
        kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: %b; charset=utf-8\r\nConnection: close\r\n"
            b"Content-Length: %d\r\n\r\n%b" % (kind.encode(), len(content), content)
        )
        await writer.drain()
        writer.close()
        await writer.wait_closed()  # not before all of it has gone

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, upstream: bool
    ) -> None:
        while data := await reader.read(65536):
            if upstream:
                await self.flows.wait()
            writer.write(data)
            with suppress(ConnectionError):
                await writer.drain()
