"""Caching (protocol 3): validators, Vary, Cache-Control, and one record for ever."""

from __future__ import annotations

from typing import Any

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
from tests.support.wire import Decoder

LARGE = b"<li>the same line again and again</li>\n" * 500


@pytest.mark.parametrize("form", ['"{}"', 'W/"{}"', '"{}~gzip"', 'W/"{}~gzip"', '"x", "{}"', "*"])
async def test_not_modified_looks_through_weakness_and_coding(server: Server, form: str) -> None:
    topic = unique()
    record_id = await put(server, topic, "x")
    answer = await get(server, path(topic), {"If-None-Match": form.format(record_id)})
    assert (answer.status, answer.body) == (304, b"")


@pytest.mark.parametrize("form", ['"x-1"', '"{}x"', "{}", '"', '""'])
async def test_a_validator_of_something_else(server: Server, form: str) -> None:
    topic = unique()
    record_id = await put(server, topic, "x")
    answer = await get(server, path(topic), {"If-None-Match": form.format(record_id)})
    assert (answer.status, answer.body) == (200, b"x")


async def test_coded_bytes_have_a_tag_of_their_own(server: Server) -> None:
    topic = unique()
    record_id = await put(server, topic, LARGE, fields={"Content-Type": "text/html"})
    plain = await get(server, path(topic))
    assert "content-encoding" not in plain
    assert (plain.body, plain["etag"]) == (LARGE, f'"{record_id}"')
    for accept, coding in (("gzip, deflate, br", "gzip"), ("gzip, deflate, br, zstd", "zstd")):
        coded = await get(server, path(topic), {"Accept-Encoding": accept})
        assert coded["content-encoding"] == coding
        assert coded["etag"] == f'"{record_id}~{coding}"'
        assert Decoder(coding).feed(coded.body) == LARGE
        assert len(coded.body) < len(LARGE) / 20
        assert "accept-encoding" in plain.head.tokens("vary")
        assert "accept-encoding" in coded.head.tokens("vary")
        bare = await ask(server, "HEAD", path(topic), {"Accept-Encoding": accept})
        assert (bare["content-encoding"], bare["etag"]) == (coding, coded["etag"])
        assert bare["content-length"] == str(len(coded.body))
        fields = {"Accept-Encoding": accept, "If-None-Match": coded["etag"]}
        assert (await get(server, path(topic), fields)).status == 304
        fields = {"If-Match": coded["etag"], "Content-Type": "text/html"}
        changed = await ask(server, "PUT", path(topic), fields, LARGE)
        assert (changed.status, changed.json()["id"]) == (200, record_id)
    refused = await get(server, path(topic), {"Accept-Encoding": "gzip;q=0"})
    assert "content-encoding" not in refused
    assert refused.body == LARGE


@pytest.mark.parametrize("fields", [{}, {"Accept": "text/html"}, {"Accept-Encoding": "gzip"}])
async def test_vary_is_the_same_on_200_and_304(server: Server, fields: dict[str, str]) -> None:
    topic = unique()
    await put(server, topic, LARGE)
    full = await get(server, path(topic), fields)
    same = await get(server, path(topic), {**fields, "If-None-Match": full["etag"]})
    assert (full.status, same.status) == (200, 304)
    assert full.head.tokens("vary") == same.head.tokens("vary")
    assert "accept" in full.head.tokens("vary"), "the way is chosen by Accept"
    for name in ("etag", "cache-control"):
        assert full[name] == same[name], "RFC 9110 section 15.4.5"


async def test_all_answers_of_one_url_vary_alike(server: Server) -> None:
    """Or a cache would give a page to one who asked for the value."""
    topic = unique()
    await put(server, topic, "x")
    plain = await get(server, path(topic))
    page = await get(server, path(topic), {"Accept": "text/html"})
    assert plain.head.tokens("vary") == page.head.tokens("vary")


async def test_values_are_revalidated(server: Server) -> None:
    topic = unique()
    await put(server, topic, "x")
    answer = await get(server, path(topic))
    assert "no-cache" in answer.head.tokens("cache-control")
    assert "no-store" not in answer.head.tokens("cache-control")


