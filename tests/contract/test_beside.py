"""Beside the topics (protocol 8): what is live, health, readiness, figures, a base path."""

from __future__ import annotations

import asyncio
import re

import pytest
from prometheus_client.parser import text_string_to_metric_families

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


async def metrics(server: Server) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    answer = await get(server, "/metrics")
    assert answer.status == 200
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.body.decode())
        for sample in family.samples
    }


def total(
    figures: dict[tuple[str, frozenset[tuple[str, str]]], float], part: str, **labels: str
) -> float:
    """The sum of all samples whose name has `part` in it and that carry these labels."""
    found = [
        value
        for (name, had), value in figures.items()
        if name.startswith("hexcast_") and re.search(part, name) and set(labels.items()) <= had
    ]
    assert found, f"no figure like {part} {labels} among {sorted({name for name, _ in figures})}"
    return sum(found)


async def test_healthz_says_what_an_acknowledgement_survives(server: Server) -> None:
    answer = await get(server, "/healthz")
    assert answer.status == 200
    assert b"nothing" in answer.body, "a memory log survives nothing"
    assert "no-store" in answer.head.tokens("cache-control") | {"no-store"}


async def test_the_start_line_says_it_too() -> None:
    with Server() as server:
        await get(server, "/healthz")
        told = server.stderr()
    assert "nothing" in told
    assert str(server.port) in told


async def test_readyz(server: Server) -> None:
    assert (await get(server, "/readyz")).status == 200


async def test_metrics_are_prometheus_text(server: Server) -> None:
    answer = await get(server, "/metrics")
    assert answer["content-type"].startswith(("text/plain", "application/openmetrics-text"))
    families = list(text_string_to_metric_families(answer.body.decode()))
    names = " ".join(family.name for family in families if family.name.startswith("hexcast_"))
    for word in (
        "client|subscriber",
        "record",
        "deliver",
        "lag",
        "gap",
        "fold",
        "bytes",
        "latency|seconds",
    ):
        assert re.search(word, names), f"no figure for {word} in {names}"
    assert all(family.documentation for family in families)


async def test_clients_by_way(server: Server) -> None:
    topic = unique()
    before = await metrics(server)

    def risen(after: dict[tuple[str, frozenset[tuple[str, str]]], float], way: str) -> float:
        part = "client|subscriber"
        return total(after, part, way=way) - total(before, part, way=way)

    async with (
        await Sse.open(server, path(topic)),
        await Sse.open(server, path(topic)),
        await Ws.open(server, path(topic)),
        await Conn.open(server) as held,
    ):
        await held.send(request_bytes(server, "GET", f"{path(topic)}?wait=60"))
        async with asyncio.timeout(10):
            while (after := await metrics(server)) and risen(after, "long-poll") < 1:
                continue
        assert risen(after, "sse") == 2
        assert risen(after, "websocket") == 1
        assert risen(after, "long-poll") == 1
    async with asyncio.timeout(10):
        while True:
            after = await metrics(server)
            if not any(risen(after, way) for way in ("sse", "websocket", "long-poll")):
                break


async def test_records_and_deliveries_are_counted(server: Server) -> None:
    topic = unique()
    before = await metrics(server)
    async with (
        await Sse.open(server, path(topic)) as one,
        await Ws.open(server, path(topic)) as two,
    ):
        for n in range(10):
            await publish(server, topic, f"{n}")
            assert (await one.record()).data == f"{n}"
            assert await two.message() == f"{n}"
        after = await metrics(server)
    records = total(after, "records?(_accepted|_published)?_total$") - total(
        before, "records?(_accepted|_published)?_total$"
    )
    assert records == 10
    for way in ("sse", "websocket"):
        part = "deliver.*_total$"
        risen = total(after, part, way=way) - total(before, part, way=way)
        assert risen == 10, way


async def test_the_front_page(server: Server) -> None:
    topic = unique("<live>")
    await put(server, topic, "x")
    answer = await get(server, "/", {"Accept": "text/html"})
    assert answer.status == 200
    assert answer["content-type"].startswith("text/html")
    assert b"<live>" not in answer.body
    assert b"&lt;live&gt;" in answer.body, "what is live"


async def test_a_base_path() -> None:
    with Server(base="/live/here") as server:
        topic = unique()
        answer = await ask(server, "POST", path(topic), {"Content-Type": "text/plain"}, "x")
        assert answer.status == 201
        location = answer["location"]
        assert location == f"/live/here{path(topic)}?id={answer.json()['id']}"
        async with await Conn.open(server) as conn:
            assert (await conn.ask(server, "GET", location)).body == b"x"
            for outside in (path(topic), "/", "/healthz", "/live", "/live/hereafter"):
                problem(await conn.ask(server, "GET", outside), 404)
        for inside in ("/healthz", "/readyz", "/metrics", "/topics", "/"):
            assert (await get(server, inside)).status == 200
        async with await Sse.open(server, path(topic), {"Last-Event-ID": "zzz-1"}) as sse:
            assert (await sse.record()).event == "hexcast:gap"
        async with await Ws.open(server, f"{path(topic)}?last=1") as ws:
            assert await ws.message() == "x"


@pytest.mark.parametrize("target", ["/healthz", "/readyz", "/metrics", "/"])
async def test_head(server: Server, target: str) -> None:
    answer = await ask(server, "HEAD", target)
    assert (answer.status, answer.body) == (200, b"")
