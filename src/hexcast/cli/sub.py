"""`hexcast sub`: follow topics, a line for each record."""

from __future__ import annotations

import asyncio
import os
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ..client import Client, Gap, Record, Trust, WayChoice
from .console import DONE, say
from .formatting import gap_message, human, human_parts, json_line
from .run_client import Notices, run_client

__all__ = ["sub"]

_STYLES = {"time": "dim", "topic": "cyan", "event": "bold magenta", "op": "yellow", "data": ""}


def sub(
    url: str,
    topics: list[str],
    way: WayChoice,
    *,
    since: str | None,
    last: int | None,
    json: bool,
    trust: Trust | None = None,
) -> int:
    """Follow `topics` until they end, or nobody reads standard output; give the exit code."""
    write = _json_writer() if json else _human_writer()

    async def follow(client: Client) -> int:
        notices = Notices()
        async with client.subscribe(
            *topics, way=way, since=since, last=last, listener=notices
        ) as items:
            async for item in items:
                if isinstance(item, Gap):
                    say(gap_message(item))
                write(item)
        say("the topic has ended")
        return DONE

    async def follow_while_read(client: Client) -> int:
        closed = asyncio.Event()
        following = asyncio.create_task(follow(client))
        waiting = asyncio.create_task(closed.wait())
        try:
            with _watching_reader(sys.stdout.fileno(), closed.set):
                await asyncio.wait({following, waiting}, return_when=asyncio.FIRST_COMPLETED)
            if following.done():
                return following.result()
        finally:
            following.cancel()
            waiting.cancel()
            await asyncio.gather(following, waiting, return_exceptions=True)
        return DONE

    try:
        return run_client(url, follow_while_read, trust, interrupted=DONE)
    except BrokenPipeError:
        # Whoever read has had enough. What is left in the buffer must not be flushed at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE


@contextmanager
def _watching_reader(descriptor: int, closed: Callable[[], object]) -> Iterator[None]:
    """Call `closed` when the other end of a pipe is closed, even while nothing is written to it."""
    if not stat.S_ISFIFO(os.fstat(descriptor).st_mode):
        yield  # a file or terminal has no reader to go away
        return
    loop = asyncio.get_running_loop()
    # The writing end of a pipe never becomes readable; that it does means an error: no reader.
    loop.add_reader(descriptor, closed)
    try:
        yield
    finally:
        loop.remove_reader(descriptor)


def _json_writer() -> Callable[[Record | Gap], None]:
    out = sys.stdout.buffer

    def write(item: Record | Gap) -> None:
        out.write(json_line(item))
        out.flush()

    return write


def _human_writer() -> Callable[[Record | Gap], None]:
    if not sys.stdout.isatty():

        def write_plain(item: Record | Gap) -> None:
            if isinstance(item, Record):
                print(human(item), flush=True)

        return write_plain

    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)

    def write_coloured(item: Record | Gap) -> None:
        if isinstance(item, Record):
            parts = [(text, _STYLES[kind]) for kind, text in human_parts(item)]
            console.print(Text("  ").join(Text(*part) for part in parts), soft_wrap=True)

    return write_coloured
