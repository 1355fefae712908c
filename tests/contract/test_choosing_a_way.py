"""One URL, which way (protocol 3): the order of choice, HEAD, the list of topics."""

from __future__ import annotations

import pytest

from tests.support.harness import (
    Conn,
    Server,
    Sse,
    Ws,
    ask,
    get,
    path,
    problem,
    publish,
    put,
    request_bytes,
    unique,
)

SSE = {"Accept": "text/event-stream"}
HTML = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


@pytest.mark.parametrize(
    ("query", "fields", "way"),
    [
        ("", {}, "poll"),
        ("", {"Accept": "*/*"}, "poll"),
        ("", {"Accept": "application/json"}, "poll"),
        ("", SSE, "sse"),
        ("", {"Accept": "text/html;q=0.5, text/event-stream;q=0.1"}, "sse"),
        ("", HTML, "refresh"),
        ("", {"Accept": "text/html;q=0.1, application/json"}, "poll"),
        ("", {"Accept": "text/html;q=0, */*"}, "poll"),
        ("?since=earliest", {}, "poll"),
        ("?since=earliest", HTML, "poll"),
        ("?since=earliest", SSE, "sse"),
        ("?wait=1", {}, "long-poll"),
        ("?wait=1", HTML, "long-poll"),
        ("?wait=1", SSE, "sse"),
        ("?wait=1&since=earliest", {}, "long-poll"),
        ("", {"Prefer": "wait=1"}, "long-poll"),
        ("", {"Prefer": "respond-async, Wait = 1"}, "long-poll"),
        ("?way=poll", SSE, "poll"),
        ("?way=poll&wait=5", {}, "poll"),
        ("?way=long-poll", HTML, "long-poll"),
        ("?way=sse", {}, "sse"),
        ("?way=sse", HTML, "sse"),
        ("?way=refresh", SSE, "refresh"),
        ("?nonsense=1", {}, "poll"),
    ],
)
async def test_the_order_of_choice(
    server: Server, query: str, fields: dict[str, str], way: str
) -> None:
    topic = unique()
    await put(server, topic, "x")
    async with await Conn.open(server) as conn:
        await conn.send(request_bytes(server, "GET", path(topic) + query, fields))
        head = await conn.head()
    assert head.status == 200
    assert head.get("hexcast-way") == way


async def test_an_unknown_way(server: Server) -> None:
    topic = unique()
    await put(server, topic, "x")
    told = problem(await get(server, f"{path(topic)}?way=pigeon"), 400)
    assert "way" in told["detail"]
    problem(await get(server, f"{path(topic)}?way="), 400)


async def test_websocket_without_an_upgrade(server: Server) -> None:
    answer = await get(server, f"{path(unique())}?way=websocket")
    problem(answer, 426)
    assert "websocket" in answer.head.tokens("upgrade"), "RFC 9110 section 15.5.22"
    assert "upgrade" in answer.head.tokens("connection")


async def test_an_upgrade_comes_before_the_accept_field(server: Server) -> None:
    topic = unique()
    async with await Ws.open(server, path(topic), fields=SSE) as ws:
        assert ws.head.get("hexcast-way") == "websocket"


async def test_a_named_way_comes_before_an_upgrade(server: Server) -> None:
    topic = unique()
    await put(server, topic, "x")
    fields = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    }
    answer = await get(server, f"{path(topic)}?way=poll", fields)
    assert (answer.status, answer["hexcast-way"], answer.body) == (200, "poll", b"x")


async def test_every_answer_names_its_way(server: Server) -> None:
    """Also one that has nothing to show."""
    topic = unique()
    assert (await get(server, path(topic)))["hexcast-way"] == "poll"
    assert (await get(server, f"{path(topic)}?wait=0"))["hexcast-way"] == "long-poll"


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        ("", {}),
        ("", HTML),
        ("?way=refresh", {}),
        ("?since=earliest", {}),
        ("?wait=0", {}),
    ],
)
async def test_head_is_get_without_the_body(
    server: Server, query: str, fields: dict[str, str]
) -> None:
    topic = unique()
    await put(server, topic, "value")
    full = await get(server, path(topic) + query, fields)
    bare = await ask(server, "HEAD", path(topic) + query, fields)
    assert (bare.status, bare.body) == (200, b"")

    def comparable(fields: list[tuple[str, str]]) -> list[tuple[str, str]]:
        return sorted(f for f in fields if f[0] not in ("date", "content-length"))

    assert comparable(bare.head.fields) == comparable(full.head.fields)
    if "content-length" in bare:
        assert bare["content-length"] == str(len(full.body))


@pytest.mark.parametrize("query", ["?way=sse", "?wait=60&since=now", "?wait=60"])
async def test_head_of_what_would_be_held_comes_at_once(server: Server, query: str) -> None:
    """On a topic with nothing in it, where GET would wait for a minute."""
    async with await Conn.open(server) as conn:
        answer = await conn.ask(server, "HEAD", path(unique()) + query, seconds=5)
        assert answer.body == b""
        assert answer["hexcast-way"] == ("sse" if "sse" in query else "long-poll")
        after = await conn.ask(server, "GET", "/healthz", seconds=5)
        assert after.status == 200, "the connection goes on behind a HEAD"


async def test_the_list_of_topics(server: Server) -> None:
    stem = unique()
    post = await publish(server, f"{stem}/stream", "x")
    value = await put(server, f"{stem}/state", "x")
    gone = f"{stem}/gone"
    await put(server, gone, "x")
    await ask(server, "DELETE", path(gone))
    async with await Sse.open(server, path(f"{stem}/stream")):
        answer = await get(server, "/topics")
    assert answer.status == 200
    assert answer["content-type"].split(";")[0] == "application/json"
    told = answer.json()
    assert set(told) == {"topics", "more"}
    mine = {t["topic"]: t for t in told["topics"] if t["topic"].startswith(f"{stem}/")}
    assert set(mine) == {f"{stem}/stream", f"{stem}/state"}
    for topic in mine.values():
        assert set(topic) >= {"topic", "kind", "id", "rate", "subscribers"}
        assert topic["rate"] >= 0
    assert (mine[f"{stem}/stream"]["kind"], mine[f"{stem}/stream"]["id"]) == ("stream", post)
    assert (mine[f"{stem}/state"]["kind"], mine[f"{stem}/state"]["id"]) == ("state", value)
    assert mine[f"{stem}/stream"]["subscribers"] == 1
    assert mine[f"{stem}/state"]["subscribers"] == 0


async def test_unknown_paths(server: Server) -> None:
    for target in ("/nothing", "/topic/x", "/topicsx", "//topics/x"):
        problem(await get(server, target), 404)
