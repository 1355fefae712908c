"""`hexcast demo`: a server, and this machine's own figures published to it each second."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING

from ...client import Client, Lost, Message, Notice, Trust
from ...settings import Settings
from ..console import FAILED, say
from ..serve import announce, run_server

if TYPE_CHECKING:
    from ...server import Server

__all__ = ["demo", "figures"]

PREFIX = "machine"
SECONDS = 1.0


def demo(settings: Settings) -> int:
    """Serve and publish until a signal; give the exit code."""
    if find_spec("psutil") is None:  # reported here, before anything is started
        say("psutil is missing; install hexcast[demo]")
        return FAILED
    again = False

    def restart() -> None:
        nonlocal again
        again = True
        signal.raise_signal(signal.SIGTERM)  # a stop like any other, after which it begins again

    def ready(server: Server) -> None:
        if settings.port and server.node.lab is not None:  # else it would come back elsewhere
            server.node.lab.restart = restart
        _announce(server)

    code = run_server(replace(settings, lab=True), ready, _publish)
    stops = {signal.SIGTERM, signal.SIGINT}
    if again and code == 0 and not signal.sigpending() & stops:
        sys.stderr.flush()
        # The server has blocked them to end in peace; what follows would never hear of them.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, stops)
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
    return code


def _announce(server: Server) -> None:
    announce(server)
    topics = f"{server.url}/topics"
    # curl knows nothing of a certificate made for this machine; `hexcast` does.
    curl = "curl" if server.tls is None else "curl -k"
    lines = [
        "",
        f"  In a browser:        {topics}/{PREFIX}/cpu",
        f"  all of them:         {topics}/{PREFIX}/*",
        f"  what is live:        {topics}",
        f"  the six ways:        {server.url}/lab",
        f"  Server-Sent Events:  {curl} -N '{topics}/{PREFIX}/cpu?way=sse'",
        f"  server push:         nghttp -nv '{topics}/{PREFIX}/cpu?way=push'",
        f"  a value:             {curl} {topics}/{PREFIX}/memory",
        f"  notable changes:     hexcast sub {PREFIX}/events --url {server.url}",
        f"  publish:             {curl} -d hello {topics}/greeting",
        "",
    ]
    print("\n".join(lines), file=sys.stderr, flush=True)


async def _publish(server: Server) -> None:
    """Runs beside the server, and ends with it."""

    def tell(notice: Notice) -> None:
        if isinstance(notice, Lost):
            say(f"{notice.reason}; the figures go on in {notice.seconds:.1f} s")

    async with (
        Client(server.url, trust=Trust(insecure=True)) as client,  # it is this very process
        aclosing(figures()) as messages,
        client.publish_many(messages, give_up=None, listener=tell) as acknowledgements,
    ):
        async for acknowledged in acknowledgements:
            if acknowledged.error is not None:
                say(f"{acknowledged.message.topic}: {acknowledged.error}")


async def figures() -> AsyncGenerator[Message, None]:
    """The machine's figures as states, each second, and its notable changes as a stream."""
    from .changes import Changes
    from .machine import Machine

    loop = asyncio.get_running_loop()
    # Reading takes some milliseconds of system calls: not on the server's own thread.
    machine = await asyncio.to_thread(Machine)
    changes = Changes()
    due = loop.time()
    while True:
        # A machine that was too busy, or asleep, for a second does not catch up.
        due = max(due + SECONDS, loop.time())
        await asyncio.sleep(due - loop.time())
        snapshot = await asyncio.to_thread(machine.read)
        for name, value in snapshot.states().items():
            yield Message(f"{PREFIX}/{name}", value, op="put")
        for change in changes.of(snapshot):
            data = {"text": change.text, "value": change.value}
            yield Message(f"{PREFIX}/events", data, event=change.event)
