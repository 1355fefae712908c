"""A real browser: the topic's page, EventSource over a restart, and what other pages may not do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import Page

from tests.support.browsers import chromium, page_of, told, until
from tests.support.harness import Server, ask, deadline, get, path, publish, put, unique

pytestmark = pytest.mark.browser


@asynccontextmanager
async def website(body: str) -> AsyncIterator[int]:
    """Some other site on this machine, with one page."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with asyncio.timeout(20):
            await reader.readuntil(b"\r\n\r\n")
            content = body.encode()
            writer.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n"
                b"Connection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(content), content)
            )
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


# --- the page of a topic --------------------------------------------------------------------------


async def test_the_page_stays_current_without_a_reload(server: Server) -> None:
    state, stream = unique("price"), unique("chat")
    await put(server, state, "first <value>")
    await publish(server, stream, "opening words")
    async with chromium() as browser, page_of(browser) as page:
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda line: errors.append(line.text) if line.type == "error" else None)
        await page.goto(f"{server.url}{path(state)}")
        await until(page, "first <value>")
        await page.evaluate("window.marker = 17")
        for n in range(3):
            await put(server, state, f"value number {n} & <more>")
            await until(page, f"value number {n} & <more>")
        assert await page.evaluate("window.marker") == 17, "the page was loaded again"
        assert await page.inner_text("#value") == "value number 2 & <more>", "the old one is gone"
        assert await page.locator("#history li").count() == 4
        assert errors == [error for error in errors if "favicon" in error]
        await page.goto(f"{server.url}{path(stream)}")
        await until(page, "opening words")
        await publish(server, stream, "next words")
        await until(page, "next words")


async def test_the_ways_of_a_topics_page(server: Server) -> None:
    """Each is taken up where the one before was left; after an end the page begins again."""
    topic = unique("ways")
    await put(server, topic, "0")
    async with chromium() as browser, page_of(browser) as page:
        await page.goto(f"{server.url}{path(topic)}")
        ways = {
            "sse": "Server-Sent Events", "long-poll": "long polling", "poll": "polling",
            "websocket": "WebSocket",
        }  # fmt: skip
        for n, (way, title) in enumerate(ways.items(), 1):
            await page.select_option("#way", way)
            await until(page, f"Live, over {title}.")
            await put(server, topic, f"value {n}")
            await page.locator("#value", has_text=f"value {n}").wait_for()
        texts = await page.locator("#history li").all_inner_texts()
        assert [text.split(" put ")[1] for text in texts] == [
            "value 4", "value 3", "value 2", "value 1", "0",
        ]  # fmt: skip
        await ask(server, "PUT", f"{path(topic)}?end=1", {}, "last")
        await until(page, "Ended. A later record begins it again.")
        await put(server, topic, "again")
        await page.locator("#value", has_text="again").wait_for(timeout=20_000)
        await page.select_option("#way", "refresh")
        await until(page, "Refreshes every 5 s.")
        assert "again" in await page.inner_text("#value")


async def test_octets_look_the_same_before_and_after_a_change(server: Server) -> None:
    topic = unique("octets")
    await put(server, topic, b"\xff\x00", fields={"Content-Type": "application/octet-stream"})
    async with chromium() as browser, page_of(browser) as page:
        await page.goto(f"{server.url}{path(topic)}")
        await until(page, "Live, over WebSocket.")
        assert await page.inner_text("#value") == "2 bytes"
        await put(server, topic, b"\xff\x00\x01\x02", fields={"Content-Type": "x/y"})
        await page.locator("#value", has_text="4 bytes").wait_for()


async def test_the_list_of_topics_leads_to_each_and_tells_who_follows_it(server: Server) -> None:
    topic = unique("listed")
    await put(server, topic, "here")
    async with chromium() as browser, page_of(browser) as page, page_of(browser) as front:
        await page.goto(f"{server.url}{path(topic)}")
        await until(page, "Live, over WebSocket.")
        await front.goto(server.url)
        row = front.get_by_role("row", name=topic)
        assert "1 websocket" in await row.inner_text()
        await row.get_by_role("link").click()
        await until(front, "here")


async def test_the_page_comes_alive_with_the_first_publish(server: Server) -> None:
    topic = unique("unborn")
    async with chromium() as browser, page_of(browser) as page:
        await page.goto(f"{server.url}{path(topic)}")
        await put(server, topic, "born now")
        await until(page, "born now")


