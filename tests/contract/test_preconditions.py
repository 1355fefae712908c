"""Publishing only if nothing moved, and only once (protocol 2): If-Match, If-None-Match, keys."""

from __future__ import annotations

import pytest

from tests.support.harness import Server, ask, get, path, problem, publish, put, unique
from tests.support.wire import seq

TEXT = {"Content-Type": "text/plain; charset=utf-8"}


@pytest.mark.parametrize("form", ['"{}"', 'W/"{}"', '"{}~gzip"', '"nope-1", "{}"', "*"])
async def test_if_match_that_matches(server: Server, form: str) -> None:
    topic = unique()
    first = await put(server, topic, "1")
    fields = {**TEXT, "If-Match": form.format(first)}
    answer = await ask(server, "PUT", path(topic), fields, "2")
    assert answer.status == 200
    assert (await get(server, path(topic))).body == b"2"


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
async def test_if_match_when_the_topic_has_moved_on(server: Server, method: str) -> None:
    topic = unique()
    first = await put(server, topic, "1")
    second = await put(server, topic, "2")
    body = "3" if method == "PUT" else None
    answer = await ask(server, method, path(topic), {**TEXT, "If-Match": f'"{first}"'}, body)
    problem(answer, 412)
    assert answer["etag"] == f'"{second}"'
    assert (await get(server, path(topic))).body == b"2"


async def test_if_match_on_a_stream(server: Server) -> None:
    topic = unique()
    first = await publish(server, topic, "1")
    fields = {**TEXT, "If-Match": f'"{first}"'}
    second = await ask(server, "POST", path(topic), fields, "2")
    assert second.status == 201
    third = await ask(server, "POST", path(topic), fields, "3")
    problem(third, 412)
    assert third["etag"] == second["etag"]


@pytest.mark.parametrize("form", ["*", '"k-1"'])
async def test_if_match_on_nothing(server: Server, form: str) -> None:
    topic = unique()
    problem(await ask(server, "PUT", path(topic), {**TEXT, "If-Match": form}, "1"), 412)
    problem(await get(server, path(topic)), 404)


@pytest.mark.parametrize("method", ["PUT", "POST"])
async def test_if_none_match_star_begins_only(server: Server, method: str) -> None:
    topic = unique()
    fields = {**TEXT, "If-None-Match": "*"}
    first = await ask(server, method, path(topic), fields, "1")
    assert first.status == 201
    second = await ask(server, method, path(topic), fields, "2")
    problem(second, 412)
    assert second["etag"] == first["etag"]
    assert (await ask(server, "DELETE", path(topic))).status == 200
    assert (await ask(server, method, path(topic), fields, "3")).status == 201


async def test_a_repeated_key_answers_as_the_first_did(server: Server) -> None:
    topic = unique()
    fields = {**TEXT, "Idempotency-Key": "k-1"}
    first = await ask(server, "POST", path(topic), fields, "once")
    again = await ask(server, "POST", path(topic), fields, "once")
    assert first.status == again.status == 201
    assert first.json() == again.json()
    for name in ("etag", "location", "content-type"):
        assert first[name] == again[name]
    batch = (await get(server, f"{path(topic)}?since=earliest")).json()
    assert [record["data"] for record in batch["records"]] == ["once"]


async def test_a_repeated_key_after_the_state_has_moved_on(server: Server) -> None:
    topic = unique()
    fields = {**TEXT, "Idempotency-Key": "k"}
    first = await ask(server, "PUT", path(topic), fields, "1")
    await put(server, topic, "2")
    again = await ask(server, "PUT", path(topic), fields, "1")
    assert (again.status, again.json()) == (first.status, first.json())
    assert (await get(server, path(topic))).body == b"2", "a retry must not undo what came after"


async def test_a_repeated_key_with_a_precondition_that_no_longer_holds(server: Server) -> None:
    """The repeat answers as the first did, though its If-Match would now fail."""
    topic = unique()
    before = await put(server, topic, "0")
    fields = {**TEXT, "Idempotency-Key": "k", "If-Match": f'"{before}"'}
    first = await ask(server, "PUT", path(topic), fields, "1")
    again = await ask(server, "PUT", path(topic), fields, "1")
    assert (first.status, again.status) == (200, 200)
    assert first.json() == again.json()


@pytest.mark.parametrize(
    ("method", "query", "kind", "body"),
    [
        ("POST", "", "text/plain; charset=utf-8", "two"),
        ("POST", "", "text/html", "one"),
        ("POST", "?event=other", "text/plain; charset=utf-8", "one"),
        ("POST", "?end=1", "text/plain; charset=utf-8", "one"),
        ("PUT", "", "text/plain; charset=utf-8", "one"),
        ("DELETE", "", "text/plain; charset=utf-8", None),
    ],
)
async def test_a_key_with_other_content(
    server: Server, method: str, query: str, kind: str, body: str | None
) -> None:
    topic = unique()
    key = {"Idempotency-Key": "k"}
    await publish(server, topic, "one", fields={**TEXT, **key})
    fields = {"Content-Type": kind, **key}
    problem(await ask(server, method, path(topic) + query, fields, body), 422)
    batch = (await get(server, f"{path(topic)}?since=earliest")).json()
    assert [record["data"] for record in batch["records"]] == ["one"]


async def test_a_key_holds_for_one_topic(server: Server) -> None:
    one, two = unique(), unique()
    fields = {**TEXT, "Idempotency-Key": "shared"}
    first = await publish(server, one, "x", fields=fields)
    second = await publish(server, two, "y", fields=fields)
    assert seq(second) > seq(first)


async def test_a_delete_can_be_repeated_with_its_key(server: Server) -> None:
    topic = unique()
    await put(server, topic, "x")
    fields = {"Idempotency-Key": "k"}
    first = await ask(server, "DELETE", path(topic), fields)
    again = await ask(server, "DELETE", path(topic), fields)
    assert (first.status, again.status) == (200, 200)
    assert first.json() == again.json()


@pytest.mark.parametrize("key", ["", "k" * 10_000])
async def test_keys_out_of_measure(server: Server, key: str) -> None:
    """An empty key is no key, or an error; one without end is refused, not kept."""
    topic = unique()
    answer = await ask(server, "POST", path(topic), {**TEXT, "Idempotency-Key": key}, "x")
    if key:
        problem(answer, 400)
    else:
        assert answer.status in (201, 400)


@pytest.mark.parametrize("form", ["{}", "'{}'", '"{}', "garbage", "", '{}, "x"', '"{}" "new"'])
@pytest.mark.parametrize("name", ["If-Match", "If-None-Match"])
async def test_a_condition_that_cannot_be_read_guards_all_the_same(
    server: Server, name: str, form: str
) -> None:
    topic = unique()
    old = await put(server, topic, "1")
    await put(server, topic, "2")
    problem(await ask(server, "PUT", path(topic), {**TEXT, name: form.format(old)}, "3"), 400)
    assert (await get(server, path(topic))).body == b"2"


async def test_if_none_match_with_the_newest_id(server: Server) -> None:
    """RFC 9110, 13.1.2: for a change it is as good as If-Match for any other."""
    topic = unique()
    fields = {**TEXT, "If-None-Match": f'"{await put(server, topic, "1")}"'}
    assert (await ask(server, "PUT", path(topic), fields, "2")).status == 412
    await put(server, topic, "3")
    assert (await ask(server, "PUT", path(topic), fields, "4")).status == 200
