"""Compressed event streams and WebSockets, read by clients that are not ours.

Each stream has small pieces (stored), large ones (compressed) and several records in one; the
clients join at different places; and the stream ends, by `end=1` or with the server, in a way that
none of them takes for an error.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import httpx
import pytest
import websockets
from playwright.async_api import Page

from tests.support.harness import Server, ask, deadline, path, publish, put, unique
from tests.support.wire import SseParser

from .test_chromium import CLOSED, FOLLOW, chromium, opened, page_of, seen, told
from .test_curl import running

CODINGS = ("gzip", "zstd")


def payload(n: int) -> str:
    """Small, large, and larger than one block; every one different."""
    return json.dumps({"n": n, "text": f"value {n} " * (0, 30, 3000)[n % 3]})


async def feed(server: Server, topic: str, first: int, count: int) -> None:
    """Publish records so that several are flushed at once."""
    lines = [json.dumps({"topic": topic, "data": payload(n)}) for n in range(first, first + count)]
    fields = {"Content-Type": "application/x-ndjson"}
    answer = await ask(server, "POST", "/topics?ack=last", fields, "\n".join(lines))
    assert answer.json()["published"] == count


class Reader:
    """What an event stream says, as it comes decoded."""

    def __init__(self, pieces: AsyncIterator[bytes]) -> None:
        self.pieces = pieces
        self.parser = SseParser()
        self.data: list[str] = []

    async def until(self, text: str) -> list[str]:
        """Records up to the one that is `text`."""
        async with deadline(f"the record {text[:40]} after {len(self.data)}", 20):
            while text not in self.data:
                self.take(await anext(self.pieces))
        return self.data

    async def end(self) -> None:
        async with deadline("the end of the stream", 20):
            async for piece in self.pieces:
                self.take(piece)

    def take(self, piece: bytes) -> None:
        events = [e for e in self.parser.feed(piece) if e.data is not None]
        self.data += [e.data or "" for e in events if e.event != "hexcast:cursor"]


@asynccontextmanager
async def by_httpx(url: str, coding: str) -> AsyncIterator[Reader]:
    headers = {"Accept": "text/event-stream", "Accept-Encoding": coding}
    async with (
        httpx.AsyncClient(trust_env=False) as client,
        client.stream("GET", url, headers=headers, timeout=20) as response,
    ):
        assert response.headers["content-encoding"] == coding.partition(",")[0]
        yield Reader(response.aiter_bytes())


@asynccontextmanager
async def by_aiohttp(url: str, coding: str) -> AsyncIterator[Reader]:
    headers = {"Accept": "text/event-stream", "Accept-Encoding": coding}
    timeout = aiohttp.ClientTimeout(total=40)
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        session.get(url, headers=headers) as response,
    ):
        assert response.headers["content-encoding"] == coding
        yield Reader(response.content.iter_any())


@asynccontextmanager
async def by_curl(url: str, coding: str) -> AsyncIterator[Reader]:
    arguments = ("--compressed", "-H", f"Accept-Encoding: {coding}", "-H", "Accept: text/event-stream")  # fmt: skip

    async def pieces(out: asyncio.StreamReader) -> AsyncIterator[bytes]:
        while piece := await out.read(65536):
            yield piece

    async with running(*arguments, "--fail", url) as out:
        yield Reader(pieces(out))


@pytest.mark.parametrize(
    ("client", "coding"),
    [
        (by_httpx, "gzip"), (by_aiohttp, "gzip"), (by_curl, "gzip"), (by_aiohttp, "zstd"),
        (by_curl, "zstd"),
    ],
)  # fmt: skip
async def test_event_streams(server: Server, client: Any, coding: str) -> None:
    topic = unique("coded")
    url = f"{server.url}{path(topic)}"
    await feed(server, topic, 0, 3)
    async with client(f"{url}?since=earliest", coding) as early:
        assert await early.until(payload(2)) == [payload(n) for n in range(3)]
        await feed(server, topic, 3, 12)
        await early.until(payload(14))
        async with client(f"{url}?last=2", coding) as late:
            await late.until(payload(14))
            await feed(server, topic, 15, 6)
            for reader in (early, late):
                await reader.until(payload(20))
            await publish(server, topic, "over", query="?end=1")
            await early.end()
            await late.end()
    assert early.data == [*(payload(n) for n in range(21)), "over"]
    assert late.data == [*(payload(n) for n in range(13, 21)), "over"]


async def test_curl_has_no_complaint_at_the_end(server: Server) -> None:
    topic = unique("coded")
    await feed(server, topic, 0, 4)
    await publish(server, topic, "over", query="?end=1")
    for coding in CODINGS:
        process = await asyncio.create_subprocess_exec(
            "curl", "--disable", "-sS", "--noproxy", "*", "--max-time", "20", "--compressed",
            "-H", f"Accept-Encoding: {coding}", f"{server.url}{path(topic)}?way=sse&since=earliest",
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        async with deadline("curl", 25):
            out, errors = await process.communicate()
        assert (process.returncode, errors) == (0, b"")
        assert b"data: over" in out


async def test_who_takes_all_codings_gets_the_one_that_all_can_read(server: Server) -> None:
    """httpx reads one zstd frame of many, and yet names zstd among those that it accepts."""
    topic = unique("coded")
    await feed(server, topic, 0, 3)
    async with by_httpx(f"{server.url}{path(topic)}?since=earliest", "gzip, zstd") as reader:
        await reader.until(payload(2))


# --- Chromium -------------------------------------------------------------------------------------


async def codings_of(page: Page, wanted: str) -> list[str]:
    """The content coding of each answer to a URL with `wanted` in it, as they come."""
    log = await page.context.new_cdp_session(page)
    found: list[str] = []

    def note(event: dict[str, Any]) -> None:
        if wanted in event["response"]["url"]:
            head = {k.lower(): v for k, v in event["response"]["headers"].items()}
            found.append(head.get("content-encoding", ""))

    log.on("Network.responseReceived", note)
    await log.send("Network.enable")
    return found


@pytest.mark.browser
@pytest.mark.parametrize("coding", CODINGS)
async def test_eventsource_in_chromium(server: Server, coding: str) -> None:
    topic = unique("coded")
    await feed(server, topic, 0, 4)
    async with chromium() as browser, page_of(browser) as page:
        await page.goto(f"{server.url}/healthz")
        if coding == "zstd":
            await page.set_extra_http_headers({"Accept-Encoding": "zstd"})
        codings = await codings_of(page, topic)
        url = f"{server.url}{path(topic)}?way=sse&since=earliest"
        await page.evaluate(FOLLOW, [url, ["message"]])
        await opened(page)
        await seen(page, lambda events: len(events) == 4)
        await feed(server, topic, 4, 9)
        await seen(page, lambda events: len(events) == 13)
        await feed(server, topic, 13, 2)
        events = await seen(page, lambda events: len(events) == 15)
        assert [event[1] for event in events] == [payload(n) for n in range(15)]
        assert codings == [coding]
        await publish(server, topic, "over", query="?end=1")
        await told(page, "window.source.readyState", lambda state: state == CLOSED)
        assert (await seen(page, lambda events: len(events) == 16))[-1][1] == "over"


@pytest.mark.browser
@pytest.mark.parametrize("coding", ["gzip", pytest.param("zstd", marks=pytest.mark.long)])
async def test_eventsource_comes_back_after_a_stop(coding: str) -> None:
    topic = unique("coded")
    first = Server("--retry", "0.2")
    async with chromium() as browser, page_of(browser) as page:
        with first:
            await page.goto(f"{first.url}/healthz")
            await page.set_extra_http_headers({"Accept-Encoding": coding})
            names = ["message", "hexcast:gap"]
            await page.evaluate(FOLLOW, [f"{first.url}{path(topic)}?way=sse", names])
            await opened(page)
            await feed(first, topic, 0, 3)
            await seen(page, lambda events: len(events) == 3)
        with Server("--retry", "0.2", port=first.port) as second:
            await told(page, "window.opened", lambda count: count == 2)
            await feed(second, topic, 3, 3)
            await seen(page, lambda e: [x[1] for x in e if x[0] == "message"] == [payload(n) for n in range(6)])  # fmt: skip


# --- WebSocket ------------------------------------------------------------------------------------

WS_FOLLOW = """(url) => {
    window.messages = [];
    const socket = window.socket = new WebSocket(url);
    socket.onmessage = (event) => window.messages.push(event.data);
    socket.onclose = (event) => { window.ended = event.code; };
}"""


@pytest.mark.browser
async def test_websocket_in_chromium(server: Server) -> None:
    topic = unique("coded")
    await feed(server, topic, 0, 3)
    async with chromium() as browser, page_of(browser) as page:
        await page.goto(f"{server.url}/healthz")
        url = f"ws://{server.authority}{path(topic)}?since=earliest"
        await page.evaluate(WS_FOLLOW, url)
        await told(page, "window.messages", lambda got: len(got) == 3)
        assert "permessage-deflate" in await page.evaluate("window.socket.extensions")
        await feed(server, topic, 3, 9)
        got = await told(page, "window.messages", lambda got: len(got) == 12)
        assert got == [payload(n) for n in range(12)]
        await publish(server, topic, "over", query="?end=1")
        assert await told(page, "window.ended", bool) == 1000


@pytest.mark.browser
async def test_a_page_publishes_compressed(server: Server) -> None:
    topic, words = unique("coded"), "the same words again, " * 400
    async with chromium() as browser, page_of(browser) as page:
        await page.goto(f"{server.url}/healthz")
        echo = """([url, topic, words]) => new Promise((resolve, reject) => {
            const socket = new WebSocket(url, "hexcast.v1");
            socket.onopen = () => {
                socket.send(JSON.stringify({subscribe: [topic]}));
                socket.send(JSON.stringify({publish: topic, data: words}));
            };
            socket.onmessage = (event) => resolve(JSON.parse(event.data).data);
            socket.onclose = reject;
        })"""
        url = f"ws://{server.authority}/topics"
        assert await page.evaluate(echo, [url, topic, words]) == words


@pytest.mark.parametrize("size", [10, 5000, 500_000])
async def test_websockets_both_ways(server: Server, size: int) -> None:
    topic, text = unique("coded"), ("words and words " * (size // 16 + 1))[:size]
    async with (
        deadline("websockets", 20),
        websockets.connect(
            f"ws://{server.authority}{path(topic)}",
            proxy=None,
            subprotocols=["hexcast.v1"],  # type: ignore[list-item]
        ) as ws,
    ):
        agreed = ws.response.headers["Sec-WebSocket-Extensions"] if ws.response else ""
        assert "server_no_context_takeover" in agreed and "client_no_context_takeover" in agreed
        for n in range(3):
            await ws.send(json.dumps({"publish": topic, "data": f"{n}{text}"}))
            assert json.loads(await ws.recv())["data"] == f"{n}{text}"


async def test_aiohttp_with_compression(server: Server) -> None:
    topic = unique("coded")
    timeout = aiohttp.ClientTimeout(total=20)
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        session.ws_connect(f"{server.url}{path(topic)}", compress=15) as ws,
    ):
        assert ws.compress == 15
        for n in range(6):
            await put(server, topic, payload(n))
            assert await ws.receive_str() == payload(n)


@pytest.mark.parametrize("coding", CODINGS)
async def test_values_are_decoded_by_the_usual_clients(server: Server, coding: str) -> None:
    topic = unique("coded")
    record_id = await put(server, topic, payload(2), fields={"Content-Type": "application/json"})
    headers = {"Accept-Encoding": coding}
    url = f"{server.url}{path(topic)}"
    async with httpx.AsyncClient(trust_env=False) as client:
        for query in ("", "?wait=5", f"?id={record_id}"):
            answer = await client.get(url + query, headers=headers)
            assert (answer.text, answer.headers["content-encoding"]) == (payload(2), coding)
            assert answer.headers["etag"] == f'"{record_id}~{coding}"'
        batch = await client.get(url + "?since=earliest", headers=headers)
        assert batch.headers["content-encoding"] == coding
        assert batch.json()["records"][0]["data"] == json.loads(payload(2))
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as response:
        assert await response.text() == payload(2)
