"""Server-Sent Events (protocol 3)."""

from __future__ import annotations

import json
import re
import time

import pytest

from tests.support.harness import (
    Conn,
    Server,
    Sse,
    ask,
    get,
    path,
    problem,
    publish,
    put,
    request_bytes,
    unique,
)
from tests.support.wire import ID, seq

BINARY = {"Content-Type": "application/octet-stream"}


async def test_the_head(server: Server) -> None:
    async with await Sse.open(server, path(unique())) as sse:
        head = sse.head
    assert head.get("content-type").split(";")[0] == "text/event-stream"
    assert head.get("hexcast-way") == "sse"
    assert ID.fullmatch(head.get("hexcast-cursor"))
    assert {"no-store", "no-transform"} <= head.tokens("cache-control")
    assert head.get("x-accel-buffering") == "no"
    assert "etag" not in head
    assert "content-length" not in head


async def test_first_bytes_at_once_with_retry_and_a_cursor(server: Server) -> None:
    elsewhere = await publish(server, unique(), "x")
    began = time.monotonic()
    async with await Sse.open(server, path(unique())) as sse:
        event = await sse.event(seconds=2)
        assert time.monotonic() - began < 2
        assert event.event == "hexcast:cursor"
        assert event.id is not None and seq(event.id) >= seq(elsewhere)
        assert event.data
        assert sse.retry == 1000, "milliseconds; the default is a second"


async def test_no_cursor_at_the_start_when_a_record_is_sent(server: Server) -> None:
    topic = unique()
    record_id = await put(server, topic, "x")
    async with await Sse.open(server, path(topic)) as sse:
        event = await sse.event()
        assert (event.event, event.id, event.data) == (None, record_id, "x")
        assert sse.retry == 1000


async def test_retry_is_a_setting() -> None:
    with Server("--retry", "0.25") as quick:
        async with await Sse.open(quick, path(unique())) as sse:
            await sse.event()
            assert sse.retry == 250


async def test_a_stream_starts_from_now(server: Server) -> None:
    topic = unique()
    await publish(server, topic, "before")
    async with await Sse.open(server, path(topic)) as sse:
        for n in range(5):
            record_id = await publish(server, topic, f"{n}")
            event = await sse.record()
            assert (event.id, event.event, event.data) == (record_id, None, f"{n}")


async def test_a_state_starts_with_its_value(server: Server) -> None:
    topic = unique()
    await put(server, topic, "old")
    value = await put(server, topic, "value")
    async with await Sse.open(server, path(topic)) as sse:
        event = await sse.record()
        assert (event.id, event.data) == (value, "value")
        changed = await put(server, topic, "changed")
        event = await sse.record()
        assert (event.id, event.data) == (changed, "changed")


@pytest.mark.parametrize(("last", "count"), [(2, 2), (99, 5), (1, 1), (0, 0), (-1, 0)])
async def test_last(server: Server, last: int, count: int) -> None:
    topic = unique()
    ids = [await publish(server, topic, f"{n}") for n in range(5)]
    async with await Sse.open(server, f"{path(topic)}?last={last}") as sse:
        ids.append(await publish(server, topic, "live"))
        assert [(await sse.record()).id for _ in range(count + 1)] == ids[-count - 1 :]


async def test_last_of_several_topics_comes_in_log_order(server: Server) -> None:
    one, two, state = unique(), unique(), unique()
    await publish(server, one, "skipped")
    kept = [await publish(server, topic, "x") for topic in (two, one)]
    kept.append(await put(server, state, "value"))
    kept += [await publish(server, topic, "x") for topic in (two, one)]
    target = f"/topics?topic={one}&topic={two}&topic={state}&last=2"
    async with await Sse.open(server, target) as sse:
        assert [(await sse.record()).json()["id"] for _ in kept] == kept


async def test_last_event_id(server: Server) -> None:
    topic = unique()
    ids = [await publish(server, topic, f"{n}") for n in range(5)]
    async with await Sse.open(server, path(topic), {"Last-Event-ID": ids[1]}) as sse:
        assert [(await sse.record()).id for _ in ids[2:]] == ids[2:]


async def test_last_event_id_comes_before_since(server: Server) -> None:
    """EventSource keeps the URL when it reconnects: `since` is where the page began."""
    topic = unique()
    ids = [await publish(server, topic, f"{n}") for n in range(4)]
    target = f"{path(topic)}?since=earliest"
    async with await Sse.open(server, target, {"Last-Event-ID": ids[2]}) as sse:
        assert (await sse.record()).id == ids[3]
    async with await Sse.open(server, target, {"Last-Event-ID": ""}) as sse:
        assert (await sse.record()).id == ids[0]


