"""The command line, run as a person runs it: processes, pipes, signals, exit codes."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.support.harness import Server, deadline, get, path, publish, unique


@pytest.fixture(scope="module")
def server() -> object:
    with Server() as started:
        yield started


@asynccontextmanager
async def hexcast(*words: str) -> AsyncIterator[Process]:
    """A command under way; whatever is left of it is ended."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "hexcast.cli", *words, stdin=PIPE, stdout=PIPE, stderr=PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def run(*words: str, given: bytes = b"") -> tuple[int | None, str, str]:
    async with hexcast(*words) as process, deadline("the command to end", 20):
        out, err = await process.communicate(given)
        return process.returncode, out.decode(), err.decode()


async def test_help_and_version_say_what_there_is() -> None:
    code, out, _ = await run("--help")
    assert code == 0
    for command in ("serve", "pub", "sub", "demo"):
        assert command in out
    code, out, _ = await run("--version")
    assert code == 0 and "0.1.0" in out


async def test_a_wrong_word_is_wrong_usage() -> None:
    assert (await run("nonsense"))[0] == 2
    assert (await run("sub"))[0] == 2


async def test_serving_others_needs_a_decision() -> None:
    code, out, err = await run("serve", "--host", "0.0.0.0", "--port", "0")
    assert (code, out) == (2, "")
    assert "--open" in err


async def test_a_taken_port_fails(server: Server) -> None:
    code, _, err = await run("serve", "--port", server.authority.rpartition(":")[2])
    assert code == 1
    assert "Traceback" not in err


async def test_one_publish(server: Server) -> None:
    topic = unique()
    code, _out, _ = await run("pub", topic, "hello", "--url", server.url)
    assert code == 0
    assert (await get(server, path(topic))).body == b"hello"


async def test_a_state_and_the_wrong_verb(server: Server) -> None:
    topic = unique()
    assert (await run("pub", topic, '{"a": 1}', "--put", "--url", server.url))[0] == 0
    assert (await get(server, path(topic))).json() == {"a": 1}
    code, _, err = await run("pub", topic, "x", "--url", server.url)
    assert code == 1
    assert "state" in err


async def test_standard_input_a_record_a_line(server: Server) -> None:
    topic = unique()
    lines = [f"line {n}" for n in range(500)]
    code, _, err = await run(
        "pub", topic, "--url", server.url, given="".join(f"{x}\n" for x in lines).encode()
    )
    assert code == 0, err
    batch = (await get(server, f"{path(topic)}?since=earliest&limit=1000")).json()
    assert [record["data"] for record in batch["records"]] == lines


async def test_a_line_goes_out_before_the_next_is_there(server: Server) -> None:
    """What makes `tail -F log | hexcast pub logs` live."""
    topic = unique()
    async with hexcast("pub", topic, "--url", server.url) as process, deadline("two lines", 20):
        assert process.stdin is not None
        for count in (1, 2):
            process.stdin.write(b"line %d\n" % count)
            await process.stdin.drain()
            batch = (await get(server, f"{path(topic)}?since=earliest&wait=10")).json()
            while len(batch["records"]) < count:
                batch = (await get(server, f"{path(topic)}?since=earliest")).json()
        process.stdin.close()
        assert await process.wait() == 0


@pytest.mark.parametrize("way", ["sse", "websocket", "long-poll", "poll", "refresh"])
async def test_sub_over_each_way(server: Server, way: str) -> None:
    topic = unique()
    await publish(server, topic, "first")
    words = ("sub", topic, "--way", way, "--json", "--last", "1", "--url", server.url)
    async with hexcast(*words) as process, deadline(f"records over {way}", 20):
        assert process.stdout is not None
        assert json.loads(await process.stdout.readline())["data"] == "first"
        await publish(server, topic, "second")
        assert json.loads(await process.stdout.readline())["data"] == "second"
        process.send_signal(signal.SIGINT)
        assert await process.wait() in (0, 130)


async def test_sub_comes_back_after_a_restart_of_nothing(server: Server) -> None:
    """From a cursor: what was published before it began, in order."""
    topic = unique()
    first = await publish(server, topic, "a")
    for data in ("b", "c"):
        await publish(server, topic, data)
    words = ("sub", topic, "--since", first, "--json", "--url", server.url)
    async with hexcast(*words) as process, deadline("two records", 20):
        assert process.stdout is not None
        got = [json.loads(await process.stdout.readline())["data"] for _ in range(2)]
    assert got == ["b", "c"]


async def test_demo_publishes_this_machines_figures() -> None:
    async with hexcast("demo", "--port", "0") as process, deadline("the demo", 30):
        assert process.stderr is not None
        url = ""
        while not url:
            line = (await process.stderr.readline()).decode()
            url = next((w for w in line.split() if w.startswith("http://")), "").rstrip("/,")
        words = ("sub", "machine/cpu", "--json", "--url", url)
        async with hexcast(*words) as subscriber:
            assert subscriber.stdout is not None
            record = json.loads(await subscriber.stdout.readline())
        assert record["topic"] == "machine/cpu"
        process.send_signal(signal.SIGTERM)
        rest = await process.stderr.read()
        assert await process.wait() == 0
        assert b"Traceback" not in rest
