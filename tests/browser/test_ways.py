"""hexcast.js in Chromium: the way it picks, and the exact sequence whatever happens on the way."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Browser

from tests.support.browsing import Proxy, follow, page_of, pages, until
from tests.support.harness import Endpoint, Server, ask, get, path, publish, seeded, unique
from tests.support.nginx import nginx

JSON = {"Content-Type": "application/json"}

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]


async def say(server: Endpoint, topic: str, first: int, last: int) -> None:
    """Publish numbers in order."""
    for n in range(first, last + 1):
        await publish(server, topic, str(n), fields=JSON)


@asynccontextmanager
async def saying(server: Endpoint, topic: str, first: int, last: int) -> AsyncIterator[None]:
    """Publish numbers meanwhile."""
    task = asyncio.create_task(say(server, topic, first, last))
    try:
        yield
        await task
    finally:
        task.cancel()


async def exactly(page: object, last: int) -> None:
    """Each number has come, once and in order."""
    await until(page, f"seen.length >= {last}")  # type: ignore[arg-type]  # a Page
    seen = await page.evaluate("seen")  # type: ignore[attr-defined]  # a Page
    assert seen == list(range(1, last + 1))


@pytest.mark.parametrize("way", ["websocket", "sse", "long-poll", "poll"])
async def test_a_client_that_is_cut(server: Server, browser: Browser, way: str) -> None:
    topic = unique("cut")
    async with Proxy(server) as proxy, page_of(browser) as page:
        await follow(page, proxy, path(topic), ways=[way], every=150, backoff=100)
        await until(page, "live.state == 'live'")
        await say(server, topic, 1, 20)
        for n in range(20, 60, 20):
            await until(page, f"seen.length >= {n - 10}")
            async with saying(server, topic, n + 1, n + 20):
                proxy.closed = True
                await proxy.cut()
                proxy.closed = False
        await exactly(page, 60)
        await until(page, "live.state == 'live'")
        assert await page.evaluate("ways") == [way]


async def test_a_server_that_is_killed_and_started_again(browser: Browser) -> None:
    topic = unique("killed")
    with Server() as first:
        async with page_of(browser) as page:
            await follow(page, first, path(topic), backoff=100)
            await until(page, "live.state == 'live'")
            await say(first, topic, 1, 20)
            await exactly(page, 20)
            assert first.process is not None
            first.process.kill()
            first.process.wait()
            first.process = None  # there is no clean end to be demanded of it
            await until(page, "live.state == 'waiting'")
            with Server(port=first.port) as second:
                await say(second, topic, 21, 40)
                await exactly(page, 40)
                await until(page, "live.state == 'live'")
                told = await page.evaluate("told")
                # The log was in memory: that something may be lost is said.
                assert [kind for kind, _ in told if kind in ("gap", "thrown")] == ["gap"]
                assert await page.evaluate("live.way") == "websocket"


async def test_a_server_that_is_stopped_and_started_again(browser: Browser) -> None:
    topic = unique("stopped")
    with Server() as first:
        async with page_of(browser) as page:
            await follow(page, first, path(topic), ways=["sse", "poll"], backoff=100)
            await until(page, "live.state == 'live'")
            await say(first, topic, 1, 10)
            await exactly(page, 10)
            first.stop()
            with Server(port=first.port) as second:
                await say(second, topic, 11, 20)
                await exactly(page, 20)
                assert await page.evaluate("live.way") == "sse"


async def test_a_proxy_that_refuses_websocket(
    server: Server, browser: Browser, tmp_path: Path
) -> None:
    topic = unique("refused")
    with nginx(tmp_path, server.port) as front:
        async with page_of(browser) as page:
            await follow(page, front, path(topic))
            await until(page, "live.way == 'sse'", 8)
            await say(server, topic, 1, 50)
            await exactly(page, 50)
            assert await page.evaluate("ways") == ["sse"]


async def test_a_proxy_that_buffers(browser: Browser, tmp_path: Path) -> None:
    """It lets no byte of a stream through before the end, whatever the answer's headers ask.

    What is compressed already would pass: it is while it compresses that this one buffers.
    """
    topic = unique("buffered")
    with Server("--no-compress") as server, nginx(tmp_path, server.port, buffering=True) as front:
        async with page_of(browser) as page:
            await follow(page, front, path(topic), patience=1500)
            await until(page, "live.way == 'long-poll'", 10)
            await say(server, topic, 1, 50)
            await exactly(page, 50)
            assert await page.evaluate("ways") == ["long-poll"]


async def test_a_proxy_that_swallows_held_requests(server: Server, browser: Browser) -> None:
    """The first answer of a long poll comes at once; whether one is held is known by the next."""
    topic = unique("swallowed")
    async with Proxy(server) as proxy, page_of(browser) as page:
        proxy.swallow_held = True
        ways = ["long-poll", "poll"]
        await follow(page, proxy, path(topic), ways=ways, patience=1000, every=200)
        await until(page, "live.way == 'poll'", 10)
        await say(server, topic, 1, 50)
        await exactly(page, 50)


async def test_a_name_that_is_no_topic_is_published_nowhere(
    server: Server, browser: Browser
) -> None:
    stem = unique("no")
    async with page_of(browser) as page:
        await follow(page, server, path(stem))
        for name in ("a//b", "a/../b", "a/./b", "/lead", "trail/", "true//x", "..", ""):
            name = name.replace("b", stem).replace("x", stem)
            status = await page.evaluate(
                "(name) => live.post(name, 'x').then(() => 200, (error) => error.status)", name
            )
            assert status in (400, 404, 405, 415), (name, status)
        assert await page.evaluate("live.post('true', 'x').then(() => 200)") == 200
    live = (await get(server, "/topics")).json()["topics"]
    assert not [topic["topic"] for topic in live if stem in topic["topic"]]


async def test_it_steps_up_again(server: Server, browser: Browser) -> None:
    topic = unique("up")
    async with Proxy(server) as proxy, page_of(browser) as page:
        proxy.refuse_websocket = True
        await follow(page, proxy, path(topic), climb=400)
        await until(page, "live.way == 'sse'")
        async with saying(server, topic, 1, 100):
            await until(page, "seen.length > 3")
            proxy.refuse_websocket = False
        await until(page, "live.way == 'websocket'")
        await say(server, topic, 101, 110)
        await exactly(page, 110)


async def test_a_network_that_goes_and_comes(server: Server, browser: Browser) -> None:
    topic = unique("offline")
    async with page_of(browser) as page:
        await follow(page, server, path(topic))
        await until(page, "live.state == 'live'")
        await say(server, topic, 1, 5)
        await exactly(page, 5)
        await page.context.set_offline(True)
        await until(page, "live.state == 'waiting'")
        await say(server, topic, 6, 10)
        await page.context.set_offline(False)
        await exactly(page, 10)


@pytest.mark.parametrize("way", ["websocket", "sse"])
async def test_a_connection_that_goes_silent(server: Server, browser: Browser, way: str) -> None:
    """Nothing is cut, but no byte comes: it is noticed, and the next way is tried."""
    topic = unique("silent")
    async with Proxy(server) as proxy, page_of(browser) as page:
        await follow(page, proxy, path(topic), ways=[way, "long-poll"], silence=1500, patience=1000)
        await until(page, f"live.way == '{way}' && live.state == 'live'")
        await say(server, topic, 1, 5)
        await exactly(page, 5)
        proxy.flows.clear()
        await say(server, topic, 6, 10)
        await until(page, "told.some(([type]) => type == 'error')")
        proxy.flows.set()
        await exactly(page, 10)


async def test_a_reader_that_is_slow(server: Server, browser: Browser) -> None:
    """A WebSocket cannot be read more slowly: what does not fit comes again from the cursor."""
    topic = unique("slow")
    async with page_of(browser) as page:
        await page.goto(f"{server.url}/healthz")
        await page.evaluate(
            """async (url) => {
                const {Hexcast} = await import(new URL('/hexcast.js', location));
                const live = window.live = new Hexcast(url, {buffer: 50, backoff: 50});
                window.seen = [], window.most = 0;
                (async () => {
                    for await (const {id, data} of live) {
                        seen.push(data);
                        most = Math.max(most, live.cursor.split('-')[1] - id.split('-')[1]);
                        if (seen.length % 40 == 0) await new Promise((go) => setTimeout(go, 20));
                    }
                })();
            }""",
            path(topic),
        )
        await until(page, "live.state == 'live'")
        lines = b"".join(
            b'{"topic":"%b","data":%d}\n' % (topic.encode(), n) for n in range(1, 2001)
        )
        answer = await ask(
            server, "POST", "/topics?ack=last", {"Content-Type": "application/x-ndjson"}, lines
        )
        assert answer.status == 200
        await exactly(page, 2000)
        assert await page.evaluate("most") <= 60, "more was buffered than may be"


async def test_whatever_the_network_does(server: Server, browser: Browser) -> None:
    """Cuts, refusals and silences at random: each record once, in order, and the newest state."""
    chance = seeded("test_whatever_the_network_does")
    stream, state = unique("stream"), unique("state")
    number = 150

    async def publishing() -> None:
        for n in range(1, number + 1):
            await publish(server, stream, str(n), fields=JSON)
            value = json.dumps({"n": n} | {f"member-{m}": m for m in range(20)})
            await publish(server, state, value, method="PUT", fields=JSON)
            await asyncio.sleep(0.01)

    async with Proxy(server) as proxy, page_of(browser) as page:
        url = f"/topics?topic={stream}&topic={state}"
        await follow(page, proxy, url, patience=500, silence=900, climb=300, backoff=80, every=60)
        await page.evaluate(
            "(state) => { window.states = []; live.addEventListener('record',"
            " ({detail}) => detail.topic == state && states.push(detail.data)) }",
            state,
        )
        await until(page, "live.state == 'live'")
        task = asyncio.create_task(publishing())
        while not task.done():
            proxy.refuse_websocket = chance.random() < 0.4
            what = chance.choice(["cut", "silence", "close", "wait"])
            if what == "silence":
                proxy.flows.clear()
            proxy.closed = what == "close"
            if what in ("cut", "close"):
                await proxy.cut()
            await asyncio.wait([task], timeout=chance.uniform(0.05, 1.2))
            proxy.flows.set()
            proxy.closed = False
        await task
        await until(page, f"states.at(-1)?.n == {number}")
        await until(page, f"seen.filter(Number.isInteger).length >= {number}")
        assert await page.evaluate("seen.filter(Number.isInteger)") == list(range(1, number + 1))
        states = [value["n"] for value in await page.evaluate("states")]
        assert states == sorted(set(states))
        assert not await page.evaluate("told.filter(([type]) => type == 'gap' || type == 'thrown')")


@pytest.mark.parametrize("ways", [None, ["sse", "long-poll", "poll"]])
async def test_six_tabs(server: Server, browser: Browser, ways: list[str] | None) -> None:
    """Over HTTP/1.1 six streams would take all the connections that a browser has for a host."""
    topic = unique("tabs")
    options = {"ways": ways, "every": 300} if ways else {}
    async with pages(browser, 6) as tabs:
        for tab in tabs:
            await follow(tab, server, path(topic), **options)
        for tab in tabs:
            await until(tab, "live.state == 'live'")
        for n, tab in enumerate(tabs, 1):
            answer = await tab.evaluate("([topic, n]) => live.post(topic, n)", [topic, n])
            assert answer["topic"] == topic
        for tab in tabs:
            await exactly(tab, 6)
        expected = {"websocket"} if ways is None else {"sse", "poll"}
        assert {await tab.evaluate("live.way") for tab in tabs} == expected


async def test_topics_are_added_and_dropped(server: Server, browser: Browser) -> None:
    for way in ("websocket", "sse", "long-poll"):
        one, two = unique("one"), unique("two")
        await publish(server, one, '{"v":1}', method="PUT", fields=JSON)
        await publish(server, two, '"two"', method="PUT", fields=JSON)
        async with page_of(browser) as page:
            await follow(page, server, path(one), ways=[way])
            await until(page, "seen.length == 1")
            await page.evaluate("(topic) => live.add(topic)", two)
            await until(page, "seen.length == 2")
            assert await page.evaluate("(topic) => live.get(topic)", two) == "two"
            await publish(server, one, '{"v":2}', method="PUT", fields=JSON)
            await publish(server, two, '"three"', method="PUT", fields=JSON)
            await until(page, "seen.length == 4")
            await page.evaluate("(topic) => live.drop(topic)", one)
            await until(page, "live.state == 'live'")
            await publish(server, one, '{"v":3}', method="PUT", fields=JSON)
            await publish(server, two, '"four"', method="PUT", fields=JSON)
            await until(page, "seen.length == 5")
            assert json.dumps(await page.evaluate("seen")) == json.dumps(
                [{"v": 1}, "two", {"v": 2}, "three", "four"]
            ), way
            assert not await page.evaluate("told.filter(([type]) => type == 'error')"), way
