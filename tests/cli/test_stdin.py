from __future__ import annotations

import asyncio
import os
from contextlib import aclosing
from pathlib import Path

import pytest

from hexcast.cli.stdin import CHUNK_BYTES, CHUNKS_AHEAD, lines_of
from hexcast.client.lines import TooLong


async def test_lines_come_as_they_are_written() -> None:
    reading, writing = os.pipe()
    async with aclosing(lines_of(reading, 100)) as lines:
        for n in range(3):
            os.write(writing, b"line %d\nbeginning of " % n)
            expected = b"line %d" % n if n == 0 else b"beginning of line %d" % n
            assert await anext(lines) == expected
        os.close(writing)
        assert [line async for line in lines] == [b"beginning of "]
    os.close(reading)


async def test_a_file(tmp_path: Path) -> None:
    path = tmp_path / "input"
    path.write_bytes(b"a\r\n" + b"x" * 200_000 + b"\n" + b"last")
    with path.open("rb") as file:
        found = [line async for line in lines_of(file.fileno(), 1000)]
    assert found == [b"a", TooLong(200_000), b"last"]


async def test_no_more_is_read_ahead_than_is_allowed() -> None:
    """A source that is faster than the server waits in its pipe, not in memory."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    lines = lines_of(reading, 2**20)
    os.write(writing, b"first\n")
    assert await anext(lines) == b"first"
    line, written = b"x" * 1023 + b"\n", 0
    stalled = 0
    while stalled < 20 and written < 100 * 2**20:
        try:
            written += os.write(writing, line * 32)
            stalled = 0
        except BlockingIOError:
            stalled += 1
            os.sched_yield()
            await asyncio.sleep(0.005)
    assert written <= (CHUNKS_AHEAD + 2) * CHUNK_BYTES + 2**20
    os.close(writing)
    assert sum([len(line) + 1 async for line in lines]) == written
    os.close(reading)


async def test_a_descriptor_that_cannot_be_read() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with pytest.raises(OSError, match="Bad file descriptor"):
        await anext(lines_of(reading, 100))
    os.close(writing)