@pytest.mark.parametrize("query", ["?since=earliest", "?since=earliest&wait=1", "?wait=20"])
async def test_what_must_not_be_stored(server: Server, query: str) -> None:
    """Batches, and a poll that was really held."""
    topic = unique()
    async with await Conn.open(server) as conn:
        if query == "?wait=20":
            await conn.send(request_bytes(server, "GET", path(topic) + query))
            await put(server, topic, "x")
            answer = await conn.answer()
        else:
            await put(server, topic, "x")
            answer = await get(server, path(topic) + query)
    assert answer.status == 200
    assert {"no-store", "no-transform"} <= answer.head.tokens("cache-control")
    assert answer["x-accel-buffering"] == "no"


@pytest.mark.parametrize("query", ["", "?wait=1", "?id={id}"])
@pytest.mark.parametrize("kind", ["text/html", "image/svg+xml", "application/json", "text/plain"])
async def test_payloads_cannot_act_as_pages(server: Server, query: str, kind: str) -> None:
    topic = unique()
    body = b'"<script>alert(1)</script>"'
    record_id = await put(server, topic, body, fields={"Content-Type": kind})
    answer = await get(server, path(topic) + query.format(id=record_id))
    assert answer.body == body
    assert answer["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer["content-security-policy"]


@pytest.mark.parametrize("method", ["PUT", "POST"])
async def test_one_record_for_ever(server: Server, method: str) -> None:
    topic = unique()
    record_id = await publish(server, topic, "one", method=method)
    target = f"{path(topic)}?id={record_id}"
    answer = await get(server, target)
    assert (answer.status, answer.body, answer["etag"]) == (200, b"one", f'"{record_id}"')
    assert answer["content-type"] == "text/plain; charset=utf-8"
    assert answer.head.tokens("cache-control") == {"private", "max-age=31536000", "immutable"}
    same = await get(server, target, {"If-None-Match": f'"{record_id}"'})
    assert same.status == 304
    bare = await ask(server, "HEAD", target)
    assert (bare.status, bare["content-length"], bare.body) == (200, "3", b"")


async def test_every_held_record_of_a_stream_has_an_address(server: Server) -> None:
    topic = unique()
    ids = [await publish(server, topic, f"{n}") for n in range(5)]
    for n, record_id in enumerate(ids):
        assert (await get(server, f"{path(topic)}?id={record_id}")).body == b"%d" % n


async def test_the_address_of_a_delete(server: Server) -> None:
    topic = unique()
    await put(server, topic, "x")
    gone = (await ask(server, "DELETE", path(topic))).json()["id"]
    problem(await get(server, f"{path(topic)}?id={gone}"), 410)


async def test_a_record_that_is_not_held(server: Server) -> None:
    topic, other = unique(), unique()
    record_id = await put(server, topic, "x")
    elsewhere = await put(server, other, "y")
    epoch = record_id.rpartition("-")[0]
    for wrong in (elsewhere, f"{epoch}-99999999", f"{epoch}-0", "zzz-1"):
        problem(await get(server, f"{path(topic)}?id={wrong}"), 404)
    malformed = await get(server, f"{path(topic)}?id=what")
    assert malformed.status in (400, 404)
    problem(malformed, malformed.status)


async def test_an_older_value_of_a_state_is_itself_or_gone(server: Server) -> None:
    topic = unique()
    first = await put(server, topic, "1")
    await put(server, topic, "2")
    answer = await get(server, f"{path(topic)}?id={first}")
    if answer.status == 200:
        assert answer.body == b"1", "never the newest under an older id"
    else:
        problem(answer, 404)


async def test_a_304_leaves_the_connection_in_step(server: Server) -> None:
    topic = unique()
    record_id = await put(server, topic, "x")
    async with await Conn.open(server) as conn:
        fields: dict[str, Any] = {"If-None-Match": f'"{record_id}"'}
        for _ in range(3):
            await conn.send(request_bytes(server, "GET", path(topic), fields))
            assert (await conn.answer()).status == 304
        assert (await conn.ask(server, "GET", path(topic))).body == b"x"
