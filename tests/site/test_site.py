"""A site over HTTP: files, pages that are filled in, and what belongs to the server itself."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.harness import (
    Conn,
    Server,
    Sse,
    ask,
    deadline,
    get,
    path,
    problem,
    program,
    publish,
    put,
    request_bytes,
    unique,
)

from .conftest import Site

HTML = {"Accept": "text/html"}
JSON = {"Content-Type": "application/json"}


def page_of(topic: str, more: str = "") -> str:
    return (
        f"<!doctype html><html><head><title>x</title></head><body>"
        f'<p data-topic="{topic}">nothing yet</p>{more}</body></html>'
    )


# --- pages ----------------------------------------------------------------------------------------


async def test_a_page_is_filled_in(site: Site) -> None:
    state, stream = unique("price"), unique("news")
    site.write(
        "filled.html",
        page_of(state, f"<i data-topic={stream}>none</i><b data-topic={state} data-part=bid>-</b>"),
    )
    assert b"nothing yet" in (await get(site, "/filled.html")).body
    await put(site, state, '{"bid": 1.10}', fields=JSON)
    await publish(site, stream, "older")
    await publish(site, stream, "a <b> & c")
    body = (await get(site, "/filled.html")).body.decode()
    assert ">{&quot;bid&quot;:1.10}<" in body or '>{"bid":1.10}<' in body
    assert "data-part=bid>1.10</b>" in body
    assert ">a &lt;b&gt; &amp; c</i>" in body
    assert (await ask(site, "DELETE", path(state))).status == 200
    body = (await get(site, "/filled.html")).body.decode()
    assert "nothing yet" in body and "data-part=bid>-</b>" in body


async def test_html_only_where_the_publisher_and_the_author_say_so(site: Site) -> None:
    topic = unique("part")
    site.write(
        "html.html", f"<p id=1 data-topic={topic} data-html>x</p><p id=2 data-topic={topic}>x</p>"
    )
    nasty = "<b>bold</b><script>alert(1)</script>"
    await put(site, topic, nasty)
    body = (await get(site, "/html.html")).body.decode()
    assert body.count("&lt;b&gt;bold&lt;/b&gt;&lt;script&gt;") == 2
    await put(site, topic, nasty, fields={"Content-Type": "text/html; charset=utf-8"})
    body = (await get(site, "/html.html")).body.decode()
    assert "data-html><b>bold</b></p>" in body
    assert body.count("&lt;script&gt;") == 1


async def test_attributes(site: Site) -> None:
    topic = unique("link")
    site.write(
        "attr.html",
        f"<a data-topic={topic} data-attr=href href='/own'>x</a><a data-topic={topic} data-attr=onclick>y</a>",
    )
    await put(site, topic, '/there?a=1&b="2"')
    body = (await get(site, "/attr.html")).body.decode()
    assert 'href="/there?a=1&amp;b=&quot;2&quot;"' in body
    assert "onclick=" not in body.replace("data-attr=onclick", "")
    await put(site, topic, "javascript:alert(1)")
    body = (await get(site, "/attr.html")).body.decode()
    assert "javascript" not in body and "href='/own'" in body


async def test_the_tag_follows_the_page_and_its_topics(site: Site) -> None:
    topic, other = unique(), unique()
    site.write("tag.html", page_of(topic))
    tags = [(await get(site, "/tag.html"))["etag"]]
    assert tags[0].startswith('W/"')

    async def changed() -> bool:
        answer = await get(site, "/tag.html", {"If-None-Match": tags[-1]})
        assert answer.status in (200, 304)
        if answer.status == 304:
            assert answer.body == b"" and answer["etag"] == tags[-1]
            return False
        tags.append(answer["etag"])
        return True

    assert not await changed()
    await put(site, topic, "1")
    assert await changed()
    await put(site, other, "1")
    assert not await changed(), "another topic"
    await put(site, topic, "1")
    assert not await changed(), "the same value"
    await put(site, topic, "2")
    assert await changed()
    await ask(site, "DELETE", path(topic))
    assert await changed()
    site.write("tag.html", page_of(topic, "<p>more</p>"))
    assert await changed()
    assert not await changed()
    assert tags[3] == tags[0], "what it shows is what it showed at first"
    assert len(set(tags)) == 4


async def test_nothing_falls_between_the_page_and_the_live_connection(site: Site) -> None:
    """While values are published: a page shows what was there at its cursor; after it come newer ones."""
    topic = unique("count")
    site.write("join.html", page_of(topic))
    await put(site, topic, "0")
    stop = asyncio.Event()

    async def write() -> int:
        n = 0
        while not stop.is_set():
            n += 1
            await put(site, topic, str(n))
        return n

    writer = asyncio.create_task(write())
    joins = []
    for _ in range(10):
        answer = await get(site, "/join.html")
        cursor = answer["hexcast-cursor"]
        assert f'content="{cursor}"' in answer.body.decode()
        shown = re.search(rb">(\d+)</p>", answer.body)
        assert shown
        joins.append((cursor, int(shown[1])))
    stop.set()
    last = await writer
    for cursor, number in joins:
        if number == last:
            continue
        async with await Sse.open(site, f"/topics?topic={topic}&since={cursor}") as sse:
            assert int((await sse.record()).json()["data"]) > number
        assert int((await get(site, f"{path(topic)}?id={cursor}")).body) == number


async def test_refresh_by_name(site: Site) -> None:
    topic = unique()
    site.write("named.html", page_of(topic))
    await put(site, topic, "here")
    answer = await get(site, "/named.html?way=refresh&every=7")
    assert answer["refresh"] == "7"
    assert answer["hexcast-way"] == "refresh"
    assert b"<script" not in answer.body and b"<noscript" not in answer.body
    assert b"here" in answer.body
    kept = await get(site, "/named.html?way=refresh&every=7", {"If-None-Match": answer["etag"]})
    assert (kept.status, kept["refresh"]) == (304, "7")
    live = await get(site, "/named.html?every=9")
    assert b'<noscript><meta http-equiv="refresh" content="9"></noscript>' in live.body
    assert b'<script type="module" src="/hexcast-page.js"></script>' in live.body
    assert "refresh" not in live.head


async def test_a_page_of_too_many_topics_is_refreshed(site: Site) -> None:
    site.write("many.html", "".join(f"<p data-topic=many/{n}>x" for n in range(300)))
    await put(site, "many/299", "the last")
    body = (await get(site, "/many.html")).body
    assert b"<script" not in body and b"<noscript" not in body
    assert b'<meta http-equiv="refresh" content="5">' in body
    assert b"the last" in body


async def test_values_too_large_for_a_page(site: Site) -> None:
    topic = unique("large")
    await put(site, topic, "x" * 2**20)
    site.write("large.html", f"<p data-topic={topic}>x" * 3)
    assert len((await get(site, "/large.html")).body) > 3 * 2**20
    site.write("larger.html", f"<p data-topic={topic}>x" * 5)
    problem(await get(site, "/larger.html"), 500)
    assert (await get(site, "/healthz")).status == 200


async def test_a_page_without_topics_is_a_file(site: Site) -> None:
    site.write("still.html", "<p>é</p>")
    answer = await get(site, "/still.html")
    assert (answer.status, answer.body) == (200, "<p>é</p>".encode())
    assert answer["content-type"] == "text/html; charset=utf-8"
    assert answer["etag"].startswith('"') and "last-modified" in answer.head


async def test_a_page_in_another_encoding_comes_as_it_is(site: Site) -> None:
    source = b"<meta charset=iso-8859-1><p data-topic=x>\xe9</p>"
    site.write("latin.html", source)
    answer = await get(site, "/latin.html")
    assert (answer.status, answer.body, answer["content-type"]) == (200, source, "text/html")


# --- files ----------------------------------------------------------------------------------------


async def test_files(site: Site) -> None:
    site.write("style/main.css", "body{}")
    answer = await get(site, "/style/main.css")
    assert (answer.status, answer.body) == (200, b"body{}")
    assert answer["content-type"] == "text/css; charset=utf-8"
    assert answer["x-content-type-options"] == "nosniff"
    assert answer["cache-control"] == "no-cache"
    for fields in (
        {"If-None-Match": answer["etag"]}, {"If-None-Match": "*"}, {"If-Modified-Since": answer["last-modified"]},
    ):  # fmt: skip
        assert (await get(site, "/style/main.css", fields)).status == 304, fields
    for fields in (
        {"If-None-Match": '"other"'}, {"If-Modified-Since": "Sat, 01 Jan 2000 00:00:00 GMT"},
        {"If-Modified-Since": "nonsense"}, {"If-None-Match": '"other"', "If-Modified-Since": answer["last-modified"]},
    ):  # fmt: skip
        assert (await get(site, "/style/main.css", fields)).status == 200, fields
    head = await ask(site, "HEAD", "/style/main.css")
    assert (head.status, head.body, head["content-length"]) == (200, b"", "6")
    site.write("style/main.css", "body{x}")
    assert (
        await get(site, "/style/main.css", {"If-None-Match": answer["etag"]})
    ).body == b"body{x}"


async def test_large_files_come_in_pieces(site: Site) -> None:
    data = bytes(range(256)) * 20_000
    site.write("large.bin", data)
    answer = await get(site, "/large.bin")
    assert (answer.status, answer.body == data) == (200, True)
    assert (await get(site, "/large.bin", {"If-None-Match": answer["etag"]})).status == 304
    head = await ask(site, "HEAD", "/large.bin")
    assert (head.status, head.body, head["etag"]) == (200, b"", answer["etag"])


async def test_who_does_not_read_a_large_file_costs_no_memory(site: Site) -> None:
    with (site.root / "huge.bin").open("wb") as huge:
        huge.truncate(2**28)
    before = site.rss()
    conns = [await Conn.open(site, rcvbuf=4096) for _ in range(8)]
    try:
        for conn in conns:
            await conn.send(request_bytes(site, "GET", "/huge.bin"))
            assert (await conn.head()).status == 200
        for _ in range(50):  # the server is at work all the while, and answers others
            assert (await get(site, "/healthz")).status == 200
        assert site.rss() - before < 32 * 2**20
    finally:
        for conn in conns:
            await conn.close()


@pytest.mark.parametrize(
    "target",
    ["/.git/config", "/%2e%2e/secret", "/../secret", "/a/..%2f..%2fsecret", "//etc/passwd", "/x%00.html", "/out", "/nothing.html", "/%5c.."],
)  # fmt: skip
async def test_what_is_not_there(site: Site, target: str) -> None:
    site.write(".git/config", "secret")
    (site.root.parent / "secret").write_text("secret")
    if not (site.root / "out").is_symlink():
        (site.root / "out").symlink_to("../secret")
    problem(await get(site, target), 404)
    answer = await get(site, target, HTML)
    assert answer.status == 404
    assert answer["content-type"] == "text/html; charset=utf-8"
    assert b"secret" not in answer.body


async def test_a_folder_is_sent_to_its_slash(site: Site) -> None:
    site.write("folder/index.html", "in the folder")
    answer = await get(site, "/folder?x=1&y=%0d%0a")
    assert (answer.status, answer["location"]) == (308, "/folder/?x=1&y=%0d%0a")
    assert (await get(site, "/folder/")).body == b"in the folder"


# --- beside what is the server's own --------------------------------------------------------------


async def test_the_contracts_own_addresses_win(site: Site) -> None:
    for name in (
        "topics/x.html",
        "topics.html",
        "healthz",
        "readyz",
        "metrics",
        "hexcast.js",
        "hexcast-page.js",
    ):
        site.write(name, "from the site")
    for target in (
        "/healthz",
        "/readyz",
        "/metrics",
        "/hexcast.js",
        "/hexcast-page.js",
        "/topics/x.html",
        "/topics",
    ):
        assert (await get(site, target)).body != b"from the site", target
    assert (await get(site, "/topics.html")).body == b"from the site"
    assert (await get(site, "/")).body.startswith(b"<!doctype html><title>the index")


async def test_what_is_live_is_told_under_topics(site: Site) -> None:
    topic = unique("<live>")
    await put(site, topic, "x")
    answer = await get(site, "/topics", HTML)
    assert answer["content-type"].startswith("text/html")
    assert b"&lt;live&gt;" in answer.body and answer["vary"] == "Accept"
    assert (await get(site, "/topics"))["content-type"] == "application/json"


async def test_the_script_of_pages(site: Site) -> None:
    answer = await get(site, "/hexcast-page.js")
    assert (answer.status, answer["content-type"]) == (200, "text/javascript; charset=utf-8")
    assert (await get(site, "/hexcast-page.js", {"If-None-Match": answer["etag"]})).status == 304


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
async def test_pages_are_only_read(site: Site, method: str) -> None:
    answer = await ask(site, method, "/index.html", {"Content-Type": "text/plain"}, "x")
    problem(answer, 405)
    assert answer["allow"] == "GET, HEAD, OPTIONS"
    assert (await ask(site, "OPTIONS", "/index.html")).status == 204


async def test_a_foreign_host_gets_no_page(site: Site) -> None:
    problem(await get(site, "/", {"Host": "rebound.example"}), 421)


async def test_under_a_base_path_and_with_a_page_for_what_is_not_there(tmp_path: Path) -> None:
    with Site(tmp_path, base="/live") as site:
        site.write("404.html", "<!doctype html><title>gone</title><p data-topic=a>own</p>")
        site.write("sub/index.html", page_of("a"))
        await put(site, "a", "filled")
        assert b'src="/live/hexcast-page.js"' in (await get(site, "/sub/")).body
        assert (await get(site, "/sub"))["location"] == "/live/sub/"
        answer = await get(site, "/missing", HTML)
        assert answer.status == 404 and b"filled" in answer.body
        assert (
            await get(site, "/missing", {**HTML, "If-None-Match": answer["etag"]})
        ).status == 404
        overview = await get(site, "/", HTML)
        assert overview.status == 200 and b"Hexcast" in overview.body, (
            "without an index: what is live"
        )


async def test_a_stop_lets_a_file_come_to_its_end(tmp_path: Path) -> None:
    server = Site(tmp_path)
    data = bytes(3 * 2**20)
    server.write("file.bin", data)
    with server:
        async with await Conn.open(server, rcvbuf=4096) as conn:
            await conn.send(request_bytes(server, "GET", "/file.bin"))
            assert (await conn.head()).status == 200
            stopping = asyncio.create_task(asyncio.to_thread(server.stop))
            got = 0
            async with deadline("the rest of the file"):
                while part := await conn.content():
                    got += len(part)
            assert got == len(data)
            assert await stopping < 9


def test_a_directory_that_is_none_is_refused(tmp_path: Path) -> None:
    done = Server("--pages", str(tmp_path / "missing")).run_to_its_end()
    assert done.returncode == 2
    assert b"is not a directory" in done.stderr


def test_without_the_parser_it_says_what_to_install(tmp_path: Path) -> None:
    """A server without pages does not need it."""
    code = (
        "import sys; sys.modules['turbohtml'] = None\n"
        "import asyncio\nfrom hexcast.server import Server\nfrom hexcast.settings import Settings\n"
        "async def go():\n Server(Settings())\n"
        f" Server(Settings(pages={str(tmp_path)!r}))\n"
        "asyncio.run(go())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, timeout=20, check=False
    )
    assert b"ValueError: turbohtml is missing for --pages; install hexcast[pages]" in done.stderr


async def test_over_http2(site: Site) -> None:
    """The same over HTTP/2, with a file that is larger than what a client lets through at once."""
    topic = unique()
    await put(site, topic, "filled")
    site.write("h2.html", page_of(topic))
    data = bytes(range(256)) * 12_000
    site.write("h2.bin", data)

    async def curl(target: str, *options: str) -> bytes:
        command = [program("curl"), "-sS", "--http2-prior-knowledge", *options, site.url + target]
        done = await asyncio.to_thread(
            subprocess.run, command, capture_output=True, timeout=20, check=True
        )
        return done.stdout

    assert b">filled</p>" in await curl("/h2.html")
    assert await curl("/h2.bin") == data
    assert (await curl("/h2.bin", "-I")).startswith(b"HTTP/2 200")
