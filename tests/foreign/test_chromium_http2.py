"""A real browser over HTTP/2: every stream it opens is one of a single connection."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import CDPSession, Page

from tests.support.harness import SecureServer, deadline, path, unique

from .test_chromium import chromium, page_of, until
from .test_http2_clients import http2_client, publish

pytestmark = pytest.mark.browser


@asynccontextmanager
async def secure_page() -> AsyncIterator[tuple[Page, Network]]:
    """A page that takes any certificate, and what it does on the network."""
    async with chromium() as browser, page_of(browser, ignore_https_errors=True) as page:
        session = await page.context.new_cdp_session(page)
        network = Network(session)
        await session.send("Network.enable")
        yield page, network


class Network:
    """What Chromium tells of its connections."""

    def __init__(self, session: CDPSession) -> None:
        self.protocols: dict[str, str] = {}
        self.connections: set[int] = set()
        self.sockets: list[int] = []
        session.on("Network.responseReceived", self._response)
        session.on("Network.webSocketHandshakeResponseReceived", self._socket)

    def _response(self, event: dict) -> None:
        response = event["response"]
        self.protocols[response["url"]] = response["protocol"]
        self.connections.add(response["connectionId"])

    def _socket(self, event: dict) -> None:
        self.sockets.append(event["response"]["status"])


async def connections(server: SecureServer) -> int:
    """How many clients are connected, besides the one that asks."""
    async with http2_client(server) as client:
        metrics = (await client.get("/metrics")).text
    line = next(x for x in metrics.splitlines() if x.startswith("hexcast_connections "))
    return int(float(line.split()[1])) - 1


async def put(server: SecureServer, topic: str, value: str) -> None:
    async with http2_client(server) as client:
        answer = await client.put(
            path(topic), content=value, headers={"Content-Type": "text/plain"}
        )
        assert answer.status_code in (200, 201)


async def test_a_topics_page_and_its_events_come_over_h2(secure: SecureServer) -> None:
    topic = unique("price")
    await put(secure, topic, "first value")
    async with secure_page() as (page, network):
        await page.goto(f"{secure.url}{path(topic)}")
        await until(page, "first value")
        protocol = "performance.getEntriesByType('navigation')[0].nextHopProtocol"
        assert await page.evaluate(protocol) == "h2"
        await until(page, "Live, over WebSocket.")
        assert network.sockets == [200]  # over HTTP/1.1 it would be 101
        await page.select_option("#way", "sse")
        await until(page, "Live, over Server-Sent Events.")
        await put(secure, topic, "second value")
        await until(page, "second value")
        events = [url for url in network.protocols if "way=sse" in url]
        assert len(events) == 1
        assert {p for url, p in network.protocols.items() if topic in url} == {"h2"}
        for name in ("/assets/topic-", "/hexcast-"):
            scripts = [url for url in network.protocols if name in url]
            assert len(scripts) == 1, "announced and then requested by the page: fetched once"
        assert len(network.connections) == 1
        assert await connections(secure) == 1


async def test_more_streams_than_http1_allows_connections(secure: SecureServer) -> None:
    """A browser opens six connections to a host at most; thirty streams here share one."""
    topic = unique("many")
    await publish(secure, topic, "before")
    async with secure_page() as (page, network):
        await page.goto(f"{secure.url}/healthz")
        await page.evaluate(
            """url => {
              window.got = Array.from({length: 30}, () => []);
              window.open = 0;
              window.sources = window.got.map((got, n) => {
                const source = new EventSource(url + "?last=1&n=" + n);
                source.onmessage = event => got.push(event.data);
                source.onopen = () => { window.open += 1; };
                return source;
              });
            }""",
            path(topic),
        )
        await page.wait_for_function("window.open === 30")
        await publish(secure, topic, "after")
        await page.wait_for_function("got.every(got => got.length === 2)")
        assert await page.evaluate("got") == [["before", "after"]] * 30
        assert {p for url, p in network.protocols.items() if "last=1" in url} == {"h2"}
        assert await connections(secure) == 1


async def test_websockets_are_streams_too(secure: SecureServer) -> None:
    """RFC 8441: the server announces it, and Chromium uses it by itself."""
    topic = unique("socket")
    await publish(secure, topic, "before")
    async with secure_page() as (page, network):
        await page.goto(f"{secure.url}/healthz")
        await page.evaluate(
            """url => {
              window.got = Array.from({length: 10}, () => []);
              window.sockets = window.got.map(got => {
                const socket = new WebSocket(url, "hexcast.v1");
                socket.onmessage = event => got.push(JSON.parse(event.data).data);
                socket.onerror = () => got.push("error");
                return socket;
              });
            }""",
            f"{secure.url.replace('https', 'wss')}{path(topic)}?last=1",
        )
        await page.wait_for_function("got.every(got => got.length === 1)")
        await publish(secure, topic, "after")
        await page.wait_for_function("got.every(got => got.length === 2)")
        assert await page.evaluate("got") == [["before", "after"]] * 10
        assert await page.evaluate("sockets.every(s => s.protocol === 'hexcast.v1')")
        assert network.sockets == [200] * 10  # over HTTP/1.1 it would be 101
        assert await connections(secure) == 1
        await page.evaluate("sockets.forEach(socket => socket.close(1000))")
        await page.wait_for_function("sockets.every(socket => socket.readyState === 3)")
        async with deadline("the page's other requests"):
            assert await page.evaluate("fetch('/healthz').then(answer => answer.status)") == 200
