"""Other people's clients, unchanged, with the pages of examples/clients in Chromium.

Each is cut off once, and then has every line exactly once and in order.
"""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page

from tests.support.browsing import Proxy, page_of, until
from tests.support.harness import Server, program, publish
from tests.support.npm import install

pytestmark = [pytest.mark.long, pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

SITE = Path(__file__).resolve().parents[2] / "examples" / "clients"
TEXT = {"Content-Type": "text/plain; charset=utf-8"}
HTML = {"Content-Type": "text/html; charset=utf-8"}


@pytest.fixture(scope="module")
def site() -> Path:
    """The pages, with the libraries that they use."""
    install(SITE)
    subprocess.run(
        [program("npm"), "run", "--silent", "build"],
        cwd=SITE, check=True, timeout=60, capture_output=True,
    )  # fmt: skip
    return SITE


@pytest_asyncio.fixture(loop_scope="module")
async def front(site: Path) -> AsyncIterator[Proxy]:
    """A server of its own, since the pages name their topics, behind what can cut connections."""
    with Server() as server:
        async with Proxy(server, site) as proxy:
            yield proxy


@asynccontextmanager
async def opened(browser: Browser, front: Proxy, name: str) -> AsyncIterator[Page]:
    async with page_of(browser) as page:
        await page.goto(f"{front.url}/site/{name}")
        yield page


async def lines(page: Page, wanted: list[str]) -> None:
    """The list shows exactly these."""
    await until(page, f"document.querySelectorAll('#lines li').length >= {len(wanted)}")
    assert (
        await page.evaluate(
            "[...document.querySelectorAll('#lines li')].map((line) => line.textContent)"
        )
        == wanted
    )


async def through_a_cut(
    page: Page, front: Proxy, topic: str, line: str, fields: dict[str, str], query: str = ""
) -> None:
    """Lines before, while, and after the client is cut off. `line` has `%s` for a line's text."""

    async def say(first: int, last: int) -> None:
        for n in range(first, last + 1):
            await publish(front.upstream, topic, line % f"line {n}", fields=fields, query=query)

    await say(1, 3)
    await lines(page, [f"line {n}" for n in range(1, 4)])
    front.closed = True
    await front.cut()
    await say(4, 6)
    front.closed = False
    await say(7, 9)
    await lines(page, [f"line {n}" for n in range(1, 10)])


async def price(page: Page, front: Proxy) -> None:
    for value in ("42", "43"):
        await publish(front.upstream, "demo/price", value, method="PUT", fields=TEXT)
        await until(page, f"document.getElementById('price').textContent == '{value}'")


async def test_eventsource(browser: Browser, front: Proxy) -> None:
    async with opened(browser, front, "eventsource.html") as page:
        await price(page, front)
        await through_a_cut(page, front, "demo/chat", "%s", TEXT)


async def test_websocket(browser: Browser, front: Proxy) -> None:
    async with opened(browser, front, "websocket.html") as page:
        await price(page, front)
        await through_a_cut(page, front, "demo/chat", "%s", TEXT)
        await until(page, "socket.readyState == 1")
        await page.fill("input", "from the page")
        await page.click("button")
        await until(
            page, "document.querySelector('#lines li:last-child').textContent == 'from the page'"
        )


async def test_htmx(browser: Browser, front: Proxy) -> None:
    async with opened(browser, front, "htmx.html") as page:
        await publish(front.upstream, "demo/mood", "good", fields=TEXT, query="?event=mood")
        await through_a_cut(page, front, "demo/lines", "<li>%s</li>", HTML)
        await publish(front.upstream, "demo/mood", "better", fields=TEXT, query="?event=mood")
        await until(page, "document.getElementById('mood').textContent == 'better'")


async def test_htmx_4(browser: Browser, front: Proxy) -> None:
    async with opened(browser, front, "htmx4.html") as page:
        await through_a_cut(page, front, "demo/lines", "<li>%s</li>", HTML)


async def test_turbo_streams(browser: Browser, front: Proxy) -> None:
    async with opened(browser, front, "turbo.html") as page:
        line = '<turbo-stream action="append" target="lines"><template><li>%s</li></template></turbo-stream>'
        await through_a_cut(page, front, "demo/turbo", line, HTML)
        change = (
            '<turbo-stream action="update" target="price"><template>42</template></turbo-stream>'
        )
        await publish(front.upstream, "demo/turbo", change, fields=HTML)
        await until(page, "document.getElementById('price').textContent == '42'")


async def test_datastar(browser: Browser, front: Proxy) -> None:
    async with opened(browser, front, "datastar.html") as page:
        await through_a_cut(
            page, front, "demo/datastar", "selector #lines\nmergeMode append\nfragments <li>%s</li>", TEXT,
            "?event=datastar-merge-fragments",
        )  # fmt: skip
        await publish(
            front.upstream,
            "demo/datastar",
            "signals {price: 42}",
            fields=TEXT,
            query="?event=datastar-merge-signals",
        )
        await until(page, "document.getElementById('price').textContent == '42'")


async def test_a_react_hook(browser: Browser, front: Proxy) -> None:
    assert len((SITE / "use-topic.js").read_text().splitlines()) <= 20
    async with opened(browser, front, "react.html") as page:
        await price(page, front)
        await through_a_cut(page, front, "demo/chat", "%s", TEXT)
        await until(page, "document.body.textContent.includes('live over websocket')")