async def test_without_javascript_it_refreshes_itself(server: Server) -> None:
    topic, live = unique(), unique()
    await put(server, topic, "one")
    await put(server, live, "uno")
    async with chromium() as browser, page_of(browser, java_script_enabled=False) as page:
        await page.goto(f"{server.url}{path(topic)}?way=refresh&every=1")
        await until(page, "one")
        await put(server, topic, "two")
        await until(page, "two")
        await page.goto(f"{server.url}{path(live)}")
        await until(page, "uno")
        await put(server, live, "due")
        await until(page, "due")


async def test_a_refreshing_page_asks_with_its_tag(server: Server) -> None:
    """What has not changed is not sent again."""
    topic = unique()
    await put(server, topic, "steady")
    async with chromium() as browser, page_of(browser, java_script_enabled=False) as page:
        statuses: list[int] = []
        page.on("response", lambda r: statuses.append(r.status) if topic in r.url else None)
        await page.goto(f"{server.url}{path(topic)}?way=refresh&every=1")
        async with deadline("three refreshes", 15):
            while len(statuses) < 4:
                await page.wait_for_event("response")
        await until(page, "steady")
        assert set(statuses) <= {200, 304}


async def test_a_published_page_cannot_run_script_here(server: Server) -> None:
    """A payload opened as a page of its own is sandboxed."""
    topic = unique()
    nasty = "<!doctype html><title>quiet</title><script>document.title = 'ran'</script><p>shown"
    record_id = await put(server, topic, nasty, fields={"Content-Type": "text/html"})
    async with chromium() as browser, page_of(browser) as page:
        for query in ("?way=poll", f"?id={record_id}"):
            await page.goto(f"{server.url}{path(topic)}{query}")
            await until(page, "shown")
            assert await page.title() == "quiet"


# --- EventSource ----------------------------------------------------------------------------------

CLOSED = 2
"""`EventSource.CLOSED`."""

FOLLOW = """([url, names]) => {
    window.seen = [];
    window.opened = 0;
    const source = new EventSource(url);
    source.onopen = () => { window.opened += 1; };
    const note = (e) => window.seen.push([e.type, e.data, e.lastEventId]);
    for (const name of names) source.addEventListener(name, note);
    window.source = source;
}"""


async def opened(page: Page) -> None:
    """Wait until the page's EventSource is open."""
    await told(page, "window.opened", lambda count: count == 1)


async def seen(page: Page, enough: Callable[[list[list[str]]], bool]) -> list[list[str]]:
    """What the page's EventSource has dispatched, once it is enough."""
    events: list[list[str]] = await told(page, "window.seen", enough)
    return events


async def test_eventsource_comes_back_by_itself_after_a_restart() -> None:
    topic, quiet = unique("chat"), unique("page")
    first = Server("--retry", "0.3")
    async with chromium() as browser, page_of(browser) as page:
        with first:
            await put(first, quiet, "x")
            await page.goto(f"{first.url}{path(quiet)}")
            names = ["message", "tick", "hexcast:gap"]
            await page.evaluate(FOLLOW, [f"{first.url}{path(topic)}", names])
            await opened(page)
            before = await publish(first, topic, "before")
            await publish(first, topic, "named", query="?event=tick")
            got = await seen(page, lambda events: len(events) >= 2)
            assert [event[:2] for event in got] == [["message", "before"], ["tick", "named"]]
            assert got[0][2] == before
            await asyncio.to_thread(first.stop)
        with Server("--retry", "0.3", port=first.port) as second:
            after = await publish(second, topic, "after")
            got = await seen(page, lambda events: any(event[1] == "after" for event in events))
            assert await page.evaluate("window.opened") == 2
            assert got[-1] == ["message", "after", after]
            gaps = [event for event in got if event[0] == "hexcast:gap"]
            assert len(gaps) <= 1
            assert [event[1] for event in got if event[0] == "message"] == ["before", "after"]


async def test_eventsource_resumes_where_it_was_cut(server: Server) -> None:
    """A cut without a restart: what was published meanwhile comes, once each, in order."""
    topic, quiet = unique("chat"), unique("page")
    await put(server, quiet, "x")
    async with chromium() as browser, page_of(browser) as page:
        await page.goto(f"{server.url}{path(quiet)}")
        await page.evaluate(FOLLOW, [f"{server.url}{path(topic)}", ["message"]])
        await opened(page)
        await publish(server, topic, "1")
        last = (await seen(page, lambda events: len(events) == 1))[-1][2]
        await page.evaluate("window.source.close()")
        await publish(server, topic, "2")
        await page.evaluate(FOLLOW, [f"{server.url}{path(topic)}?since={last}", ["message"]])
        await publish(server, topic, "3")
        got = await seen(page, lambda events: len(events) >= 2)
        assert [event[1] for event in got] == ["2", "3"]


