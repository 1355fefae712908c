"""Topic names and patterns (protocol 1)."""

from __future__ import annotations

import re
from html import unescape
from urllib.parse import quote

import pytest

from tests.support.harness import Server, ask, get, path, problem, publish, put, unique

TEXT = {"Content-Type": "text/plain; charset=utf-8"}


@pytest.mark.parametrize(
    "name",
    ["simple", "a/b/c", "gr\u00fcn/\u4e16\u754c/\U0001f40d", "with space", "a+b", "a?b#c", "50%",
     "a:b@c;d,e=f&g", "...", "a/..b", "~-_.!'()",
     '"quoted"', "<tag>", "\\back", "$", "a/$b", "\u00a0", "x|y", "{}[]^`"],
)  # fmt: skip
async def test_good_names(server: Server, name: str) -> None:
    topic = f"{unique()}/{name}"
    answer = await ask(server, "PUT", path(topic), TEXT, "x")
    assert answer.status == 201
    assert answer.json()["topic"] == topic
    assert answer["location"].isascii()
    assert (await get(server, answer["location"])).body == b"x"
    assert (await get(server, path(topic))).body == b"x"
    batch = await get(server, f"/topics?topic={quote(topic, safe='')}&since=earliest")
    assert batch.json()["records"][0]["topic"] == topic


@pytest.mark.parametrize(
    "target",
    ["", "/", "a//b", "/a", "a/", ".", "..", "a/.", "a/../b", "a/./b", "%2E", "a/%2e%2e/b",
     "%00", "a%0Ab", "a%7Fb", "a%C2%80b", "%FF", "%C3",
     "%ED%A0%80", "%E0%80%AF", "a%2F%2Fb", "%2F", "a%2F"],
)  # fmt: skip
async def test_bad_names(server: Server, target: str) -> None:
    if target == "":
        problem(await ask(server, "PUT", "/topics/", TEXT, "x"), 400)
        return
    problem(await ask(server, "PUT", f"/topics/{target}", TEXT, "x"), 400)
    problem(await get(server, f"/topics/{target}"), 400)


@pytest.mark.parametrize("tail", ["%", "%4", "%zz"])
async def test_malformed_escapes(server: Server, tail: str) -> None:
    """Refused, or taken as they stand: never as something else."""
    stem = unique()
    answer = await ask(server, "PUT", f"/topics/{stem}{tail}", TEXT, "x")
    if answer.status == 201:
        assert answer.json()["topic"] == stem + tail
        assert (await get(server, path(stem + tail))).body == b"x"
    else:
        problem(answer, 400)


