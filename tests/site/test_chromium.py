"""Live pages in a real browser: only what changed is touched, nothing published runs, it goes on
without JavaScript, and what the server fills in is what the browser itself would have made."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page

from hexcast.site.content import element_text
from hexcast.site.template import Slot, read_template
from tests.support.browsers import chromium, page_of, told
from tests.support.harness import ask, path, publish, put, seeded, unique

from .conftest import Site
from .soup import soup

pytestmark = pytest.mark.browser

JSON = {"Content-Type": "application/json"}
HTML = {"Content-Type": "text/html; charset=utf-8"}

WATCH = """() => {
    window.touched = [];
    window.marker = 17;
    new MutationObserver(changes => {
        for (const { target, type } of changes) {
            const element = target.nodeType == 1 ? target : target.parentElement;
            window.touched.push([element.id, type]);
        }
    }).observe(document, {subtree: true, childList: true, characterData: true, attributes: true});
}"""


async def text(page: Page, selector: str, wanted: str) -> None:
    """Wait until an element shows a text."""
    await told(page, f"document.querySelector({selector!r}).textContent", lambda t: t == wanted)


def listen(page: Page) -> list[str]:
    """What goes wrong in the page."""
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda line: errors.append(line.text) if line.type == "error" else None)
    return errors


async def test_only_the_elements_that_changed_are_touched(site: Site) -> None:
    one, two = unique("price"), unique("price")
    site.write(
        "board.html",
        "<!doctype html><html lang=en><head><title>x</title><link rel=icon href=data:,></head><body>"
        + "".join(
            f"<p id={name}-{part} data-topic={topic} data-part={part}>-</p>"
            for name, topic in (("one", one), ("two", two)) for part in ("bid", "ask", "/deep/0")
        )
        + f"<a id=link data-topic={two} data-part=bid data-attr=title>static</a></body></html>",
    )  # fmt: skip
    await put(site, one, '{"bid": 1.10, "ask": 2, "deep": [1]}', fields=JSON)
    async with chromium() as browser, page_of(browser) as page:
        errors = listen(page)
        await page.goto(f"{site.url}/board.html")
        await text(page, "#one-bid", "1.10")
        await page.evaluate(WATCH)
        await put(site, one, '{"bid": 1.20, "ask": 2, "deep": [1]}', fields=JSON)
        await text(page, "#one-bid", "1.20")
        await put(
            site, two, '{"bid": 5e2, "ask": null, "deep": [{"a": 1.0}], "other": 1}', fields=JSON
        )
        await text(page, "#two-bid", "5e2")
        await put(
            site, two, '{"bid": 5e2, "ask": null, "deep": [{"a": 1.0}], "other": 2}', fields=JSON
        )
        await put(site, one, '{"bid": 1.30, "ask": 2, "deep": [1]}', fields=JSON)
        await text(page, "#one-bid", "1.30")
        assert await page.evaluate("document.querySelector('#two-ask').textContent") == ""
        assert (
            await page.evaluate("document.querySelector('#two-\\\\/deep\\\\/0').textContent")
            == '{"a":1.0}'
        )
        assert await page.get_attribute("#link", "title") == "5e2"
        touched = await page.evaluate("window.touched")
        assert {element for element, _ in touched} == {
            "one-bid",
            "two-bid",
            "two-ask",
            "two-/deep/0",
            "link",
        }
        assert sum(element == "two-bid" for element, _ in touched) == 1, (
            "what stayed is not written again"
        )
        assert await page.evaluate("window.marker") == 17, "the page was loaded again"
        assert not errors


async def test_nothing_that_is_published_runs(site: Site) -> None:
    topic, html, link = unique("note"), unique("html"), unique("link")
    site.write(
        "safe.html",
        "<!doctype html><title>quiet</title><link rel=icon href=data:,>"
        f"<p id=text data-topic={topic}>-</p><p id=also data-topic={topic} data-html>-</p>"
        f"<p id=part data-topic={topic}/json data-part=__proto__>-</p>"
        f"<div id=html data-topic={html} data-html>-</div><p id=plain data-topic={html}>-</p>"
        f"<a id=link data-topic={link} data-attr=href href=/own>go</a>"
        f"<b id=on data-topic={link} data-attr=onclick>go</b>"
        f"<script data-topic={link}>window.own = 1</script>"
        f"<iframe id=frame data-topic={link} data-attr=src></iframe>",
    )
    nasty = "<img src=x onerror=\"document.title='ran'\"><script>document.title = 'ran'</script>"
    member = '{"__proto__": "<script>document.title = \'ran\'</script>"}'
    for when in ("before", "while"):
        if when == "before":
            await put(site, topic, nasty)
            await put(site, f"{topic}/json", member, fields=JSON)
            await put(
                site,
                html,
                "<i>in <b>HTML</b></i><script>document.title = 'ran'</script>",
                fields=HTML,
            )
            await put(site, link, "javascript:document.title='ran'")
        async with chromium() as browser, page_of(browser) as page:
            await page.goto(f"{site.url}/safe.html")
            if when == "while":
                await page.evaluate(
                    "document.querySelectorAll('[id]').forEach(e => { e.dataset.seen = 1; })"
                )
                for name, more in ((topic, "1"), (html, "1"), (link, "1")):
                    await put(site, name, f"javascript:'{more}'")
                await text(page, "#text", "javascript:'1'")
                await put(site, f"{topic}/json", '{"__proto__": "<b>other</b>"}', fields=JSON)
                await text(page, "#part", "<b>other</b>")
                await put(
                    site,
                    html,
                    "<i>in <b>HTML</b></i><script>document.title = 'ran'</script>",
                    fields=HTML,
                )
                await put(site, link, " java\tscript:document.title='ran'")
                await put(site, topic, nasty)
            await text(page, "#text", nasty)
            await text(page, "#also", nasty)
            assert await page.evaluate("document.querySelectorAll('#html b').length") == 1
            assert (await page.inner_text("#plain")).startswith("<i>in")
            assert await page.get_attribute("#link", "href") == "/own"
            assert await page.get_attribute("#on", "onclick") is None
            assert await page.get_attribute("#frame", "src") is None
            await page.evaluate("document.querySelector('#on').click()")
            assert await page.evaluate("({}).polluted === undefined && window.own") == 1
            assert await page.title() == "quiet"


async def test_a_deleted_topic_gives_the_authors_content_back(site: Site) -> None:
    topic, other = unique(), unique()
    site.write(
        "gone.html",
        f"<!doctype html><title>x</title><p id=a data-topic={topic}>the <i>author's</i> own</p>"
        f"<p id=b data-topic={other}>-</p><a id=c data-topic={topic} data-attr=title>x</a>",
    )
    await put(site, topic, "published")
    async with chromium() as browser, page_of(browser) as page:
        await page.goto(f"{site.url}/gone.html")
        await text(page, "#a", "published")
        await put(site, other, "live")
        await text(page, "#b", "live")
        assert (await ask(site, "DELETE", path(topic))).status == 200
        await text(page, "#a", "the author's own")
        assert await page.evaluate("document.querySelectorAll('#a i').length") == 1
        await told(page, "document.querySelector('#c').hasAttribute('title')", lambda has: not has)
        await put(site, topic, "again")
        await text(page, "#a", "again")


async def test_what_has_no_such_part_keeps_its_authors_content(site: Site) -> None:
    topic, none = unique(), unique()
    site.write(
        "parts.html",
        "<!doctype html><title>x</title><link rel=icon href=data:,>"
        f"<p id=n data-topic={topic} data-part=n>no n</p>"
        f"<p id=m data-topic={topic} data-part=m>no <i>m</i></p>"
        f"<a id=to data-topic={topic} data-part=to data-attr=href href=/own>x</a>"
        f"<a id=bare data-topic={topic} data-part=to data-attr=title>x</a>"
        f"<p id=none data-topic={none} data-part=n>nothing</p>",
    )

    async def shown(page: Page, n: str, m: str, to: str, title: str | None) -> None:
        await told(
            page,
            "[...document.querySelectorAll('#n,#m')].map(e => e.innerHTML).concat("
            "[...document.querySelectorAll('a')].map(e => e.getAttribute(e.dataset.attr)))",
            lambda seen: seen == [n, m, to, title],
        )

    await put(site, topic, '{"n": 1}', fields=JSON)
    async with chromium() as browser, page_of(browser) as page:
        errors = listen(page)
        await page.goto(f"{site.url}/parts.html")
        await shown(page, "1", "no <i>m</i>", "/own", None)
        await put(site, topic, '{"n": 2}', fields=JSON)
        await shown(page, "2", "no <i>m</i>", "/own", None)
        await put(site, topic, '{"m": 3, "to": "/there"}', fields=JSON)
        await shown(page, "no n", "3", "/there", "/there")
        await put(site, topic, '{"n": 4}', fields=JSON)
        await shown(page, "4", "no <i>m</i>", "/own", None)
        await put(site, none, '{"m": 1}', fields=JSON)
        await put(site, topic, "not JSON")
        await shown(page, "no n", "no <i>m</i>", "/own", None)
        assert (await ask(site, "DELETE", path(topic))).status == 200
        await put(site, topic, '{"n": 5, "to": "/back"}', fields=JSON)
        await shown(page, "5", "no <i>m</i>", "/back", "/back")
        await text(page, "#none", "nothing")
        assert not errors


async def test_a_name_that_is_no_topic_stops_nothing_else(site: Site) -> None:
    topic = unique()
    bad = ["bad//t", "/x", "x/", "../x", "x/./y", "a&#7;b", "a*b", "", "e" * 256, "é" * 128]
    good = ["e" * 255, "..x/.y/z..", "é" * 127]
    site.write(
        "names.html",
        f"<!doctype html><title>x</title><p id=a data-topic={topic}>-</p>"
        + "".join(f"<i data-topic='{name}'>own</i>" for name in bad)
        + "".join(f"<b data-topic='{name}'>own</b>" for name in good),
    )
    async with chromium() as browser, page_of(browser) as page:
        said: list[str] = []
        page.on("console", lambda line: said.append(line.text))
        await page.goto(f"{site.url}/names.html")
        await put(site, topic, "live")
        await text(page, "#a", "live")
        for name in good:
            await put(site, name, "good")
        await told(
            page, "[...document.querySelectorAll('b')].map(e => e.textContent)",
            lambda seen: seen == ["good"] * len(good),
        )  # fmt: skip
        await page.evaluate("document.body.insertAdjacentHTML('beforeend', '<i data-topic=/y>own')")
        await page.evaluate("document.querySelector('b').dataset.topic = 'now//bad'")
        await put(site, topic, "still live")
        await text(page, "#a", "still live")
        own = await page.evaluate("[...document.querySelectorAll('i')].map(e => e.textContent)")
        assert own == ["own"] * (len(bad) + 1)
        assert sum("is no topic" in line for line in said) == len(bad) + 2
        assert not any("400" in line for line in said)


async def test_what_a_restart_has_lost_is_shown_no_longer(tmp_path: Path) -> None:
    with Site(tmp_path) as site:
        site.write(
            "epoch.html",
            "<!doctype html><title>x</title><p id=a data-topic=a>own <i>a</i></p>"
            "<p id=b data-topic=b>own b</p><a id=c data-topic=a data-attr=title title=own>x</a>"
            "<p id=s data-topic=s>own s</p>",
        )
        await put(site, "a", "gone")
        await put(site, "b", "old")
        await publish(site, "s", "passed")
        async with chromium() as browser, page_of(browser) as page:
            await page.goto(f"{site.url}/epoch.html")
            await text(page, "#a", "gone")
            await put(site, "b", "live")
            await text(page, "#b", "live")
            site.stop()
            site.start()
            await put(site, "b", "new")
            await text(page, "#b", "new")
            await text(page, "#a", "own a")
            await text(page, "#s", "own s")
            assert await page.evaluate("document.querySelectorAll('#a i').length") == 1
            assert await page.get_attribute("#c", "title") == "own"
            await put(site, "a", "again")
            await text(page, "#a", "again")


async def test_elements_that_come_later_are_kept_current_too(site: Site) -> None:
    topic, later = unique(), unique()
    site.write("later.html", f"<!doctype html><title>x</title><p id=a data-topic={topic}>-</p>")
    await put(site, later, "was there")
    async with chromium() as browser, page_of(browser) as page:
        await page.goto(f"{site.url}/later.html")
        await put(site, topic, "live")
        await text(page, "#a", "live")
        await page.evaluate(
            "topic => document.body.insertAdjacentHTML('beforeend', `<p id=b data-topic=${topic}>-</p>`)",
            later,
        )
        await text(page, "#b", "was there")
        await put(site, later, "changed")
        await text(page, "#b", "changed")


async def test_without_javascript_the_page_refreshes_itself(site: Site) -> None:
    topic = unique()
    site.write("plain.html", f"<!doctype html><title>x</title><p id=a data-topic={topic}>-</p>")
    await put(site, topic, "one")
    async with chromium() as browser, page_of(browser, java_script_enabled=False) as page:
        for query in ("?every=1", "?way=refresh&every=1"):
            await page.goto(f"{site.url}/plain.html{query}")
            for value in ("one", "<b>two"):
                await put(site, topic, value)
                await page.get_by_text(value, exact=True).wait_for(timeout=15_000)
            await put(site, topic, "one")


async def test_refresh_by_name_stays_refresh_with_javascript(site: Site) -> None:
    topic = unique()
    site.write("named.html", f"<!doctype html><title>x</title><p id=a data-topic={topic}>-</p>")
    async with chromium() as browser, page_of(browser) as page:
        requests: list[str] = []
        page.on("request", lambda request: requests.append(request.resource_type))
        await page.goto(f"{site.url}/named.html?way=refresh&every=1")
        await put(site, topic, "came with a refresh")
        await page.get_by_text("came with a refresh").wait_for(timeout=15_000)
        assert not {"script", "fetch", "websocket", "eventsource"} & set(requests)


async def test_a_page_with_a_strict_policy_of_its_own_stays_live(site: Site) -> None:
    topic = unique()
    site.write(
        "strict.html",
        "<!doctype html><meta http-equiv=content-security-policy content=\"default-src 'none'; script-src 'self';"
        f" connect-src 'self'\"><title>x</title><link rel=icon href=data:,><p id=a data-topic={topic}>-</p>",
    )
    async with chromium() as browser, page_of(browser) as page:
        await page.goto(f"{site.url}/strict.html")
        await put(site, topic, "live")
        await text(page, "#a", "live")


async def test_under_a_base_path(tmp_path: Path) -> None:
    with Site(tmp_path, base="/live/here") as site:
        site.write("sub/index.html", "<!doctype html><title>x</title><p id=a data-topic=t>-</p>")
        async with chromium() as browser, page_of(browser) as page:
            await page.goto(f"{site.url}/sub")
            await publish(site, "t", "first")
            await text(page, "#a", "first")
            await publish(site, "t", "second")
            await text(page, "#a", "second")


async def test_many_changes_end_with_the_newest(site: Site) -> None:
    topics = [unique("many") for _ in range(40)]
    site.write(
        "all.html",
        "<!doctype html><title>x</title>"
        + "".join(f"<p id=n{n} data-topic={t}>-</p>" for n, t in enumerate(topics)),
    )
    async with chromium() as browser, page_of(browser) as page:
        going = asyncio.create_task(page.goto(f"{site.url}/all.html"))
        for round in range(5):
            await asyncio.gather(
                *(put(site, topic, f"{round}/{n}") for n, topic in enumerate(topics))
            )
        await going
        await told(
            page,
            "[...document.querySelectorAll('[data-topic]')].map(e => e.textContent)",
            lambda texts: texts == [f"4/{n}" for n in range(40)],
        )


# --- the parser, against the browser's ------------------------------------------------------------

COMPARE = """pages => {
    const read = encoded => new DOMParser().parseFromString(new TextDecoder('utf-8', {ignoreBOM: true})
        .decode(Uint8Array.from(atob(encoded), c => c.charCodeAt(0))), 'text/html');
    const marked = root => [...root.querySelectorAll('*')].flatMap(element => [
        ...element.matches('[data-topic]') ? [element] : [],
        ...element.localName == 'template' && element.content ? marked(element.content) : [],
    ]);
    const different = [];
    for (const [source, filled, slots] of pages) {
        const wanted = read(source), elements = marked(wanted), got = read(filled);
        for (const [n, attribute, text] of slots) {
            if (attribute) elements[n]?.setAttribute(attribute, text);
            else if (elements[n]) elements[n].textContent = text;
        }
        if (slots.some(([n]) => !elements[n]) || !wanted.documentElement.isEqualNode(got.documentElement))
            different.push([atob(source), wanted.documentElement.outerHTML, got.documentElement.outerHTML]);
    }
    return different;
}"""


def compared(source: str) -> list[Any]:
    """A page, the same filled in, and what the browser is to put where to come to the same."""
    slots: list[Slot] = []

    def show(slot: Slot) -> str:
        slots.append(slot)
        if slot.attribute:
            return ("" if slot.end > slot.start else " ") + f'{slot.attribute}="&lt;1&gt;"'
        return element_text(slot.tag, "\n<1> & é")

    page = read_template(source.encode()).fill(show, b"")
    texts = [
        [s.element, s.attribute, "<1>" if s.attribute else "\n<1> & é"] for s in slots if not s.html
    ]
    if any(slot.html for slot in slots):
        return []  # text where only HTML belongs is moved, and is not shown there in earnest
    return [base64.b64encode(source.encode()).decode(), base64.b64encode(page).decode(), texts]


async def test_what_is_filled_in_is_what_the_browser_would_have_made() -> None:
    """Of pages as nobody should write them: the server's page is the author's with texts set."""
    random = seeded("soup")
    # Not with NUL: the two parsers, which both drop it, differ in what they reopen before it.
    # Nor with `nobr`: they number elements differently where another is misnested in it.
    soups = (soup(random).replace("\0", "").replace("nobr", "b") for _ in range(1500))
    pages = [made for source in soups if (made := compared(source))]
    assert sum(bool(slots) for _, _, slots in pages) > 300
    async with chromium() as browser, page_of(browser) as page:
        different = await page.evaluate(COMPARE, pages)
        # Two parsers of such pages differ now and then: in framesets, in what they reopen.
        assert len(different) <= len(pages) / 100, "\n".join(map(repr, different[0]))
