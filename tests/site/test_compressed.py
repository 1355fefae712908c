"""Pages and files, compressed: what a browser's refresh of a page costs, and what others get."""

from __future__ import annotations

import base64
import gzip
import hashlib
import sys

import pytest

from tests.foreign.test_dictionary import Wire
from tests.support.browsers import chromium, page_of
from tests.support.harness import get, put, unique

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

from .conftest import Site

BROWSER = {
    "Accept-Encoding": "gzip, deflate, br, zstd", "Cache-Control": "max-age=0", "Sec-CH-UA": '"Chromium";v="156"',
}  # fmt: skip


def board(topic: str) -> str:
    rows = "".join(f"<tr><th>row {n}<td data-topic={topic} data-part=m{n}>-" for n in range(200))
    return f"<!doctype html><html lang=en><head><title>x</title></head><body><table>{rows}</table></body></html>"


async def change(site: Site, topic: str, **members: int) -> None:
    value = {f"m{n}": n * 104_729 % 9_973 for n in range(200)} | members
    text = ",".join(f'"{name}":{number}' for name, number in value.items())
    await put(site, topic, "{" + text + "}", fields={"Content-Type": "application/json"})


async def test_files(site: Site) -> None:
    source = "body { color: teal }\n" * 100
    site.write("coded.css", source)
    plain = await get(site, "/coded.css", {"Accept-Encoding": "identity"})
    assert plain.body == source.encode() and "content-encoding" not in plain.head
    for coding, decode in (("gzip", gzip.decompress), ("zstd", zstd.decompress)):
        answer = await get(site, "/coded.css", {"Accept-Encoding": coding})
        assert answer["content-encoding"] == coding
        assert decode(answer.body) == source.encode()
        assert answer["etag"] == f'{plain["etag"][:-1]}~{coding}"'
        assert "accept-encoding" in answer.head.tokens("vary")
        again = await get(
            site, "/coded.css", {"Accept-Encoding": coding, "If-None-Match": answer["etag"]}
        )
        assert (again.status, again["etag"], again["vary"]) == (304, answer["etag"], answer["vary"])
        crossed = await get(site, "/coded.css", {"If-None-Match": answer["etag"]})
        assert crossed.status == 304


async def test_a_page_is_the_dictionary_for_the_next(site: Site) -> None:
    topic = unique("board")
    site.write("coded.html", board(topic))
    await change(site, topic)
    for query in ("", "?way=refresh"):
        first = await get(site, f"/coded.html{query}", BROWSER)
        assert first["content-encoding"] == "zstd"
        assert first["use-as-dictionary"].startswith("match=")
        assert first["cache-control"] == "max-age=0, stale-while-revalidate=3600"
        body = zstd.decompress(first.body)
        await change(site, topic, m7=1, m8=len(query))
        name = base64.b64encode(hashlib.sha256(body).digest()).decode()
        fields = {
            **BROWSER,
            "Accept-Encoding": "gzip, br, zstd, dcz",
            "Available-Dictionary": f":{name}:",
        }
        second = await get(site, f"/coded.html{query}", fields)
        assert second["content-encoding"] == "dcz"
        assert len(second.body) < 140
        known = zstd.ZstdDict(body, is_raw=True).as_prefix
        page = zstd.decompress(second.body[40:], zstd_dict=known)
        assert (
            page == (await get(site, f"/coded.html{query}", {"Accept-Encoding": "identity"})).body
        )
        assert b"m7>1<" in page
        kept = await get(site, f"/coded.html{query}", {**fields, "If-None-Match": second["etag"]})
        assert kept.status == 304


async def test_others_are_told_nothing_of_dictionaries(site: Site) -> None:
    topic = unique("board")
    site.write("others.html", board(topic))
    await change(site, topic)
    answer = await get(site, "/others.html", {"Accept-Encoding": "gzip"})
    assert "use-as-dictionary" not in answer.head
    assert (answer["content-encoding"], answer["cache-control"]) == ("gzip", "no-cache")


@pytest.mark.browser
async def test_in_a_browser_a_pages_own_refresh_costs_what_changed(site: Site) -> None:
    topic = unique("board")
    site.write("chromium.html", board(topic))
    await change(site, topic)
    wire = Wire("chromium.html")
    async with chromium() as browser, page_of(browser, java_script_enabled=False) as page:
        await wire.watch(page)
        await page.goto(f"{site.url}/chromium.html?way=refresh&every=1")
        for n in range(4):
            await change(site, topic, m100=1_000_000 + n)
            await page.get_by_text(f"{1_000_000 + n}").wait_for(timeout=15_000)
        coded = [size for _, coding, size in wire.done if coding == "dcz"]
        print(wire.done)
        assert len(coded) >= 2
        assert max(coded) < 140
