"""Publishing (protocol 2): POST, PUT, DELETE, kinds, content types, event names, `end`."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest

from tests.support.harness import Server, Sse, Ws, ask, get, path, problem, publish, put, unique
from tests.support.wire import ID, seq

TEXT = {"Content-Type": "text/plain; charset=utf-8"}


async def test_post_appends_to_a_stream(server: Server) -> None:
    topic = unique("chat/room")
    answer = await ask(server, "POST", path(topic), TEXT, "hello")
    assert answer.status == 201
    told = answer.json()
    assert ID.fullmatch(told["id"])
    assert told == {"id": told["id"], "topic": topic, "changed": True}
    assert answer["content-type"].split(";")[0] == "application/json"
    assert answer["etag"] == f'"{told["id"]}"'
    assert answer["location"] == f"{path(topic)}?id={told['id']}"
    again = await ask(server, "POST", path(topic), TEXT, "hello")
    assert again.status == 201, "the same bytes again are another record of a stream"
    assert seq(again.json()["id"]) > seq(told["id"])
    record = await get(server, again["location"])
    assert (record.status, record.body) == (200, b"hello")


async def test_put_sets_a_state(server: Server) -> None:
    topic = unique("price")
    first = await ask(server, "PUT", path(topic), TEXT, "1")
    assert first.status == 201
    assert first["location"] == f"{path(topic)}?id={first.json()['id']}"
    second = await ask(server, "PUT", path(topic), TEXT, "2")
    assert second.status == 200
    assert "location" not in second
    assert second.json()["changed"] is True
    assert seq(second.json()["id"]) > seq(first.json()["id"])


async def test_put_of_the_same_changes_nothing_and_sends_nothing(server: Server) -> None:
    topic = unique()
    first = await put(server, topic, "same")
    async with await Sse.open(server, path(topic)) as sse:
        assert (await sse.record()).id == first
        again = await ask(server, "PUT", path(topic), TEXT, "same")
        assert again.status == 200
        assert again.json() == {"id": first, "topic": topic, "changed": False}
        assert again["etag"] == f'"{first}"'
        other = await put(server, topic, "other")
        event = await sse.record()
        assert (event.id, event.data) == (other, "other"), "the repeat must not have been sent"


async def test_put_of_the_same_bytes_as_another_type_is_a_change(server: Server) -> None:
    topic = unique()
    first = await put(server, topic, "1")
    second = await ask(server, "PUT", path(topic), {"Content-Type": "application/json"}, "1")
    assert second.json()["changed"] is True
    assert seq(second.json()["id"]) > seq(first)
    assert (await get(server, path(topic)))["content-type"] == "application/json"


async def test_an_acknowledged_record_is_there_at_once(server: Server) -> None:
    for number in range(30):
        topic = unique()
        record_id = await put(server, topic, str(number))
        answer = await get(server, path(topic))
        assert (answer.body, answer["etag"]) == (str(number).encode(), f'"{record_id}"')


async def test_ids_rise_over_all_topics(server: Server) -> None:
    ids = []
    for number in range(20):
        method = ("POST", "PUT")[number % 2]
        ids.append(await publish(server, unique(), "x", method=method))
    assert len({i.rpartition("-")[0] for i in ids}) == 1, "one epoch"
    assert [seq(i) for i in ids] == sorted({seq(i) for i in ids})


async def test_delete_ends_a_topic_and_frees_its_kind(server: Server) -> None:
    topic = unique()
    first = await publish(server, topic, "a")
    gone = await ask(server, "DELETE", path(topic))
    assert gone.status == 200
    told = gone.json()
    assert (told["topic"], told["changed"]) == (topic, True)
    assert seq(told["id"]) > seq(first)
    problem(await get(server, path(topic)), 404)
    problem(await get(server, f"{path(topic)}?id={first}"), 404)
    problem(await ask(server, "DELETE", path(topic)), 404)
    begun = await ask(server, "PUT", path(topic), TEXT, "now a state")
    assert begun.status == 201
    assert (await ask(server, "DELETE", path(topic))).status == 200
    assert (await ask(server, "POST", path(topic), TEXT, "a stream")).status == 201


async def test_delete_of_what_never_was(server: Server) -> None:
    problem(await ask(server, "DELETE", path(unique())), 404)


async def test_the_wrong_verb_names_the_kind(server: Server) -> None:
    stream, state = unique(), unique()
    await publish(server, stream, "a")
    await put(server, state, "a")
    told = problem(await ask(server, "PUT", path(stream), TEXT, "b"), 409)
    assert "stream" in (told["title"] + told["detail"]).lower()
    told = problem(await ask(server, "POST", path(state), TEXT, "b"), 409)
    assert "state" in (told["title"] + told["detail"]).lower()
    assert (await get(server, path(stream))).body == b"a"
    assert (await get(server, path(state))).body == b"a"


@pytest.mark.parametrize(
    ("declared", "body", "kept"),
    [
        (None, b'{"a": 1}', "application/json"),
        (None, b"12", "application/json"),
        (None, b'"text"', "application/json"),
        (None, b"plain words", "text/plain; charset=utf-8"),
        (None, "gr\u00fcn".encode(), "text/plain; charset=utf-8"),
        (None, b"\xff\xfe\x00", "application/octet-stream"),
        ("application/x-www-form-urlencoded", b'{"a": 1}', "application/json"),
        ("application/x-www-form-urlencoded", b"a=1&b=2", "text/plain; charset=utf-8"),
        ("application/x-www-form-urlencoded", b"\x80", "application/octet-stream"),
        ("multipart/form-data; boundary=x", b"words", "text/plain; charset=utf-8"),
        ("image/png", b"\x89PNG\r\n", "image/png"),
        ("text/html; charset=utf-8", b"<b>x</b>", "text/html; charset=utf-8"),
        ("application/json", b'{"a":   1.50, "a": 2}', "application/json"),
    ],
)
@pytest.mark.parametrize("method", ["PUT", "POST"])
async def test_content_types(
    server: Server, method: str, declared: str | None, body: bytes, kept: str
) -> None:
    topic = unique()
    fields = {"Content-Type": declared} if declared else {}
    assert (await ask(server, method, path(topic), fields, body)).status == 201
    value = await get(server, path(topic))
    assert value.body == body, "exactly the bytes that were published"
    assert value["content-type"].replace(" ", "") == kept.replace(" ", "")


async def test_an_empty_value_is_a_value(server: Server) -> None:
    topic = unique()
    assert (await ask(server, "PUT", path(topic), TEXT, b"")).status == 201
    answer = await get(server, path(topic))
    assert (answer.status, answer.body) == (200, b"")


async def test_invalid_json_under_a_json_type_is_refused_or_kept_as_it_is(server: Server) -> None:
    """Never an error inside, and never a json record that is not JSON."""
    topic = unique()
    fields = {"Content-Type": "application/json"}
    answer = await ask(server, "POST", path(topic), fields, b"{not json")
    if answer.status == 201:
        batch = (await get(server, f"/topics?topic={topic}&since=earliest")).json()
        assert batch["records"][0]["data"] == "{not json"
    else:
        problem(answer, 400)


@pytest.mark.parametrize("name", ["a", "x" * 64, "caf\u00e9", "two words", "hexcast"])
async def test_event_names(server: Server, name: str) -> None:
    topic = unique()
    await publish(server, topic, "x", query=f"?event={quote(name)}")
    async with await Sse.open(server, f"{path(topic)}?since=earliest") as sse:
        event = await sse.record()
    assert (event.event, event.data) == (name, "x")


@pytest.mark.parametrize(
    "name",
    ["", "x" * 65, "%C3%A9" * 33, "hexcast:gap", "hexcast:", "open", "error", "a%0Ab", "a%0Db",
     "a%00b", "%FF", "%7F"],
)  # fmt: skip
async def test_bad_event_names_publish_nothing(server: Server, name: str) -> None:
    topic = unique()
    problem(await ask(server, "POST", f"{path(topic)}?event={name}", TEXT, "x"), 400)
    problem(await get(server, path(topic)), 404)


async def test_events_on_a_state(server: Server) -> None:
    topic = unique()
    await put(server, topic, "x", query="?event=tick")
    async with await Sse.open(server, path(topic)) as sse:
        assert (await sse.record()).event == "tick"


async def test_end_ends_the_streams_of_that_topic(server: Server) -> None:
    topic = unique()
    await publish(server, topic, "one")
    async with (
        await Sse.open(server, f"{path(topic)}?last=1") as sse,
        await Ws.open(server, f"{path(topic)}?last=1") as ws,
    ):
        assert (await sse.record()).data == "one"
        assert await ws.message() == "one"
        last = await publish(server, topic, "two", query="?end=1")
        event = await sse.record()
        assert (event.id, event.data) == (last, "two")
        await sse.end()
        assert await ws.message() == "two"
        assert await ws.closed() == 1000
    fields = {"Accept": "text/event-stream", "Last-Event-ID": last}
    answer = await get(server, path(topic), fields)
    assert (answer.status, answer.body) == (204, b""), "so that EventSource stops"


async def test_a_publish_after_the_end_begins_again(server: Server) -> None:
    topic = unique()
    last = await publish(server, topic, "two", query="?end=1")
    again = await publish(server, topic, "three")
    async with await Sse.open(server, path(topic), {"Last-Event-ID": last}) as sse:
        event = await sse.record()
        assert (event.id, event.data) == (again, "three")
        fourth = await publish(server, topic, "four")
        assert (await sse.record()).id == fourth


async def test_a_replay_runs_past_an_end_that_was_followed(server: Server) -> None:
    topic = unique()
    await publish(server, topic, "1")
    await publish(server, topic, "2", query="?end=1")
    await publish(server, topic, "3")
    async with await Sse.open(server, f"{path(topic)}?since=earliest") as sse:
        seen = []
        while len(seen) < 2:
            seen.append((await sse.record()).data)
    assert seen == ["1", "2"], "whether or not the stream ends there, nothing is out of order"


async def test_end_of_a_state(server: Server) -> None:
    topic = unique()
    await put(server, topic, "50 %")
    async with await Sse.open(server, path(topic)) as sse:
        assert (await sse.record()).data == "50 %"
        await put(server, topic, "done", query="?end=1")
        assert (await sse.record()).data == "done"
        await sse.end()


async def test_one_topics_end_does_not_end_a_pattern_while_others_live(server: Server) -> None:
    stem = unique()
    await publish(server, f"{stem}/a", "a1")
    await publish(server, f"{stem}/b", "b1")
    async with await Sse.open(server, f"/topics/{stem}/*?since=earliest") as sse:
        assert [(await sse.record()).json()["data"] for _ in range(2)] == ["a1", "b1"]
        await publish(server, f"{stem}/a", "a2", query="?end=1")
        await publish(server, f"{stem}/b", "b2")
        seen = [(await sse.record()).json() for _ in range(2)]
    assert [record["data"] for record in seen] == ["a2", "b2"]
    assert seen[0]["end"] is True
    assert "end" not in seen[1]


async def test_publishing_to_a_pattern_or_a_reserved_topic(server: Server) -> None:
    for target in ("/topics/a/*", "/topics/**", "/topics/a%2A"):
        problem(await ask(server, "PUT", target, TEXT, "x"), 400)
    answer = await ask(server, "PUT", "/topics/$SYS/x", TEXT, "x")
    assert answer.status in (400, 403), "a first segment that begins with $ is reserved"
    problem(answer, answer.status)


async def test_a_body_over_the_limit_publishes_nothing() -> None:
    with Server("--body-limit", "1000") as small:
        topic = unique()
        assert (await ask(small, "PUT", path(topic), TEXT, b"x" * 1000)).status == 201
        problem(await ask(small, "PUT", path(topic), TEXT, b"y" * 1001), 413)
        assert (await get(small, path(topic))).body == b"x" * 1000


async def test_a_body_of_a_mebibyte_passes_by_default(server: Server) -> None:
    topic = unique()
    body = json.dumps("x" * (2**20 - 2)).encode()
    assert len(body) == 2**20
    assert (await ask(server, "PUT", path(topic), {}, body)).status == 201
    assert (await get(server, path(topic))).body == body
    problem(await ask(server, "PUT", path(topic), {}, body + b" "), 413)
