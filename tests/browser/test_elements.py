"""Elements that show topics, in Chromium: what they show, and that nothing else is touched."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import Browser, Page

from tests.support.browsing import page_of, until
from tests.support.harness import Endpoint, Server, ask, path, publish, put, unique

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

JSON = {"Content-Type": "application/json"}
HTML = {"Content-Type": "text/html; charset=utf-8"}

BIND = """async ([html, options]) => {
    document.body.innerHTML = html;
    const {bind} = await import(new URL('/hexcast.js', location));
    window.told = [];
    document.addEventListener('hexcast:state', ({detail}) => told.push(detail));
    window.live = bind(document, options);
}"""

WATCH = """() => {
    window.touched = [];
    new MutationObserver((changes) => {
        for (const {target, type} of changes) touched.push([(target.data == null ? target
            : target.parentElement).id, type]);
    }).observe(document.body, {subtree: true, childList: true, attributes: true, characterData: true});
}"""


async def shown(page: Page, server: Endpoint, html: str, **options: Any) -> None:
    await page.goto(f"{server.url}/healthz")
    await page.evaluate(BIND, [html, options])
    await until(page, "live.state == 'live'")


async def text(page: Page, id: str, wanted: str) -> None:
    await until(page, f"document.getElementById('{id}').textContent === {wanted!r}")


async def test_the_text_of_values(server: Server, browser: Browser) -> None:
    topic, pointed = unique("value"), "/list/1/a~1b"
    value = (
        '{"price":1.10,"big":12345678901234567890,"on":true,"none":null,"name":"<b>&","2":2,'
        '"list":[0,{"a/b":1e2}],"__proto__":"own"}'
    )
    await put(server, topic, value, fields=JSON)
    parts = ["price", "big", "on", "none", "name", "list", pointed, "__proto__", "missing", "2"]
    html = "".join(
        f'<p id="p{n}" data-topic="{topic}" data-part="{part}">-</p>'
        for n, part in enumerate(parts)
    )
    async with page_of(browser) as page:
        await shown(page, server, html)
        for n, wanted in enumerate(
            ["1.10", "12345678901234567890", "true", "", "<b>&", '[0,{"a/b":1e2}]', "1e2", "own",
             "-", "2"]
        ):  # fmt: skip
            await text(page, f"p{n}", wanted)
        assert await page.evaluate("({}).own") is None


async def test_only_what_changed_is_touched(server: Server, browser: Browser) -> None:
    topic, other = unique("board"), unique("other")
    await put(server, topic, '{"a":1,"b":1}', fields=JSON)
    await put(server, other, "still")
    async with page_of(browser) as page:
        await shown(
            page, server,
            f'<p id="a" data-topic="{topic}" data-part="a" aria-live="polite"></p>'
            f'<p id="b" data-topic="{topic}" data-part="b"></p><p id="c" data-topic="{other}"></p>',
        )  # fmt: skip
        await text(page, "b", "1")
        await text(page, "c", "still")
        await page.evaluate(WATCH)
        for n in range(2, 6):
            await put(server, topic, f'{{"a":{n},"b":1}}', fields=JSON)
            await text(page, "a", str(n))
        assert await page.evaluate("touched") == [["a", "characterData"]] * 4
        assert await page.evaluate("a.getAttribute('aria-live')") == "polite"


async def test_elements_that_come_and_go(server: Server, browser: Browser) -> None:
    one, two = unique("one"), unique("two")
    await put(server, one, "1")
    await put(server, two, "2")
    async with page_of(browser) as page:
        await shown(page, server, f'<div id="box"></div><p id="p" data-topic="{one}">own</p>')
        await text(page, "p", "1")
        await page.evaluate(
            "([one, two]) => box.innerHTML = `<i id=i data-topic='${two}'>-</i>"
            "<live-value id=l topic='${one}'></live-value><b id=b data-topic='nothing/there'>own</b>`",
            [one, two],
        )
        await text(page, "i", "2")
        await text(page, "l", "1")
        await put(server, two, "22")
        await text(page, "i", "22")
        await page.evaluate("(one) => i.dataset.topic = one", one)
        await text(page, "i", "1")
        assert two not in await page.evaluate("live.topics")
        await page.evaluate("document.body.append(p)")
        await page.evaluate("box.remove()")
        await until(page, "live.topics.length == 1")
        await ask(server, "DELETE", path(one))
        await text(page, "p", "own")
        await publish(server, one, "a stream now")
        await text(page, "p", "a stream now")


async def test_html_and_attributes(server: Server, browser: Browser) -> None:
    markup, plain, link = unique("html"), unique("plain"), unique("link")
    await put(server, markup, "<em>x</em><script>window.bad = 1</script>", fields=HTML)
    await put(server, plain, "<em>x</em>")
    await put(server, link, "/there")
    html = (
        f'<p id="a" data-topic="{markup}" data-html></p><p id="b" data-topic="{markup}"></p>'
        f'<p id="c" data-topic="{plain}" data-html></p>'
        f'<a id="d" data-topic="{link}" data-attr="href" href="/old">x</a>'
        f'<a id="e" data-topic="{link}" data-attr="onclick">x</a>'
        f'<a id="f" data-topic="{link}" data-attr="style">x</a>'
        f'<a id="g" data-topic="{link}" data-attr="data-topic">x</a>'
        f'<script id="h" type="text/x" data-topic="{link}"></script>'
    )
    async with page_of(browser) as page:
        said: list[str] = []
        page.on("console", lambda line: said.append(line.text))
        await shown(page, server, html)
        await until(page, "d.getAttribute('href') == '/there'")
        assert await page.evaluate("a.querySelector('em').textContent") == "x"
        assert await page.evaluate("window.bad") is None
        assert await page.evaluate("[b, c].map((e) => e.firstElementChild)") == [None, None]
        assert await page.evaluate("[e.onclick, f.getAttribute('style'), h.textContent]") == [
            None, None, "",
        ]  # fmt: skip
        for bad in (
            "javascript:alert(1)",
            " java\tscript:alert(1)",
            "data:text/html,x",
            "vbscript:x",
        ):
            await put(server, link, bad)
            await text(page, "b", "<em>x</em><script>window.bad = 1</script>")
            await until(page, f"live.get('{link}') == {bad!r}")
            assert await page.evaluate("d.getAttribute('href')") == "/there", bad
        await put(server, link, "https://example.org/")
        await until(page, "d.getAttribute('href') == 'https://example.org/'")
        await ask(server, "DELETE", path(link))
        await until(page, "d.getAttribute('href') == '/old'")
        assert any("does not set onclick" in line for line in said)


async def test_from_a_cursor(server: Server, browser: Browser) -> None:
    """A page that was filled in by the server: only what comes after it is fetched."""
    topic = unique("filled")
    cursor = await put(server, topic, '{"n":1}', fields=JSON)
    async with page_of(browser) as page:
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        await shown(
            page, server, f'<p id="p" data-topic="{topic}" data-part="n">1</p>', since=cursor
        )
        await page.evaluate(WATCH)
        await put(server, topic, '{"n":2}', fields=JSON)
        await text(page, "p", "2")
        assert await page.evaluate("touched") == [["p", "characterData"]]
        assert not [url for url in asked if "/topics" in url], "the value was fetched again"
        await page.evaluate(
            f"document.body.insertAdjacentHTML('beforeend', '<p id=q data-topic={topic}>')"
        )
        await text(page, "q", '{"n":2}')


async def test_a_live_value_needs_no_bind(server: Server, browser: Browser) -> None:
    topic = unique("alone")
    await put(server, topic, '{"n":1.50}', fields=JSON)
    async with page_of(browser) as page:
        await page.goto(f"{server.url}/healthz")
        await page.evaluate(
            "(topic) => { document.body.innerHTML = `<live-value id=l topic='${topic}' part=n>`;"
            " return import(new URL('/hexcast.js', location)).then(() => null) }",
            topic,
        )
        await text(page, "l", "1.50")
