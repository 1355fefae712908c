"""Compression dictionary transport (RFC 9842) in a real Chromium: what goes over the wire.

What came is what the browser's own network log says: the status and head as they were on the wire
(`responseReceivedExtraInfo`), of answers whose bodies it has decoded to their end.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from playwright.async_api import Page

from tests.support.harness import Server, deadline, path, put, unique

from .test_chromium import chromium, page_of

pytestmark = pytest.mark.browser

JSON = {"Content-Type": "application/json"}


def members(**changed: Any) -> str:
    """A JSON value of 200 members, about 12 KB."""
    value: dict[str, Any] = {
        f"member-{n:03}": {"price": 100 + n * 7919 % 997 / 7, "volume": n * 104729 % 9973}
        for n in range(200)
    }
    return json.dumps(value | changed)


class Wire:
    """What came for the URLs that have `topic` in them."""

    def __init__(self, topic: str) -> None:
        self.topic = topic
        self.heads: dict[str, dict[str, Any]] = {}
        self.done: list[tuple[int, str, int]] = []
        """Status, content coding and body bytes of each answer."""

    async def watch(self, page: Page) -> None:
        log = await page.context.new_cdp_session(page)
        log.on("Network.responseReceivedExtraInfo", self._head)
        log.on("Network.requestWillBeSent", self._asked)
        log.on("Network.loadingFinished", self._over)
        await log.send("Network.enable")

    def _asked(self, event: dict[str, Any]) -> None:
        if self.topic in event["request"]["url"]:
            self.heads.setdefault(event["requestId"], {})["wanted"] = True

    def _head(self, event: dict[str, Any]) -> None:
        head = self.heads.setdefault(event["requestId"], {})
        head["status"] = event["statusCode"]
        head["fields"] = {k.lower(): v for k, v in event["headers"].items()}

    def _over(self, event: dict[str, Any]) -> None:
        head = self.heads.get(event["requestId"], {})
        if "wanted" in head and "fields" in head:
            fields = head["fields"]
            size = int(fields.get("content-length", 0))
            self.done.append((head["status"], fields.get("content-encoding", ""), size))
            del self.heads[event["requestId"]]

    async def next(self, page: Page, after: int) -> tuple[int, str, int]:
        """The first answer after so many."""
        async with deadline("an answer to come", 20):
            while len(self.done) <= after:
                await page.wait_for_timeout(20)
        return self.done[after]


FETCH = """async ([url, mode]) => {
    const answer = await fetch(url, {cache: mode});
    return [answer.status, await answer.text()];
}"""


async def test_a_fetch_that_revalidates_costs_what_changed(server: Server) -> None:
    topic = unique("value")
    await put(server, topic, members(), fields=JSON)
    wire = Wire(topic)
    async with chromium() as browser, page_of(browser) as page:
        await page.goto(f"{server.url}/healthz")
        await wire.watch(page)
        sizes = []
        for n in range(5):
            text = members(**{f"member-{n:03}": n})
            await put(server, topic, text, fields=JSON)
            got = await page.evaluate(FETCH, [f"{server.url}{path(topic)}", "no-cache"])
            assert got == [200, text]
            sizes.append(await wire.next(page, n))
        print(sizes)
        assert sizes[0][1] == "zstd"
        for status, coding, size in sizes[1:]:
            assert (status, coding) == (200, "dcz")
            assert size <= 100
        # What has not changed is not sent at all, whatever dictionary the browser has.
        got = await page.evaluate(FETCH, [f"{server.url}{path(topic)}", "no-cache"])
        assert got == [200, text]
        assert (await wire.next(page, 5))[0] == 304


async def test_a_fetch_that_does_not_revalidate_is_never_shown_what_is_old(server: Server) -> None:
    topic = unique("value")
    async with chromium() as browser, page_of(browser) as page:
        await page.goto(f"{server.url}/healthz")
        for n in range(4):
            text = members(n=n)
            await put(server, topic, text, fields=JSON)
            got = await page.evaluate(FETCH, [f"{server.url}{path(topic)}", "default"])
            assert got == [200, text]


@pytest.mark.parametrize(
    ("query", "script"),
    [
        pytest.param("?way=refresh&every=1", False, marks=pytest.mark.long),
        ("?way=refresh&every=1&x=a:b*(c)+", True),
    ],
)
async def test_a_page_that_refreshes_itself_costs_what_changed(
    server: Server, query: str, script: bool
) -> None:
    topic = unique("page")
    await put(server, topic, members(), fields=JSON)
    wire = Wire(topic)
    async with chromium() as browser, page_of(browser, java_script_enabled=script) as page:
        await wire.watch(page)
        await page.goto(f"{server.url}{path(topic)}{query}")
        for n in range(4):
            await put(server, topic, members(mark=n), fields=JSON)
            await page.get_by_text(f'"mark": {n}').wait_for(timeout=15_000)
        print(wire.done)
        coded = [size for _, coding, size in wire.done if coding == "dcz"]
        assert len(coded) >= 2
        assert max(coded) <= 130, "and mostly at most 100"


async def test_a_reload_costs_what_changed(server: Server) -> None:
    topic = unique("page")
    await put(server, topic, members(), fields=JSON)
    wire = Wire(topic)
    async with chromium() as browser, page_of(browser) as page:
        await wire.watch(page)
        await page.goto(f"{server.url}{path(topic)}")
        for n in range(4):
            await put(server, topic, members(mark=n), fields=JSON)
            before = len(wire.done)
            await page.reload()
            await page.get_by_text(f'"mark": {n}').wait_for(timeout=15_000)
            await wire.next(page, before)
        print(wire.done)
        assert [coding for _, coding, _ in wire.done][-2:] == ["dcz", "dcz"]
        assert wire.done[-1][2] <= 130
