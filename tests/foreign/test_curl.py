"""curl: publishing, and every way that goes over HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.support.harness import Server, deadline, program, unique
from tests.support.wire import Answer, parse_head, seq


async def curl(*arguments: str, stdin: bytes = b"", code: int = 0) -> bytes:
    """Run curl to its end; its standard output."""
    process = await asyncio.create_subprocess_exec(
        program("curl"), "--disable", "--silent", "--show-error", "--noproxy", "*",
        "--max-time", "20", *arguments, stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with deadline("curl", 25):
        out, err = await process.communicate(stdin)
    assert process.returncode == code, (process.returncode, err)
    return out


async def included(*arguments: str) -> Answer:
    """curl with `--include`: head and body."""
    head, _, body = (await curl("--include", *arguments)).partition(b"\r\n\r\n")
    return Answer(parse_head(head), body)


@asynccontextmanager
async def running(*arguments: str) -> AsyncIterator[asyncio.StreamReader]:
    """curl with `--no-buffer`, read while it runs."""
    process = await asyncio.create_subprocess_exec(
        program("curl"), "--disable", "--silent", "--no-buffer", "--noproxy", "*",
        "--max-time", "30", *arguments, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        yield process.stdout
    finally:
        if process.returncode is None:
            process.kill()
        async with deadline("curl's end"):
            await process.wait()


async def lines(out: asyncio.StreamReader, last: str) -> list[str]:
    """Lines up to the one that begins with `last`."""
    got: list[str] = []
    async with deadline(f"a line {last!r} after {got}"):
        while not got or not got[-1].startswith(last):
            line = await out.readline()
            assert line, got
            got.append(line.decode().rstrip("\n"))
    return got


async def test_publish_with_d_and_poll(server: Server) -> None:
    url = f"{server.url}/topics/{unique()}"
    told = json.loads(await curl("-d", "hello", url))
    assert told["changed"] is True
    answer = await included(url)
    assert (answer.status, answer.body) == (200, b"hello")
    assert answer["content-type"] == "text/plain; charset=utf-8"
    told = json.loads(await curl("-d", '{"a": 1}', url))
    answer = await included(f"{url}?id={told['id']}")
    assert (answer["content-type"], answer.body) == ("application/json", b'{"a": 1}')


async def test_put_delete_and_upload(server: Server) -> None:
    url = f"{server.url}/topics/{unique()}"
    blob = bytes(range(256)) * 3000
    await curl("-T", "-", url, stdin=blob)
    assert await curl(url) == blob
    assert (await included("-X", "PUT", "-d", "x", url)).status == 200
    assert (await included("-X", "DELETE", url)).status == 200
    assert (await included(url)).status == 404
    await curl("--fail", url, code=22)


async def test_a_large_body_goes_through_expect(server: Server) -> None:
    url = f"{server.url}/topics/{unique()}"
    body = "x" * 1_040_000
    out = await curl(
        "-X", "PUT", "-H", "Expect: 100-continue", "--data-binary", "@-", url, stdin=body.encode()
    )
    assert json.loads(out)["changed"] is True
    assert await curl(url) == body.encode()


async def test_too_large_a_body(server: Server) -> None:
    url = f"{server.url}/topics/{unique()}"
    out = await curl(
        "-w", "%{http_code}", "-X", "PUT", "--data-binary", "@-", url, stdin=b"x" * 3_000_000
    )
    assert out.endswith(b"413")


async def test_head_and_conditions(server: Server) -> None:
    url = f"{server.url}/topics/{unique()}"
    await curl("-X", "PUT", "-d", "one", url)
    head = parse_head((await curl("--head", url)).partition(b"\r\n\r\n")[0])
    assert (head.status, head.get("content-length")) == (200, "3")
    tag = head.get("etag")
    assert (await included("-H", f"If-None-Match: {tag}", url)).status == 304
    assert (await included("-X", "PUT", "-d", "two", "-H", f"If-Match: {tag}", url)).status == 200
    late = await included("-X", "PUT", "-d", "three", "-H", f"If-Match: {tag}", url)
    assert late.status == 412
    assert late["etag"] not in ("", tag)
    assert await curl("--compressed", url) == b"two"


async def test_etag_files(server: Server, tmp_path: object) -> None:
    url = f"{server.url}/topics/{unique()}"
    await curl("-X", "PUT", "-d", "one", url)
    tag = f"{tmp_path}/etag"
    assert await curl("--etag-save", tag, url) == b"one"
    assert await curl("--etag-compare", tag, url) == b""
    await curl("-X", "PUT", "-d", "two", url)
    assert await curl("--etag-compare", tag, url) == b"two"


async def test_batch(server: Server) -> None:
    topic = unique()
    data = b"".join(b'{"topic": "%b", "data": %d}\n' % (topic.encode(), n) for n in range(300))
    out = await curl(
        "-H",
        "Content-Type: application/x-ndjson",
        "-T",
        "-",
        "-X",
        "POST",
        f"{server.url}/topics",
        stdin=data,
    )
    ids = [seq(json.loads(line)["id"]) for line in out.splitlines()]
    assert len(ids) == 300 and ids == sorted(set(ids))


async def test_poll_along_a_cursor(server: Server) -> None:
    url = f"{server.url}/topics/{unique()}"
    first = json.loads(await curl("-d", "1", url))["id"]
    second = json.loads(await curl("-d", "2", url))["id"]
    batch = json.loads(await curl(f"{url}?since={first}"))
    assert [record["id"] for record in batch["records"]] == [second]


async def test_long_poll(server: Server) -> None:
    url = f"{server.url}/topics/{unique()}"
    async with running("-H", "Prefer: wait=20", url) as out:
        await curl("-d", "late", url)
        async with deadline("the held answer"):
            assert await out.read() == b"late"
    answer = await included(f"{server.url}/topics/{unique()}?wait=1")
    assert answer.status == 404


async def test_event_stream(server: Server) -> None:
    url = f"{server.url}/topics/{unique()}"
    async with running("-H", "Accept: text/event-stream", url) as out:
        await lines(out, "id: ")
        for n in range(5):
            told = json.loads(await curl("-d", f"record {n}", f"{url}?event=tick"))
            got = await lines(out, f"data: record {n}")
            assert f"id: {told['id']}" in got
            assert "event: tick" in got


async def test_event_stream_to_its_end(server: Server) -> None:
    url = f"{server.url}/topics/{unique()}"
    async with running(f"{url}?way=sse") as out:
        await lines(out, "id: ")
        told = json.loads(await curl("-d", "bye", f"{url}?end=1"))
        async with deadline("the end"):
            assert b"data: bye\n\n" in await out.read()
    answer = await included("-H", f"Last-Event-ID: {told['id']}", f"{url}?way=sse")
    assert answer.status == 204


async def test_refresh(server: Server) -> None:
    url = f"{server.url}/topics/{unique()}"
    await curl("-X", "PUT", "-d", "<now>", url)
    answer = await included(f"{url}?way=refresh&every=7")
    assert answer["refresh"] == "7"
    assert b"&lt;now&gt;" in answer.body


async def test_http_1_0_and_many_on_one_connection(server: Server) -> None:
    url = f"{server.url}/topics/{unique()}"
    await curl("-X", "PUT", "-d", "x", url)
    assert await curl("--http1.0", url) == b"x"
    out = await curl("-w", "%{num_connects} ", "-o", "-", *[url] * 5)
    assert out == b"x1 x0 x0 x0 x0 ", "one connection for all"


async def test_http2_is_not_spoken_yet_and_does_no_harm(server: Server) -> None:
    """curl asks for an upgrade to h2c, and takes HTTP/1.1 for an answer."""
    url = f"{server.url}/topics/{unique()}"
    await curl("-X", "PUT", "-d", "x", url)
    assert await curl("--http2", url) == b"x"
