"""Polling (protocol 3): a value with its ETag, or batches along a cursor."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest

from tests.support.harness import Server, Sse, ask, get, path, problem, publish, put, unique
from tests.support.wire import ID, seq


async def test_a_states_value(server: Server) -> None:
    topic = unique()
    record_id = await put(server, topic, '{"a": 1}', fields={"Content-Type": "application/json"})
    answer = await get(server, path(topic))
    assert (answer.status, answer.body) == (200, b'{"a": 1}')
    assert answer["content-type"] == "application/json"
    assert answer["etag"] == f'"{record_id}"'
    assert answer["hexcast-way"] == "poll"


async def test_a_streams_newest(server: Server) -> None:
    topic = unique()
    await publish(server, topic, "old")
    newest = await publish(server, topic, "new")
    answer = await get(server, path(topic))
    assert (answer.status, answer.body, answer["etag"]) == (200, b"new", f'"{newest}"')


@pytest.mark.parametrize("method", ["PUT", "POST"])
async def test_not_modified(server: Server, method: str) -> None:
    topic = unique()
    first = await publish(server, topic, "1", method=method)
    fields = {"If-None-Match": f'"{first}"'}
    answer = await get(server, path(topic), fields)
    assert (answer.status, answer.body, answer["etag"]) == (304, b"", f'"{first}"')
    second = await publish(server, topic, "2", method=method)
    answer = await get(server, path(topic), fields)
    assert (answer.status, answer.body, answer["etag"]) == (200, b"2", f'"{second}"')


async def test_nothing_there(server: Server) -> None:
    problem(await get(server, path(unique())), 404)


async def test_a_batch(server: Server) -> None:
    topic = unique()
    ids = [await publish(server, topic, f"{n}") for n in range(5)]
    answer = await get(server, f"{path(topic)}?since={ids[1]}")
    assert answer.status == 200
    assert answer["content-type"].split(";")[0] == "application/json"
    assert ID.fullmatch(answer["hexcast-cursor"])
    told = answer.json()
    assert [record["id"] for record in told["records"]] == ids[2:]
    assert [record["data"] for record in told["records"]] == ["2", "3", "4"]
    assert not told.get("gap")
    assert not told.get("more")
    assert seq(told["cursor"]) >= seq(ids[-1])
    told = (await get(server, f"{path(topic)}?since={told['cursor']}")).json()
    assert told["records"] == []


async def test_a_batch_has_all_its_members(server: Server) -> None:
    told = (await get(server, f"{path(unique())}?since=earliest")).json()
    assert set(told) == {"cursor", "gap", "records", "more"}
    assert (told["records"], told["more"]) == ([], False)


async def test_last_event_id_in_place_of_since(server: Server) -> None:
    topic = unique()
    ids = [await publish(server, topic, f"{n}") for n in range(3)]
    answer = await get(server, f"{path(topic)}?since=earliest", {"Last-Event-ID": ids[0]})
    assert [r["id"] for r in answer.json()["records"]] == ids[1:], "the header comes first"
    answer = await get(server, f"{path(topic)}?since={ids[1]}", {"Last-Event-ID": ""})
    assert [r["id"] for r in answer.json()["records"]] == ids[2:], "an empty one is none"


async def test_a_batch_is_never_a_404(server: Server) -> None:
    for since in ("earliest", "now"):
        answer = await get(server, f"{path(unique())}?since={since}")
        assert answer.status == 200
        assert ID.fullmatch(answer.json()["cursor"])


async def test_since_now_then_on(server: Server) -> None:
    topic = unique()
    await publish(server, topic, "before")
    told = (await get(server, f"{path(topic)}?since=now")).json()
    assert told["records"] == []
    record_id = await publish(server, topic, "after")
    told = (await get(server, f"{path(topic)}?since={told['cursor']}")).json()
    assert [(r["id"], r["data"]) for r in told["records"]] == [(record_id, "after")]


@pytest.mark.parametrize(
    "since", ["", "x", "-5", "k-", "k-01", "K-1", "k-1-2", "k 1", "k-1x", f"{'k' * 17}-1"]
)
async def test_a_malformed_since(server: Server, since: str) -> None:
    answer = await get(server, f"{path(unique())}?since={quote(since)}")
    if since:
        problem(answer, 400)
    else:
        assert answer.status in (400, 404), "an empty since is none, or malformed"


async def test_limit_and_more(server: Server) -> None:
    topic = unique()
    ids = [await publish(server, topic, f"{n}") for n in range(7)]
    cursor, seen = "earliest", []
    for left in (4, 1, 0):
        told = (await get(server, f"{path(topic)}?since={cursor}&limit=3")).json()
        seen += [record["id"] for record in told["records"]]
        assert told["more"] is bool(left)
        assert len(seen) == len(ids) - left
        cursor = told["cursor"]
    assert seen == ids


async def test_limits_out_of_range_are_clamped(server: Server) -> None:
    topic = unique()
    lines = b"".join(b'{"topic": "%b", "data": %d}\n' % (topic.encode(), n) for n in range(1100))
    await ask(server, "POST", "/topics?ack=last", {"Content-Type": "application/x-ndjson"}, lines)
    for query, count in (("", 100), ("&limit=5000", 1000), ("&limit=0", 1), ("&limit=-3", 1)):
        told = (await get(server, f"{path(topic)}?since=earliest{query}")).json()
        assert (len(told["records"]), told["more"]) == (count, True)
        assert told["cursor"] == told["records"][-1]["id"]


async def test_several_topics_in_log_order(server: Server) -> None:
    one, two, other = unique(), unique(), unique()
    ids = []
    for n in range(6):
        ids.append(await publish(server, (one, two)[n % 2], f"{n}"))
        await publish(server, other, "not asked for")
    told = (await get(server, f"/topics?topic={one}&topic={two}&since=earliest")).json()
    assert [record["id"] for record in told["records"]] == ids
    assert [record["topic"] for record in told["records"]] == [one, two] * 3


async def test_patterns(server: Server) -> None:
    stem = unique()
    ids = {}
    for name in ("a", "b", "a/x", "a/x/deep"):
        ids[name] = await publish(server, f"{stem}/{name}", name)
    for pattern, names in {
        f"{stem}/*": ["a", "b"],
        f"{stem}/*/x": ["a/x"],
        f"{stem}/**": ["a", "b", "a/x", "a/x/deep"],
        f"{stem}/a/**": ["a/x", "a/x/deep"],
        f"*/a/x&topic={stem}/b": ["b", "a/x"],
    }.items():
        told = (await get(server, f"/topics?topic={pattern}&since=earliest&limit=1000")).json()
        mine = [r for r in told["records"] if r["topic"].startswith(f"{stem}/")]
        assert [record["id"] for record in mine] == [ids[name] for name in names], pattern
    told = (await get(server, f"/topics/{stem}/**?since=earliest")).json()
    assert [record["id"] for record in told["records"]] == list(ids.values())


async def test_a_pattern_without_since_is_each_topics_newest(server: Server) -> None:
    stem = unique()
    await publish(server, f"{stem}/stream", "old")
    value = await put(server, f"{stem}/state", "value")
    newest = await publish(server, f"{stem}/stream", "new")
    answer = await get(server, f"/topics/{stem}/*")
    told = answer.json()
    assert [(r["id"], r["data"]) for r in told["records"]] == [(value, "value"), (newest, "new")]
    assert ID.fullmatch(told["cursor"])
    assert answer["hexcast-way"] == "poll"
    later = await publish(server, f"{stem}/stream", "later")
    told = (await get(server, f"/topics/{stem}/*?since={told['cursor']}")).json()
    assert [record["id"] for record in told["records"]] == [later], "the cursor carries on"


async def test_a_state_in_a_batch_is_its_newest(server: Server) -> None:
    state, stream = unique(), unique()
    start = (await get(server, f"{path(state)}?since=now")).json()["cursor"]
    for n in range(3):
        await put(server, state, f"{n}")
    newest = await put(server, state, "newest")
    post = await publish(server, stream, "x")
    told = (await get(server, f"/topics?topic={state}&topic={stream}&since={start}")).json()
    assert [(r["id"], r["op"]) for r in told["records"]] == [(newest, "put"), (post, "post")]
    assert not told["gap"], "states have no gaps"


async def test_last_gives_the_newest_of_a_stream(server: Server) -> None:
    topic = unique()
    ids = [await publish(server, topic, f"{n}") for n in range(5)]
    told = (await get(server, f"{path(topic)}?since={ids[0]}&last=2")).json()
    assert [r["id"] for r in told["records"]] == ids[1:], "a cursor comes before last"


async def test_one_record_however_it_is_asked_for(server: Server) -> None:
    topic = unique()
    first = await publish(server, topic, "one")
    await publish(server, topic, "two")
    target = f"{path(topic)}?id={first}"
    plain = await get(server, target)
    for fields in ({"Prefer": "wait=9"}, {"Accept": "text/event-stream"}, {"Accept": "text/html"}):
        answer = await get(server, target, fields)
        assert (answer.status, answer.body, answer["etag"]) == (200, b"one", f'"{first}"')
        assert answer["cache-control"] == plain["cache-control"]
    assert (await get(server, target + "&wait=9")).body == b"one"


async def test_a_pattern_is_found_behind_much_that_was_superseded(server: Server) -> None:
    stem = unique()
    changes = [{"topic": f"{stem}/{n % 5}", "op": "put", "data": n} for n in range(12_000)]
    sent = "".join(json.dumps(change) + "\n" for change in changes)
    fields = {"Content-Type": "application/x-ndjson"}
    assert (await ask(server, "POST", "/topics?ack=last", fields, sent)).status == 200
    for query in ("", "?wait=9"):
        batch = (await get(server, f"/topics/{stem}/*{query}")).json()
        assert [r["data"] for r in batch["records"]] == list(range(11_995, 12_000))
        assert not batch["more"]
    page = await get(server, f"/topics/{stem}/*?way=refresh")
    assert all(str(n).encode() in page.body for n in range(11_995, 12_000))
    async with await Sse.open(server, f"/topics/{stem}/*") as sse:
        assert [(await sse.record()).json()["data"] for _ in range(5)] == list(
            range(11_995, 12_000)
        )
