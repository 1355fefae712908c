"""What a topic's page is sent ahead of itself over HTTP/2 (RFC 9113, 8.4; RFC 8297)."""

from __future__ import annotations

import pytest
from h2.settings import SettingCodes

from hexcast.ways.client_module import hashed_module_name
from hexcast.ways.refresh.topic_script import SCRIPT, TOPIC_SCRIPT_PATH
from tests.support.h2wire import H2Client, Stream
from tests.support.harness import Server, get, path, publish, put, unique

HTML = ("accept", "text/html,*/*;q=0.8")
CLIENT = f"/{hashed_module_name()}"
PRELOAD = "rel=preload; as=script; crossorigin"
NO_PUSH = {SettingCodes.ENABLE_PUSH: 0}
NO_STREAMS = {SettingCodes.MAX_CONCURRENT_STREAMS: 0}


def promised(answer: Stream) -> dict[str, int]:
    return {target: stream for stream, target in answer.promises}


async def test_who_takes_push_gets_script_and_value(server: Server) -> None:
    topic = unique("ä b")
    id = await put(server, topic, "first value")
    async with await H2Client.open(server) as client:
        page = await client.ask("GET", path(topic), [HTML])
        assert page.status == 200 and b"first value" in page.data
        assert not page.informational
        assert list(promised(page)) == [TOPIC_SCRIPT_PATH, CLIENT, f"{path(topic)}?id={id}"]
        # The promises come before the page that speaks of them (8.4.1).
        kinds = [kind for kind, stream in client.order]
        assert kinds.index("promise") < kinds.index("head")
        for target, stream in promised(page).items():
            pushed = await client.answer(stream)
            asked = await client.ask("GET", target)
            assert (pushed.status, pushed.data) == (200, asked.data)
            for name in ("content-type", "cache-control", "etag", "x-content-type-options"):
                assert pushed.head.get(name) == asked.head.get(name)
        assert (await client.answer(promised(page)[TOPIC_SCRIPT_PATH])).data == SCRIPT.encode()


@pytest.mark.parametrize("settings", [NO_PUSH, NO_STREAMS], ids=["push-off", "no-streams"])
async def test_who_does_not_is_told_of_the_script(server: Server, settings: dict[int, int]) -> None:
    topic = unique()
    await put(server, topic, "first value")
    async with await H2Client.open(server, settings=settings) as client:
        page = await client.ask("GET", path(topic), [HTML])
        assert (page.status, page.promises) == (200, [])
        assert page.informational == [
            {
                ":status": "103",
                "link": ", ".join(f"<{p}>; {PRELOAD}" for p in (TOPIC_SCRIPT_PATH, CLIENT)),
            }
        ]
        assert f'<script type="module" src="{TOPIC_SCRIPT_PATH}">'.encode() in page.data
        script = await client.ask("GET", TOPIC_SCRIPT_PATH)
        assert script.head["content-type"] == "text/javascript; charset=utf-8"
        assert script.head["cache-control"] == "public, max-age=31536000, immutable"


async def test_nothing_is_sent_ahead_of_what_has_no_script_or_is_known(server: Server) -> None:
    topic = unique()
    await put(server, topic, "value")
    for settings in ({}, NO_PUSH):
        async with await H2Client.open(server, settings=settings) as client:
            page = await client.ask("GET", path(topic), [HTML])
            tag = ("if-none-match", page.head["etag"])
            for method, target, fields in (
                ("GET", path(topic), [HTML, tag]),
                ("HEAD", path(topic), [HTML]),
                ("GET", f"{path(topic)}?way=refresh", [HTML]),
                ("GET", path(topic), []),
            ):
                answer = await client.ask(method, target, fields)
                assert answer.status in (200, 304)
                assert (answer.promises, answer.informational) == ([], [])


async def test_a_page_of_several_topics_brings_its_script(server: Server) -> None:
    stem = unique()
    await publish(server, f"{stem}/a", "x")
    async with await H2Client.open(server) as client:
        page = await client.ask("GET", f"/topics/{stem}/*", [HTML])
        assert [target for _, target in page.promises] == [TOPIC_SCRIPT_PATH, CLIENT]


async def test_a_page_before_anything_is_published(server: Server) -> None:
    async with await H2Client.open(server) as client:
        page = await client.ask("GET", path(unique()), [HTML])
        assert page.status == 404
        assert [target for _, target in page.promises] == [TOPIC_SCRIPT_PATH, CLIENT]


async def test_http1_is_sent_nothing_but_the_page(server: Server) -> None:
    topic = unique()
    await put(server, topic, "value")
    answer = await get(server, path(topic), {"Accept": "text/html"})
    assert answer.status == 200
    assert (await get(server, TOPIC_SCRIPT_PATH)).body == SCRIPT.encode()


async def test_under_a_base_path() -> None:
    with Server(base="/live") as server:
        async with await H2Client.open(server) as client:
            page = await client.ask("GET", "/live/topics/t", [HTML])
            assert [target for _, target in page.promises] == [
                f"/live{TOPIC_SCRIPT_PATH}",
                f"/live{CLIENT}",
            ]
            assert f'<script type="module" src="/live{TOPIC_SCRIPT_PATH}">'.encode() in page.data
            assert (await client.ask("GET", f"/live{TOPIC_SCRIPT_PATH}")).status == 200