async def test_a_cursor_event_is_a_cursor(server: Server) -> None:
    topic = unique()
    async with await Sse.open(server, path(topic)) as sse:
        cursor = (await sse.event()).id
    assert cursor
    missed = await publish(server, topic, "missed")
    async with await Sse.open(server, path(topic), {"Last-Event-ID": cursor}) as sse:
        assert (await sse.record()).id == missed


async def test_the_cursor_of_the_head_is_where_it_begins(server: Server) -> None:
    topic = unique()
    ids = [await publish(server, topic, f"{n}") for n in range(3)]
    async with await Sse.open(server, f"{path(topic)}?since={ids[0]}") as sse:
        begin = sse.head.get("hexcast-cursor")
    assert seq(begin) < seq(ids[1]), "a client cut right after the head comes back with it"
    async with await Sse.open(server, f"{path(topic)}?since={begin}") as sse:
        assert (await sse.record()).id == ids[1]


async def test_event_names(server: Server) -> None:
    topic = unique()
    async with await Sse.open(server, path(topic)) as sse:
        await publish(server, topic, "x", query="?event=tick")
        assert (await sse.record()).event == "tick"


@pytest.mark.parametrize(
    "data",
    ["one line", "two\nlines", "\n", "\n\n", "", " leading space", "trailing\n", ": colon", "id: 7",
     "data: x", "\u2028 \u0085 \u00e9 \U0001f40d", "nul \x00 in it", "\ufeffbom"],
)  # fmt: skip
async def test_text_arrives_as_it_was(server: Server, data: str) -> None:
    topic = unique()
    record_id = await publish(server, topic, data)
    async with await Sse.open(server, f"{path(topic)}?since=earliest") as sse:
        event = await sse.record()
    if data == "":
        assert event.id == record_id
        assert event.data == "" or event.event == "hexcast:record"
    else:
        assert (event.id, event.event, event.data) == (record_id, None, data)


@pytest.mark.parametrize(
    ("body", "data"),
    [
        (b"a\rb", "a\rb"),
        (b"a\r\nb", "a\r\nb"),
        (b"\xff\xfe", {"base64": "//4="}),
        (b"\xed\xa0\x80", {"base64": "7aCA"}),
    ],
)
async def test_what_raw_cannot_carry_comes_in_json(
    server: Server, body: bytes, data: object
) -> None:
    topic = unique()
    record_id = await publish(server, topic, body, fields={"Content-Type": "text/plain"})
    async with await Sse.open(server, f"{path(topic)}?since=earliest") as sse:
        event = await sse.record()
        assert (event.id, event.event) == (record_id, "hexcast:record")
        record = event.json()
        assert (record["id"], record["topic"], record["data"]) == (record_id, topic, data)
        plain = await publish(server, topic, "plain")
        event = await sse.record()
        assert (event.id, event.event, event.data) == (plain, None, "plain")


async def test_octets_that_are_text_come_raw(server: Server) -> None:
    topic = unique()
    await publish(server, topic, b"words", fields=BINARY)
    async with await Sse.open(server, f"{path(topic)}?since=earliest") as sse:
        event = await sse.record()
    assert (event.event, event.data) == (None, "words")


async def test_a_delete(server: Server) -> None:
    topic = unique()
    async with await Sse.open(server, path(topic)) as sse:
        await put(server, topic, "x")
        assert (await sse.record()).data == "x"
        gone = (await ask(server, "DELETE", path(topic))).json()["id"]
        event = await sse.record()
        assert (event.id, event.event) == (gone, "hexcast:delete")
        assert event.json()["topic"] == topic
        record_id = await publish(server, topic, "again, a stream")
        event = await sse.record()
        assert (event.id, event.data) == (record_id, "again, a stream")


async def test_a_delete_missed_is_told_later(server: Server) -> None:
    """Or a returning client would show a deleted value for ever."""
    topic = unique()
    value = await put(server, topic, "x")
    gone = (await ask(server, "DELETE", path(topic))).json()["id"]
    async with await Sse.open(server, path(topic), {"Last-Event-ID": value}) as sse:
        event = await sse.record()
        assert (event.event, event.id) == ("hexcast:delete", gone)


async def test_json_format_is_plain_messages(server: Server) -> None:
    topic = unique()
    async with await Sse.open(server, f"{path(topic)}?format=json") as sse:
        record_id = await publish(server, topic, "a\r\nb", query="?event=tick")
        event = await sse.record()
        assert (event.id, event.event) == (record_id, None)
        record = event.json()
        assert (record["id"], record["data"], record["event"]) == (record_id, "a\r\nb", "tick")


