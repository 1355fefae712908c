"""nginx in front, with its default buffering: event streams and WebSocket must come through."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.harness import (
    Conn,
    Endpoint,
    Server,
    Sse,
    Ws,
    ask,
    free_port,
    get,
    path,
    program,
    publish,
    put,
    unique,
)
from tests.support.wire import seq

CONFIG = """
daemon off;
master_process off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    gzip on;
    gzip_proxied any;
    map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://127.0.0.1:{upstream};
            proxy_http_version 1.1;
            proxy_set_header Host $http_host;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $connection_upgrade;
        }}
    }}
}}
"""


def nginx(folder: Path, upstream: int) -> tuple[Endpoint, subprocess.Popen[bytes]]:
    """A proxy in the foreground, on a port of its own; the caller stops it."""
    front = Endpoint(free_port())
    config = folder / "nginx.conf"
    config.write_text(CONFIG.format(folder=folder, port=front.port, upstream=upstream))
    arguments = [
        program("nginx"),
        "-p",
        str(folder),
        "-e",
        str(folder / "error.log"),
        "-c",
        str(config),
    ]
    process = subprocess.Popen(arguments)
    until = time.monotonic() + 10
    while process.poll() is None and time.monotonic() < until:
        try:
            with socket.create_connection((front.host, front.port), 1):
                return front, process
        except OSError:
            time.sleep(0.02)
    process.kill()
    process.wait()
    raise AssertionError(f"nginx did not start: {(folder / 'error.log').read_text()}")


@pytest.fixture(scope="module")
def front(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    endpoint, process = nginx(tmp_path_factory.mktemp("nginx"), server.port)
    yield endpoint
    process.terminate()
    process.wait(10)


async def test_publish_and_poll(front: Endpoint) -> None:
    topic = unique()
    record_id = await put(front, topic, "x")
    answer = await get(front, path(topic))
    assert (answer.body, answer["etag"]) == (b"x", f'"{record_id}"')
    same = await get(front, path(topic), {"If-None-Match": f'"{record_id}"'})
    assert same.status == 304


async def test_a_tag_that_the_proxy_has_weakened(front: Endpoint) -> None:
    """nginx weakens the tag of what it compresses; a conditional PUT must still match."""
    topic = unique()
    value = "<li>again and again</li>" * 200
    await put(front, topic, value, fields={"Content-Type": "text/html"})
    answer = await get(front, path(topic), {"Accept-Encoding": "gzip"})
    assert answer["content-encoding"] == "gzip"
    tag = answer["etag"]
    again = await get(front, path(topic), {"If-None-Match": tag, "Accept-Encoding": "gzip"})
    assert again.status == 304
    fields = {"Content-Type": "text/html", "If-Match": tag}
    assert (await ask(front, "PUT", path(topic), fields, "new")).status == 200


async def test_event_stream_is_not_buffered(front: Endpoint) -> None:
    topic = unique()
    async with await Sse.open(front, path(topic)) as sse:
        assert (await sse.event(seconds=3)).event == "hexcast:cursor", "first bytes at once"
        for n in range(10):
            began = time.monotonic()
            record_id = await publish(front, topic, f"{n}")
            event = await sse.record(seconds=3)
            assert (event.id, event.data) == (record_id, f"{n}")
            assert time.monotonic() - began < 2


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
async def test_a_compressed_event_stream_at_once(front: Endpoint, coding: str) -> None:
    topic = unique()
    async with await Sse.open(front, path(topic), {"Accept-Encoding": coding}) as sse:
        assert sse.head.get("content-encoding") == coding
        await sse.event(seconds=3)
        for text in ("x", "the same words " * 100):
            await publish(front, topic, text)
            assert (await sse.record(seconds=3)).data == text


async def test_websocket(front: Endpoint) -> None:
    topic = unique()
    origin = {"Origin": f"http://{front.authority}"}
    async with (
        await Ws.open(front, path(topic), fields=origin) as raw,
        await Ws.open(front, "/topics", protocol="hexcast.v1", fields=origin) as v1,
    ):
        await v1.say({"subscribe": [topic], "ref": 1})
        assert (await v1.hear())["ok"] == 1
        for n in range(10):
            await publish(front, topic, f"{n}")
            assert await raw.message() == f"{n}"
            assert (await v1.hear())["data"] == f"{n}"


async def test_long_poll(front: Endpoint) -> None:
    topic = unique()
    cursor = (await get(front, f"{path(topic)}?since=now")).json()["cursor"]
    async with await Conn.open(front) as conn:
        held = asyncio.create_task(conn.ask(front, "GET", f"{path(topic)}?since={cursor}&wait=20"))
        record_id = await publish(front, topic, "x")
        told = (await held).json()
    assert [r["id"] for r in told["records"]] == [record_id]
    assert seq(told["cursor"]) >= seq(record_id)


async def test_a_batch_through_the_proxy(front: Endpoint) -> None:
    topic = unique()
    lines = b"".join(b'{"topic": "%b", "data": %d}\n' % (topic.encode(), n) for n in range(1000))
    answer = await ask(front, "POST", "/topics", {"Content-Type": "application/x-ndjson"}, lines)
    assert len(answer.lines()) == 1000


async def test_a_stop_behind_the_proxy(tmp_path: Path) -> None:
    """Streams end cleanly, nginx says 502 while there is nothing, and then it goes on."""
    first = Server()
    process = None
    try:
        with first:
            front, process = nginx(tmp_path, first.port)
            topic = unique()
            async with (
                await Sse.open(front, path(topic)) as sse,
                await Ws.open(front, path(topic)) as ws,
            ):
                stopping = asyncio.create_task(asyncio.to_thread(first.stop))
                await sse.end()
                assert sse.retry is not None
                assert await ws.closed() == 1012
                await stopping
            assert (await get(front, path(topic))).status == 502
        with Server(port=first.port):
            async with await Sse.open(front, path(topic)) as sse:
                await publish(front, topic, "again")
                assert (await sse.record()).data == "again"
    finally:
        if process is not None:
            process.terminate()
            process.wait(10)
