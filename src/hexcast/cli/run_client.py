"""What the commands that are clients share: a client, notices of its connection, exit codes."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable

from ..client import Client, Connected, HexcastError, Notice, Trust
from .console import FAILED, WRONG_USAGE, printable, say

__all__ = ["Notices", "run_client"]


def run_client(
    url: str,
    work: Callable[[Client], Awaitable[int]],
    trust: Trust | None = None,
    *,
    interrupted: int = FAILED,
) -> int:
    """Run `work` with a client of the server at `url`; give the exit code.

    `interrupted` is the code where Ctrl-C ends it. Errors that people can do something about end as
    one line on standard error.
    """

    async def run() -> int:
        async with Client(url, os.environ.get("HEXCAST_TOKEN") or None, trust=trust) as client:
            return await work(client)

    try:
        return asyncio.run(run())
    except HexcastError as error:
        say(str(error))
        return FAILED
    except ValueError as error:  # no URL, no topic, no certificates
        say(str(error))
        return WRONG_USAGE
    except KeyboardInterrupt:
        return interrupted


class Notices:
    """Tells people of connections made and lost; one that is only opened anew is no news."""

    def __init__(self, tell: Callable[[str], None] = say) -> None:
        self._tell = tell
        self._lost = True  # nothing is connected yet

    def __call__(self, notice: Notice) -> None:
        if isinstance(notice, Connected):
            if self._lost:
                self._tell(f"connected ({_way(notice)})")
            self._lost = False
        else:
            self._lost = True
            self._tell(f"{notice.reason}; trying again in {notice.seconds:.1f} s")


_FALLBACKS = {
    "http1": "no push over HTTP/1.1",
    "push-off": "push is switched off on the way",
    "no-streams": "no streams for push are allowed on the way",
}


def _way(notice: Connected) -> str:
    """The way that serves, and why it is not the one that was asked for."""
    if not notice.fallback:
        return notice.way
    return f"{notice.way}: {_FALLBACKS.get(notice.fallback, printable(notice.fallback))}"
