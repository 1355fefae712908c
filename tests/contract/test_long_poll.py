"""Long polling (protocol 3): the same as polling, held until there is something."""

from __future__ import annotations

import asyncio
import json
import time

import pytest

from tests.support.harness import (
    Conn,
    Server,
    ask,
    get,
    path,
    problem,
    publish,
    put,
    request_bytes,
    unique,
)
from tests.support.wire import ID, Answer, seq


async def held(server: Server, target: str, fields: dict[str, str] | None = None) -> Conn:
    """Send the request, and let the server take it in."""
    conn = await Conn.open(server)
    await conn.send(request_bytes(server, "GET", target, fields or {}))
    assert (await get(server, "/healthz")).status == 200  # sent after it, answered before it
    return conn


async def test_held_until_the_next_record(server: Server) -> None:
    topic = unique()
    cursor = await publish(server, topic, "before")
    conn = await held(server, f"{path(topic)}?since={cursor}&wait=30")
    async with conn:
        record_id = await publish(server, topic, "after")
        answer = await conn.answer()
    assert answer.status == 200
    assert answer["hexcast-way"] == "long-poll"
    assert ID.fullmatch(answer["hexcast-cursor"])
    told = answer.json()
    assert [(r["id"], r["data"]) for r in told["records"]] == [(record_id, "after")]
    assert seq(told["cursor"]) >= seq(record_id)


async def test_answered_at_once_when_there_is_something(server: Server) -> None:
    topic = unique()
    cursor = await publish(server, topic, "1")
    record_id = await publish(server, topic, "2")
    answer = await get(server, f"{path(topic)}?since={cursor}&wait=60", seconds=5)
    assert [r["id"] for r in answer.json()["records"]] == [record_id]
    answer = await get(server, f"{path(topic)}?wait=60", seconds=5)
    assert (answer.body, answer["etag"]) == (b"2", f'"{record_id}"')


async def test_a_conditional_request_waits_for_a_change(server: Server) -> None:
    topic = unique()
    first = await put(server, topic, "1")
    conn = await held(server, f"{path(topic)}?wait=30", {"If-None-Match": f'"{first}"'})
    async with conn:
        second = await put(server, topic, "2")
        answer = await conn.answer()
    assert (answer.status, answer.body, answer["etag"]) == (200, b"2", f'"{second}"')


@pytest.mark.parametrize("method", ["PUT", "POST"])
async def test_waiting_for_a_topic_to_begin(server: Server, method: str) -> None:
    topic = unique()
    async with await held(server, f"{path(topic)}?wait=30") as conn:
        record_id = await publish(server, topic, "born", method=method)
        answer = await conn.answer()
    assert (answer.status, answer.body, answer["etag"]) == (200, b"born", f'"{record_id}"')


async def test_prefer_wait(server: Server) -> None:
    topic = unique()
    async with await held(server, path(topic), {"Prefer": "wait=30"}) as conn:
        await put(server, topic, "x")
        answer = await conn.answer()
    assert (answer.status, answer["hexcast-way"]) == (200, "long-poll")


async def timed(server: Server, target: str, fields: dict[str, str] | None = None) -> Answer:
    """Ask for one second's wait, and demand that about one second passes."""
    began = time.monotonic()
    answer = await get(server, target, fields or {})
    took = time.monotonic() - began
    assert 0.9 < took < 4, took
    return answer


async def test_what_it_answers_when_nothing_comes(server: Server) -> None:
    state, stream = unique(), unique()
    value = await put(server, state, "x")
    post = await publish(server, stream, "x")
    conditional, batch, nothing, prefer = await asyncio.gather(
        timed(server, f"{path(state)}?wait=1", {"If-None-Match": f'"{value}"'}),
        timed(server, f"{path(stream)}?since={post}&wait=1"),
        timed(server, f"{path(unique())}?wait=1"),
        timed(server, path(unique()), {"Prefer": "wait=1"}),
    )
    assert (conditional.status, conditional["etag"]) == (304, f'"{value}"')
    assert batch.status == 200
    told = batch.json()
    assert (told["records"], told["more"]) == ([], False)
    assert seq(told["cursor"]) >= seq(post)
    problem(nothing, 404)
    problem(prefer, 404)


async def test_the_cursor_moves_while_nothing_comes(server: Server) -> None:
    """A quiet client must not age into a gap while other topics are busy."""
    quiet, busy = unique(), unique()
    cursor = await publish(server, quiet, "x")
    async with await held(server, f"{path(quiet)}?since={cursor}&wait=1") as conn:
        newest = await publish(server, busy, "y")
        told = (await conn.answer()).json()
    assert told["records"] == []
    assert seq(told["cursor"]) >= seq(newest)


async def test_no_wait_at_all(server: Server) -> None:
    for query in ("wait=0", "wait=-5"):
        answer = await get(server, f"{path(unique())}?{query}", seconds=3)
        problem(answer, 404)
        assert answer["hexcast-way"] == "long-poll"


async def test_several_topics_and_a_pattern(server: Server) -> None:
    stem = unique()
    start = (await get(server, f"/topics/{stem}/**?since=now")).json()["cursor"]
    targets = [
        f"/topics/{stem}/**?since={start}&wait=30",
        f"/topics?topic={stem}/a&topic={stem}/b/c&since={start}&wait=30",
    ]
    conns = [await held(server, target) for target in targets]
    record_id = await publish(server, f"{stem}/b/c", "x")
    for conn in conns:
        async with conn:
            told = (await conn.answer()).json()
        assert [(r["id"], r["topic"]) for r in told["records"]] == [(record_id, f"{stem}/b/c")]


