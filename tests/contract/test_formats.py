"""Formats (protocol 3): raw and json."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.harness import Server, Sse, ask, get, path, publish, put, unique
from tests.support.wire import TIME


async def newest(server: Server, topic: str) -> dict[str, Any]:
    (record,) = (await get(server, f"/topics?topic={topic}")).json()["records"]
    return dict(record)


async def test_the_members_of_a_record(server: Server) -> None:
    topic = unique()
    before = datetime.now(UTC) - timedelta(milliseconds=2)
    record_id = await publish(server, topic, "x", query="?event=tick")
    record = await newest(server, topic)
    time = record.pop("time")
    assert record == {
        "id": record_id,
        "topic": topic,
        "op": "post",
        "event": "tick",
        "type": "text/plain; charset=utf-8",
        "data": "x",
    }
    assert TIME.fullmatch(time), "RFC 3339, UTC, milliseconds"
    assert before <= datetime.fromisoformat(time) <= datetime.now(UTC) + timedelta(milliseconds=2)


async def test_empty_members_are_left_out(server: Server) -> None:
    topic = unique()
    await publish(server, topic, "x")
    assert set(await newest(server, topic)) == {"id", "topic", "op", "type", "time", "data"}


async def test_end_in_json(server: Server) -> None:
    topic = unique()
    await publish(server, topic, "x", query="?end=1")
    assert (await newest(server, topic))["end"] is True


@pytest.mark.parametrize(
    ("body", "kind", "data"),
    [
        (b'{"a": [1, 2.5, null, true]}', "application/json", {"a": [1, 2.5, None, True]}),
        (b"null", "application/json", None),
        (b"false", "application/json", False),
        (b'""', "application/json", ""),
        (b'{"a": 1}', "application/vnd.thing+json", {"a": 1}),
        (b'{"a": 1}', "text/plain", '{"a": 1}'),
        (
            "gr\u00fcn \U0001f40d \u2028".encode(),
            "text/plain; charset=utf-8",
            "gr\u00fcn \U0001f40d \u2028",
        ),
        (b"<svg/>", "image/svg+xml", "<svg/>"),
        (b"\x00\x01 text after all", "application/octet-stream", "\x00\x01 text after all"),
        (
            b"\xff\xfe",
            "application/octet-stream",
            {"base64": base64.b64encode(b"\xff\xfe").decode()},
        ),
        (b"\xe4", "text/plain; charset=latin-1", {"base64": "5A=="}),
    ],
)
async def test_data(server: Server, body: bytes, kind: str, data: object) -> None:
    topic = unique()
    await put(server, topic, body, fields={"Content-Type": kind})
    record = await newest(server, topic)
    assert "data" in record, "null is a value, not an empty member"
    assert record["data"] == data
    assert record["type"] == kind


async def test_numbers_keep_their_text(server: Server) -> None:
    topic = unique()
    text = b'{"n": 1.50, "big": 12345678901234567890123, "e": 1E400, "neg": -0.0}'
    await put(server, topic, text, fields={"Content-Type": "application/json"})
    assert (await get(server, path(topic))).body == text
    body = (await get(server, f"/topics?topic={topic}")).body
    for number in (b"1.50", b"12345678901234567890123", b"1E400", b"-0.0"):
        assert number in body


async def test_a_states_change_is_a_put(server: Server) -> None:
    topic = unique()
    await put(server, topic, "1")
    await put(server, topic, "2")
    record = await newest(server, topic)
    assert (record["op"], record["data"]) == ("put", "2")


async def test_format_on_one_topic(server: Server) -> None:
    topic = unique()
    record_id = await put(server, topic, "x")
    answer = await get(server, f"{path(topic)}?format=json")
    assert answer["content-type"].split(";")[0] == "application/json"
    record = answer.json()
    assert (record["id"], record["topic"], record["data"]) == (record_id, topic, "x")
    assert (await get(server, f"{path(topic)}?format=raw")).body == b"x"


async def test_an_unknown_format(server: Server) -> None:
    assert (await get(server, f"{path(unique())}?format=xml")).status == 400


async def test_raw_over_several_topics(server: Server) -> None:
    one, two = unique(), unique()
    async with await Sse.open(server, f"/topics?topic={one}&topic={two}&format=raw") as sse:
        first = await publish(server, one, "1")
        second = await publish(server, two, "2", query="?event=tick")
        seen = [await sse.record(), await sse.record()]
    assert [(e.id, e.event, e.data) for e in seen] == [(first, None, "1"), (second, "tick", "2")]


async def test_topics_with_one_topic_is_json(server: Server) -> None:
    topic = unique()
    async with await Sse.open(server, f"/topics?topic={topic}") as sse:
        await publish(server, topic, "x")
        assert (await sse.record()).json()["data"] == "x"


async def test_a_batch_line_without_data_in_a_delete(server: Server) -> None:
    topic = unique()
    start = await put(server, topic, "x")
    gone = (await ask(server, "DELETE", path(topic))).json()["id"]
    (record,) = (await get(server, f"{path(topic)}?since={start}")).json()["records"]
    assert (record["id"], record["op"], record["topic"]) == (gone, "delete", topic)
    assert "data" not in record and "type" not in record and "event" not in record