async def test_a_pattern_is_json(server: Server) -> None:
    stem = unique()
    async with await Sse.open(server, f"/topics/{stem}/*") as sse:
        first = await put(server, f"{stem}/a", "1")
        second = await publish(server, f"{stem}/b", "2")
        await publish(server, f"{stem}/b/deeper", "no")
        third = await put(server, f"{stem}/a", "3")
        seen = [await sse.record() for _ in range(3)]
    assert [event.id for event in seen] == [first, second, third]
    assert [event.json()["topic"] for event in seen] == [f"{stem}/{n}" for n in "aba"]
    assert all(event.event is None for event in seen)


async def test_overlapping_selectors_deliver_once(server: Server) -> None:
    stem = unique()
    target = f"/topics?topic={stem}/a&topic={stem}/*&topic={stem}/**&topic={stem}/a"
    async with await Sse.open(server, target) as sse:
        ids = [await publish(server, f"{stem}/a", f"{n}") for n in range(3)]
        assert [(await sse.record()).id for _ in ids] == ids


async def test_nothing_falls_between_replay_and_live(server: Server) -> None:
    """Records published while the client is starting come once each, in order."""
    topic = unique()
    ids = [await publish(server, topic, f"{n}") for n in range(3)]
    for _ in range(20):
        conn = await Conn.open(server)
        sse = Sse(conn, None)  # type: ignore[arg-type]  # its head is read below
        async with sse:
            fields = {"Accept": "text/event-stream", "Last-Event-ID": ids[0]}
            conn.write(request_bytes(server, "GET", path(topic), fields))
            ids.append(await publish(server, topic, f"{len(ids)}"))
            sse.head = await conn.head()
            ids.append(await publish(server, topic, f"{len(ids)}"))
            assert [(await sse.record()).id for _ in ids[1:]] == ids[1:]


async def test_bad_requests_are_told_in_http(server: Server) -> None:
    fields = {"Accept": "text/event-stream"}
    problem(await get(server, f"{path(unique())}?since=what", fields), 400)
    problem(await get(server, "/topics/a*b", fields), 400)


async def test_a_post_with_the_event_stream_type_is_a_publish(server: Server) -> None:
    topic = unique()
    answer = await ask(server, "POST", path(topic), {"Accept": "text/event-stream"}, "x")
    assert answer.status == 201


async def test_a_big_record(server: Server) -> None:
    topic = unique()
    text = "\n".join(f"{n} " + "x" * 100 for n in range(8000))
    record_id = await publish(server, topic, text)
    async with await Sse.open(server, f"{path(topic)}?since=earliest") as sse:
        event = await sse.record()
    assert event.id == record_id
    assert event.data == text


async def test_many_records_after_one_another(server: Server) -> None:
    topic = unique()
    async with await Sse.open(server, path(topic)) as sse:
        lines = b"".join(
            json.dumps({"topic": topic, "data": f"{n}"}).encode() + b"\n" for n in range(3000)
        )
        fields = {"Content-Type": "application/x-ndjson"}
        await ask(server, "POST", "/topics?ack=last", fields, lines, seconds=20)
        seen = [await sse.record() for _ in range(3000)]
    assert [event.data for event in seen] == [f"{n}" for n in range(3000)]
    ids = [seq(event.id or "") for event in seen]
    assert ids == sorted(set(ids))


async def test_nothing_is_sent_after_the_blank_line(server: Server) -> None:
    """Blocks are whole: what is in the stream can be split at blank lines, and nothing is left."""
    topic = unique()
    async with await Conn.open(server) as conn:
        await conn.send(request_bytes(server, "GET", f"{path(topic)}?way=sse"))
        await conn.head()
        await publish(server, topic, "x\ny")
        data = b""
        while b"data: y\n" not in data:  # an epoch may begin with that letter
            data += await conn.content()
    assert data.endswith(b"\n\n")
    assert re.search(rb"^data: ?x\ndata: ?y$", data, re.M)


@pytest.mark.parametrize("name", ["lastEventId", "last-event-id", "Last-Event-ID"])
async def test_a_polyfill_resumes_by_the_query(server: Server, name: str) -> None:
    topic = unique()
    first = await publish(server, topic, "one")
    for text in ("two", "three", "four"):
        await publish(server, topic, text)
    async with await Sse.open(server, f"{path(topic)}?{name}={first}") as sse:
        assert [(await sse.event()).data for _ in range(3)] == ["two", "three", "four"]


async def test_the_stream_names_its_charset(server: Server) -> None:
    async with await Sse.open(server, path(unique())) as sse:
        assert sse.head.get("content-type") == "text/event-stream; charset=utf-8"