async def test_eventsource_stops_at_the_end(server: Server) -> None:
    """The stream ends, the browser asks again with its cursor, 204 tells it to stop."""
    topic, quiet = unique("job"), unique("page")
    await put(server, quiet, "x")
    async with chromium() as browser, page_of(browser) as page:
        await page.goto(f"{server.url}{path(quiet)}")
        await page.evaluate(FOLLOW, [f"{server.url}{path(topic)}", ["message"]])
        await opened(page)
        await publish(server, topic, "done", query="?end=1")
        await told(page, "window.source.readyState", lambda state: state == CLOSED)
        assert [event[1] for event in await page.evaluate("window.seen")] == ["done"]


async def test_the_pages_own_websocket(server: Server) -> None:
    topic = unique("chat")
    await put(server, topic, "x")
    async with chromium() as browser, page_of(browser) as page:
        await page.goto(f"{server.url}{path(topic)}")
        heard = await page.evaluate(
            """(url) => new Promise((resolve, reject) => {
                const ws = new WebSocket(url, ['hexcast.v1']);
                ws.onmessage = (e) => {
                    resolve([ws.protocol, JSON.parse(e.data).data]);
                    ws.close();
                };
                ws.onerror = () => reject(new Error('refused'));
            })""",
            f"ws://{server.authority}{path(topic)}",
        )
    assert heard == ["hexcast.v1", "x"]


# --- pages of other origins -----------------------------------------------------------------------

ATTACK = """async ([http, ws, topic]) => {
    const told = {};
    const send = (method, more) =>
        fetch(`${http}/topics/${topic}`, {method, body: 'pwned', ...more})
            .then(r => r.type, e => e.name);
    told.simple = await send('POST', {mode: 'no-cors'});
    told.readable = await send('POST', {});
    told.preflighted = await send('PUT', {});
    told.batch = await fetch(`${http}/topics`, {method: 'POST', mode: 'no-cors',
        body: JSON.stringify({topic, data: 'pwned'}) + '\\n'}).then(r => r.type, e => e.name);
    told.beacon = navigator.sendBeacon(`${http}/topics/${topic}`, 'pwned');
    told.read = await fetch(`${http}/topics/secret`).then(r => r.text(), e => e.name);
    for (const protocol of [[], ['hexcast.v1']]) {
        told['socket' + protocol] = await new Promise((resolve) => {
            const socket = new WebSocket(`${ws}/topics/secret`, protocol);
            socket.onopen = () => resolve('open');
            socket.onerror = () => resolve('refused');
        });
    }
    told.stream = await new Promise((resolve) => {
        const source = new EventSource(`${http}/topics/secret`);
        source.onmessage = (e) => { resolve(e.data); source.close(); };
        source.onerror = () => { resolve('refused'); source.close(); };
    });
    return told;
}"""


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_page_of_another_origin(host: str) -> None:
    """Same machine, another port: same site or not, it may neither publish nor read."""
    with Server() as server:
        await put(server, "secret", "the secret")
        async with website("<p>hello") as port, chromium() as browser, page_of(browser) as page:
            await page.goto(f"http://{host}:{port}/")
            came = await page.evaluate(ATTACK, [server.url, f"ws://{server.authority}", "target"])
            assert came["readable"] == came["preflighted"] == came["read"] == "TypeError", came
            assert came["socket"] == came["sockethexcast.v1"] == came["stream"] == "refused", came
            assert came["simple"] in ("opaque", "TypeError"), came
            # A form, sent as a top-level navigation.
            await page.set_content(
                f"<form method=post enctype=text/plain action='{server.url}/topics/target'>"
                "<input name=pwned value=1></form>"
            )
            async with page.expect_navigation() as navigation:
                await page.evaluate("document.forms[0].submit()")
            response = await navigation.value
            assert response is not None and response.status == 403
        assert (await get(server, "/topics/target")).status == 404, "something was published"


async def test_a_name_rebound_to_this_machine(server: Server) -> None:
    """DNS rebinding: the browser takes it for that site's own origin; only the Host tells."""
    topic = unique()
    await put(server, topic, "secret")
    async with chromium() as browser, page_of(browser) as page:
        response = await page.goto(f"http://rebound.example:{server.port}{path(topic)}")
        assert response is not None and response.status == 421
        assert "secret" not in await page.content()