async def test_the_length_of_a_name(server: Server) -> None:
    stem = unique()
    exactly = stem + "x" * (255 - len(stem))
    assert (await ask(server, "PUT", path(exactly), TEXT, "x")).status == 201
    problem(await ask(server, "PUT", path(exactly + "x"), TEXT, "x"), 400)
    snakes = stem + "\U0001f40d" * ((255 - len(stem)) // 4)
    assert (await ask(server, "PUT", path(snakes), TEXT, "x")).status == 201
    problem(await ask(server, "PUT", path(snakes + "\U0001f40d"), TEXT, "x"), 400)


async def test_an_escaped_slash_is_a_slash(server: Server) -> None:
    stem = unique()
    await put(server, f"{stem}/a", "x")
    assert (await get(server, f"/topics/{stem}%2Fa")).body == b"x"
    assert (await get(server, f"/topics/{stem}%2fa")).body == b"x"


async def test_names_are_told_apart_by_every_byte(server: Server) -> None:
    stem = unique()
    for name in ("a", "A", "a ", "\u00e9", "e\u0301"):
        await put(server, f"{stem}/{name}", name)
    for name in ("a", "A", "a ", "\u00e9", "e\u0301"):
        assert (await get(server, path(f"{stem}/{name}"))).body == name.encode()


async def test_a_plus_in_a_path_is_a_plus(server: Server) -> None:
    stem = unique()
    await put(server, f"{stem}/a+b", "x")
    assert (await get(server, f"/topics/{stem}/a+b")).body == b"x"
    problem(await get(server, f"/topics/{stem}/a%20b"), 404)


@pytest.mark.parametrize(
    "pattern", ["a*", "*a", "a/b*/c", "**/a", "a/**/b", "***", "a/***", "*/**/*", "a/%2A%2A/b"]
)
async def test_bad_patterns(server: Server, pattern: str) -> None:
    problem(await get(server, f"/topics/{pattern}"), 400)
    problem(await get(server, f"/topics?topic={pattern}"), 400)
    fields = {"Accept": "text/event-stream"}
    problem(await get(server, f"/topics/{pattern}", fields), 400)


@pytest.mark.parametrize("pattern", ["*", "**", "*/**", "a/*", "a/*/b", "*/*", "a/**"])
async def test_good_patterns(server: Server, pattern: str) -> None:
    assert (await get(server, f"/topics/{pattern}?since=now")).status == 200


async def test_a_double_star_needs_a_segment(server: Server) -> None:
    stem = unique()
    await publish(server, stem, "itself")
    below = await publish(server, f"{stem}/x", "below")
    batch = (await get(server, f"/topics/{stem}/**?since=earliest")).json()
    assert [record["id"] for record in batch["records"]] == [below]


async def test_reserved_topics_and_patterns(server: Server) -> None:
    """Whatever lives below `$`, a pattern does not show it."""
    for pattern in ("*", "**", "*/**", "*/*"):
        batch = (await get(server, f"/topics/{pattern}?since=earliest&limit=1000")).json()
        assert not [r for r in batch["records"] if r["topic"].startswith("$")]


async def test_a_missing_or_bad_topic_parameter(server: Server) -> None:
    for query in ("topic=", "topic=a//b", "topic=%FF", "topic=a&topic=b*"):
        problem(await get(server, f"/topics?{query}&since=now"), 400)


async def test_a_great_many_topics_in_one_request(server: Server) -> None:
    stem = unique()
    for n in (0, 150):
        await publish(server, f"{stem}/{n}", f"{n}")
    query = "&".join(f"topic={stem}/{n}" for n in range(200))
    batch = (await get(server, f"/topics?{query}&since=earliest")).json()
    assert [record["data"] for record in batch["records"]] == ["0", "150"]


async def test_many_levels(server: Server) -> None:
    deep = "/".join(["a"] * 120)
    topic = unique() + "/" + deep
    topic = topic[:255].rstrip("/")
    await put(server, topic, "x")
    assert (await get(server, path(topic))).body == b"x"
    pattern = "/".join("*" for _ in topic.split("/"))
    batch = (await get(server, f"/topics/{pattern}?since=earliest")).json()
    assert topic in [record["topic"] for record in batch["records"]]


@pytest.mark.parametrize(
    ("query", "headers", "hint"),
    [
        ("topic[]=a&topic[]=b", {}, "topic=A&topic=B"),
        ("topic%5B%5D=a", {"Accept": "text/event-stream"}, "topic=A&topic=B"),
        ("way=sse", {}, "/topics?topic=A"),
        ("", {"Accept": "text/event-stream"}, "/topics?topic=A"),
        ("way=push", {}, "/topics?topic=A"),
        ("way=long-poll", {}, "/topics?topic=A"),
        ("wait=5", {}, "/topics?topic=A"),
    ],
)
async def test_a_subscription_without_topics_is_refused_with_the_right_form(
    server: Server, query: str, headers: dict[str, str], hint: str
) -> None:
    answer = await get(server, f"/topics?{query}", headers)
    problem(answer, 400)
    assert hint in answer.json()["detail"]


async def listed(server: Server, query: str) -> tuple[list[str], bool]:
    answer = (await get(server, f"/topics?{query}", {"Accept": "application/json"})).json()
    return [topic["topic"] for topic in answer["topics"]], answer["more"]


async def test_the_list_comes_in_pages_by_name(server: Server) -> None:
    stem = unique()
    names = sorted(f"{stem}/{n:02}" for n in range(7))
    for name in reversed(names):
        await put(server, name, "x")
    match = f"match={stem}/**"
    assert await listed(server, match) == (names, False)
    assert await listed(server, f"{match}&limit=3") == (names[:3], True)
    assert await listed(server, f"{match}&limit=3&after={names[2]}") == (names[3:6], True)
    assert await listed(server, f"{match}&limit=3&after={names[5]}") == (names[6:], False)
    assert await listed(server, f"{match}&after={names[6]}") == ([], False)
    assert await listed(server, f"match={stem}/*/none") == ([], False)
    assert (await listed(server, f"{match}&limit=0"))[0] == names[:1], "clamped"
    problem(await get(server, "/topics?match=a//b"), 400)


async def test_the_page_of_topics_says_how_many_more_there_are(server: Server) -> None:
    stem = unique()
    for n in range(4):
        await put(server, f"{stem}/{n}", "x")
    query = f"match={quote(stem + '/*')}&limit=3"
    page = (await get(server, f"/topics?{query}", {"Accept": "text/html"})).body.decode()
    assert f"{stem}/2<" in page and f"{stem}/3<" not in page and "1 more topic<" in page
    rest = re.search(r'href="(/topics\?after=[^"]*)"', page)
    assert rest is not None
    page = (await get(server, unescape(rest[1]), {"Accept": "text/html"})).body.decode()
    assert f"{stem}/3<" in page and f"{stem}/2<" not in page and "more topic" not in page
    assert f'value="{stem}/*"' in page
    none = await get(server, f"/topics?match={stem}-none", {"Accept": "text/html"})
    assert b"No topic matches" in none.body