async def test_a_pattern_without_since_waits_for_the_first(server: Server) -> None:
    stem = unique()
    async with await held(server, f"/topics/{stem}/*?wait=30") as conn:
        record_id = await put(server, f"{stem}/a", "x")
        told = (await conn.answer()).json()
    assert [r["id"] for r in told["records"]] == [record_id]


async def test_a_delete_is_something(server: Server) -> None:
    topic = unique()
    cursor = await put(server, topic, "x")
    async with await held(server, f"{path(topic)}?since={cursor}&wait=30") as conn:
        gone = (await ask(server, "DELETE", path(topic))).json()["id"]
        told = (await conn.answer()).json()
    assert [(r["id"], r["op"]) for r in told["records"]] == [(gone, "delete")]


async def test_a_conditional_wait_ends_with_a_delete(server: Server) -> None:
    topic = unique()
    value = await put(server, topic, "x")
    conn = await held(server, f"{path(topic)}?wait=2", {"If-None-Match": f'"{value}"'})
    async with conn:
        await ask(server, "DELETE", path(topic))
        problem(await conn.answer(), 404)


async def test_ask_again_with_the_cursor_on_one_connection(server: Server) -> None:
    topic = unique()
    cursor = (await get(server, f"{path(topic)}?since=now")).json()["cursor"]
    seen, sent = [], []
    async with await Conn.open(server) as conn:
        for number in range(20):
            target = f"{path(topic)}?since={cursor}&wait=30"
            await conn.send(request_bytes(server, "GET", target))
            sent.append(await publish(server, topic, f"{number}"))
            told = (await conn.answer()).json()
            seen += [record["id"] for record in told["records"]]
            cursor = told["cursor"]
    assert seen == sent


async def test_a_client_that_goes_away_while_held(server: Server) -> None:
    topic = unique()
    conn = await held(server, f"{path(topic)}?wait=60")
    await conn.close()
    await publish(server, topic, "x")
    assert (await get(server, path(topic))).body == b"x"


# --- only what changed, for one value -------------------------------------------------------------


def members(**changed: int) -> str:
    return json.dumps({f"member-{n}": n for n in range(20)} | changed)


async def test_a_wait_for_another_value_is_told_what_changed(server: Server) -> None:
    topic, fields = unique(), {"Content-Type": "application/json"}
    first = await put(server, topic, members(), fields=fields)
    target = path(topic) + "?wait=20&delta=1"
    full = await get(server, target)
    assert (full.status, full["etag"], full.json()) == (200, f'"{first}"', json.loads(members()))
    async with await held(server, target, {"If-None-Match": full["etag"]}) as conn:
        second = await put(server, topic, members(a=1), fields=fields)
        change = await conn.answer()
    assert (change.status, change.body) == (226, b'{"a":1}')
    assert change["content-type"] == "application/merge-patch+json"
    assert (change["etag"], change["hexcast-base"]) == (f'"{second}"', first)
    assert change["hexcast-op"] == change["im"] == "patch"
    assert "no-store" in change.head.tokens("cache-control")
    # Who comes later with a value that is still known is told the difference at once.
    third = await put(server, topic, members(a=2, b=3), fields=fields)
    late = await get(server, target, {"If-None-Match": f'"unknown-1", "{first}"'})
    assert (late.status, late.json(), late["etag"]) == (226, {"a": 2, "b": 3}, f'"{third}"')
    told = (await get(server, target + "&format=json", {"If-None-Match": f'"{first}"'})).json()
    assert (told["op"], told["base"], told["data"]) == ("patch", first, {"a": 2, "b": 3})


async def test_what_a_wait_for_another_value_cannot_be_told_in_part(server: Server) -> None:
    topic, fields = unique(), {"Content-Type": "application/json"}
    first = await put(server, topic, members(), fields=fields)
    target = path(topic) + "?wait=20&delta=1"
    await put(server, topic, "[1]", fields=fields)
    for tag in (first, "unknown-1", "nonsense", f"{first}99"):
        answer = await get(server, target, {"If-None-Match": f'"{tag}"'})
        assert (answer.status, answer.body) == (200, b"[1]")
    await ask(server, "DELETE", path(topic))
    await put(server, topic, members(a=1), fields=fields)
    answer = await get(server, target, {"If-None-Match": f'"{first}"'})
    assert (answer.status, answer.json()) == (200, json.loads(members(a=1)))
    plain = await get(server, path(topic) + "?way=poll&delta=1", {"If-None-Match": f'"{first}"'})
    assert plain.status == 200, "a cache in between adds tags of its own to what is not no-store"


async def test_a_wait_for_more_text_is_told_what_was_added(server: Server) -> None:
    topic, fields = unique(), {"Content-Type": "text/plain; charset=utf-8"}
    first = await put(server, topic, "Once ", fields=fields)
    second = await put(server, topic, "Once upon", fields=fields)
    answer = await get(
        server, path(topic) + "?wait=20&delta=1", {"If-None-Match": f'W/"{first}~gzip"'}
    )
    assert (answer.status, answer.body) == (226, b"upon")
    assert (answer["hexcast-op"], answer["hexcast-base"]) == ("append", first)
    assert answer["etag"] == f'"{second}"'
    assert answer["content-type"] == fields["Content-Type"]
