"""Standard input as it comes, a line at a time."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncGenerator

from ..client import LineSplitter, TooLong

__all__ = ["lines_of"]

CHUNK_BYTES = 65536
CHUNKS_AHEAD = 16  # how much is read before it is wanted


async def lines_of(descriptor: int, limit: int) -> AsyncGenerator[bytes | TooLong, None]:
    """The lines that can be read from a file descriptor, each as soon as it is there.

    A thread reads: that works alike for pipes, terminals and files, which no event loop watches all
    of, and leaves the descriptor as it is (a terminal set to non-blocking would stay so for the
    shell). It is a daemon, so that a read that never returns does not hold up the exit. Raises
    OSError.
    """
    loop = asyncio.get_running_loop()
    chunks: asyncio.Queue[bytes | OSError] = asyncio.Queue()
    room = threading.Semaphore(CHUNKS_AHEAD)
    over = threading.Event()

    def read() -> None:
        chunk: bytes | OSError = b"-"
        while chunk and not isinstance(chunk, OSError):
            room.acquire()
            if over.is_set():
                return
            try:
                chunk = os.read(descriptor, CHUNK_BYTES)
            except OSError as error:
                chunk = error
            try:
                loop.call_soon_threadsafe(chunks.put_nowait, chunk)
            except RuntimeError:  # the loop was closed meanwhile: nobody waits any more
                return

    threading.Thread(target=read, name="hexcast-stdin", daemon=True).start()
    splitter = LineSplitter(limit)
    try:
        while chunk := await chunks.get():
            room.release()
            if isinstance(chunk, OSError):
                raise chunk
            for line in splitter.feed(chunk):
                yield line
        for line in splitter.finish():
            yield line
    finally:
        over.set()
        room.release()
