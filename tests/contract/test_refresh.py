"""Page refresh (protocol 3): a page that shows a topic, with JavaScript and without."""

from __future__ import annotations

import html
import json
import re

import pytest

from tests.support.harness import Server, get, path, publish, put, unique

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
JSON = {"Content-Type": "application/json"}


async def test_the_plain_page(server: Server) -> None:
    topic = unique()
    await put(server, topic, "the value")
    answer = await get(server, f"{path(topic)}?way=refresh")
    assert answer.status == 200
    assert answer["hexcast-way"] == "refresh"
    assert answer["content-type"].replace(" ", "").lower() == "text/html;charset=utf-8"
    assert answer["refresh"] == "5"
    page = answer.body.decode()
    assert page.lower().startswith("<!doctype html>")
    assert "the value" in page
    assert topic in page
    assert "<script" not in page.lower()


@pytest.mark.parametrize(("every", "told"), [("1", "1"), ("30", "30")])
async def test_how_often(server: Server, every: str, told: str) -> None:
    topic = unique()
    await put(server, topic, "x")
    answer = await get(server, f"{path(topic)}?way=refresh&every={every}")
    assert answer["refresh"] == told


@pytest.mark.parametrize("every", ["0", "-3", "999999999999999999999"])
async def test_how_often_out_of_range_is_clamped(server: Server, every: str) -> None:
    topic = unique()
    await put(server, topic, "x")
    answer = await get(server, f"{path(topic)}?way=refresh&every={every}")
    assert answer.status == 200
    assert 1 <= int(answer["refresh"]) <= 10**7
    assert answer["refresh"] != every


async def test_the_live_page(server: Server) -> None:
    topic = unique()
    await put(server, topic, "the value")
    answer = await get(server, path(topic), BROWSER)
    assert (answer.status, answer["hexcast-way"]) == (200, "refresh")
    assert "refresh" not in answer, "the header would reload the page of those with JavaScript too"
    page = answer.body.decode()
    assert "the value" in page
    assert "<script" in page
    noscript = re.search(r"<noscript>(.*?)</noscript>", page, re.S | re.I)
    assert noscript
    assert re.search(r'<meta\s+http-equiv="refresh"\s+content="\d+', noscript[1], re.I)


@pytest.mark.parametrize("query", ["?way=refresh", ""])
@pytest.mark.parametrize(
    "nasty", ["<script>alert(1)</script>", "</pre><img src=x onerror=alert(1)>", "a & b \"c\" 'd'"]
)
async def test_the_value_is_escaped(server: Server, query: str, nasty: str) -> None:
    topic = unique()
    for kind, body in (
        ("text/plain", nasty),
        ("text/html", nasty),
        (*JSON.values(), json.dumps(nasty)),
    ):
        await put(server, topic, body, fields={"Content-Type": kind})
        page = (await get(server, path(topic) + query, BROWSER)).body.decode()
        assert "<script>alert" not in page
        assert "<img" not in page
        assert nasty in html.unescape(page).replace('\\"', '"'), "and it is shown"


@pytest.mark.parametrize("query", ["?way=refresh", ""])
async def test_the_topic_is_escaped(server: Server, query: str) -> None:
    topic = unique("<b>\"'&x</script><script>alert(1)<!--")
    await put(server, topic, "x")
    page = (await get(server, path(topic).replace("%2F", "/") + query, BROWSER)).body.decode()
    assert "<b>" not in page
    assert "<script>alert" not in page


@pytest.mark.parametrize("query", ["?way=refresh", ""])
async def test_a_topic_with_nothing_in_it(server: Server, query: str) -> None:
    """A person may open the page before the first publish; it must come alive by itself."""
    answer = await get(server, path(unique()) + query, BROWSER)
    assert answer.status in (200, 404)
    assert answer["content-type"].startswith("text/html")
    assert "refresh" in answer or "refresh" in answer.body.decode()


@pytest.mark.parametrize("query", ["?way=refresh", ""])
async def test_octets_are_shown_somehow(server: Server, query: str) -> None:
    topic = unique()
    await put(server, topic, b"\xff\x00\xfe", fields={"Content-Type": "application/octet-stream"})
    answer = await get(server, path(topic) + query, BROWSER)
    assert answer.status == 200
    answer.body.decode("utf-8")


async def test_a_stream_shows_its_newest(server: Server) -> None:
    topic = unique()
    for word in ("alpha", "beta", "gamma"):
        await publish(server, topic, word)
    assert "gamma" in (await get(server, f"{path(topic)}?way=refresh")).body.decode()
    assert "gamma" in (await get(server, path(topic), BROWSER)).body.decode()


async def test_patterns_have_a_page(server: Server) -> None:
    stem = unique()
    await put(server, f"{stem}/a", "alpha")
    await put(server, f"{stem}/b", "beta")
    for target in (f"/topics/{stem}/*", f"/topics?topic={stem}/a&topic={stem}/b"):
        sep = "&" if "?" in target else "?"
        page = (await get(server, f"{target}{sep}way=refresh")).body.decode()
        assert "alpha" in page and "beta" in page


async def test_the_pages_etag_is_weak(server: Server) -> None:
    topic = unique()
    await put(server, topic, "one")
    target = f"{path(topic)}?way=refresh"
    first = await get(server, target)
    assert re.fullmatch(r'W/"[^"]+"', first["etag"])
    again = await get(server, target, {"If-None-Match": first["etag"]})
    assert (again.status, again.body) == (304, b"")
    assert again["refresh"] == "5", "a browser that gets 304 must go on refreshing"
    await put(server, topic, "two")
    changed = await get(server, target, {"If-None-Match": first["etag"]})
    assert changed.status == 200
    assert "two" in changed.body.decode()
