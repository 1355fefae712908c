"""Single publishes and reads, against the real server."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from hexcast.client.client import Client
from hexcast.client.errors import ConnectionFailed, ProtocolError, Refused

from .servers import CuttingProxy, ScriptedServer, answer


@pytest.mark.parametrize(
    "data",
    [b"\x00\xff", "é\n\r\n", "", {"a": [1, None, "x"]}, [], 1.5, None, True, {"base64": "AAA="}],
)
async def test_what_is_published_is_read(client: Client, topic: str, data: Any) -> None:
    published = await client.publish(topic, data, op="put")
    record = await client.get(topic)
    assert record is not None
    assert (record.id, record.topic, record.op) == (published.id, topic, "put")
    assert record.data == data
    assert type(record.data) is type(data)


async def test_a_stream_gives_its_newest(client: Client, topic: str) -> None:
    first = await client.publish(topic, "a")
    second = await client.publish(topic, "b", event="flash", type="text/markdown", end=True)
    assert (first.topic, first.changed, second.changed) == (topic, True, True)
    record = await client.get(topic)
    assert record is not None
    assert (record.id, record.data, record.op) == (second.id, "b", "post")
    assert (record.event, record.type, record.end) == ("flash", "text/markdown", True)
    assert record.time is not None


async def test_nothing_there_is_none(client: Client, topic: str) -> None:
    assert await client.get(topic) is None


async def test_a_topic_of_any_characters(client: Client) -> None:
    topic = "a b/ü?#&%2F+=/☃"
    await client.publish(topic, 1, op="put")
    record = await client.get(topic)
    assert record is not None
    assert (record.topic, record.data) == (topic, 1)


async def test_the_same_value_changes_nothing(client: Client, topic: str) -> None:
    first = await client.publish(topic, 1, op="put")
    again = await client.publish(topic, 1, op="put")
    assert (again.id, again.changed) == (first.id, False)


async def test_if_match(client: Client, topic: str) -> None:
    first = await client.publish(topic, 1, op="put")
    second = await client.publish(topic, 2, op="put", if_match=first.id)
    with pytest.raises(Refused) as refused:
        await client.publish(topic, 3, op="put", if_match=first.id)
    assert refused.value.status == 412
    assert refused.value.current == second.id
    assert (await client.publish(topic, 3, op="put", if_match="*")).changed


async def test_a_key_publishes_once(client: Client, topic: str) -> None:
    first = await client.publish(topic, "a", key="k1")
    again = await client.publish(topic, "a", key="k1")
    assert again.id == first.id
    with pytest.raises(Refused) as refused:
        await client.publish(topic, "b", key="k1")
    assert refused.value.status == 422


async def test_delete(client: Client, topic: str) -> None:
    await client.publish(topic, 1, op="put")
    await client.publish(topic, op="delete")
    assert await client.get(topic) is None
    with pytest.raises(Refused, match="delete") as refused:
        await client.publish(topic, op="delete")
    assert refused.value.status == 404


async def test_the_wrong_kind_is_told_in_one_line(client: Client, topic: str) -> None:
    await client.publish(topic, 1, op="put")
    with pytest.raises(Refused, match=r"^Conflict: .*state") as refused:
        await client.publish(topic, 1)
    assert refused.value.status == 409


async def test_no_topic_is_sent_nowhere(client: Client) -> None:
    for topic in ("", "a//b", "a/*"):
        with pytest.raises(ValueError, match=r"topic|segment"):
            await client.publish(topic, 1)
        with pytest.raises(ValueError, match=r"topic|segment"):
            await client.get(topic)


async def test_no_server() -> None:
    listener = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    listener.close()
    await listener.wait_closed()
    async with Client(f"http://127.0.0.1:{port}") as client:
        with pytest.raises(ConnectionFailed, match="Connection refused") as failed:
            await client.publish("t", 1)
        assert not failed.value.reached
        with pytest.raises(ConnectionFailed):
            await client.get("t")


async def test_a_lost_answer_does_not_publish_twice(
    client: Client, proxy: CuttingProxy, topic: str
) -> None:
    """The request gets through, the answer does not: the second try repeats it by its key."""
    proxy.swallow = True
    async with Client(proxy.url) as behind:
        publishing = asyncio.create_task(behind.publish(topic, "once"))
        async with client.subscribe(topic, since="earliest") as items:
            await anext(items)
        proxy.swallow = False
        proxy.cut()
        published = await publishing
    records = []
    async with client.subscribe(topic, since="earliest", way="poll", every=0.01) as items:
        await client.publish(topic, "after")
        async for item in items:
            records.append(item)
            if len(records) == 2:
                break
    assert [(r.id == published.id, r.data) for r in records] == [(True, "once"), (False, "after")]


async def test_a_passing_fault_is_tried_again_with_the_same_key() -> None:
    keys: list[str] = []
    problem = b'{"status": 503, "title": "Service Unavailable"}'

    async def script(target: str, headers: dict[str, str], body: bytes) -> bytes:
        keys.append(headers["idempotency-key"])
        if len(keys) == 1:
            return answer(503, problem, "application/problem+json", retry_after="0")
        if len(keys) == 2:
            return answer(409, b"{}")  # in hand still
        return answer(201, b'{"id":"k-1","topic":"t","changed":true}')

    async with ScriptedServer(script).running() as fake, Client(fake.url, "secret") as client:
        assert (await client.publish("t", 1)).id == "k-1"
    assert len(keys) == 3
    assert len(set(keys)) == 1


async def test_what_is_no_hexcast_is_told() -> None:
    async def script(target: str, headers: dict[str, str], body: bytes) -> bytes:
        return answer(200, b"<html>", "text/html")

    async with ScriptedServer(script).running() as fake, Client(fake.url) as client:
        with pytest.raises(ProtocolError):
            await client.publish("t", 1)
        with pytest.raises(ProtocolError):
            await client.get("t")


async def test_the_token_and_the_query_are_sent() -> None:
    seen: dict[str, str] = {}

    async def script(target: str, headers: dict[str, str], body: bytes) -> bytes:
        seen.update(headers, target=target, body=body.decode())
        return answer(200, b'{"id":"k-1","topic":"t","changed":false}')

    async with (
        ScriptedServer(script).running() as fake,
        Client(fake.url + "/live/", "s3") as client,
    ):
        await client.publish("t", "x", op="put", event="a b", end=True, if_match="k-0", key="K")
    assert seen["target"] == "/live/topics/t?event=a+b&end=1"
    assert seen["authorization"] == "Bearer s3"
    assert seen["if-match"] == '"k-0"'
    assert seen["idempotency-key"] == "K"
    assert seen["content-type"] == "text/plain; charset=utf-8"
    assert seen["body"] == "x"
