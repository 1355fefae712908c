"""A node: the hub, the feeds, the ways and the timers, without sockets and without signals.

A node is one reader and writer of a log. A server with listeners holds one, and so can whatever
else receives requests: it makes an exchange for each (`http.judge` says how it is answered), and
adds what has to be drained to `http.connections`.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import string
import time
from functools import partial
from typing import TYPE_CHECKING

from ..access import Access, canonical_origin, is_loopback
from ..feed import Feeds
from ..http import ServerContext
from ..hub import History, Hub
from ..log import open_log
from ..model import Counters
from ..settings import Settings
from ..value import Limits
from ..ways import Context
from .routes import App

if TYPE_CHECKING:
    from ..lab import Lab
    from ..site import Site

__all__ = ["Node"]

SWEEP_SECONDS = 1.0

DRAIN_MARGIN = 0.5
"""Seconds of the drain deadline kept for the last steps after clients were cut off."""


def new_epoch() -> str:
    """The name of a new epoch: random, so that a cursor of another log's life is never taken."""
    return "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(8))


def milliseconds() -> int:
    """The time in milliseconds since 1970 UTC."""
    return time.time_ns() // 1_000_000


class Node:
    """One node, run inside the current event loop. `secure` says that clients come over TLS."""

    def __init__(self, settings: Settings, *, secure: bool = False) -> None:
        """Raises ValueError where the settings are refused."""
        self.settings = settings
        self._loop = loop = asyncio.get_running_loop()
        log = open_log(settings.log, new_epoch(), milliseconds)
        history = History(
            settings.hold_records, settings.hold_bytes, settings.hold_seconds, settings.hold_total
        )
        counters = Counters()
        limits = Limits(bytes=settings.body_limit)
        self.hub = Hub(log, history, milliseconds, loop.time, limits)
        self.feeds = Feeds(self.hub, counters, loop.call_soon, loop.time, loop.call_later)
        self.context = Context(self.hub, self.feeds, counters, settings)
        access = Access(
            frozenset(h.lower() for h in settings.allow_host),
            frozenset(canonical_origin(o.rstrip("/")) for o in settings.allow_origin),
            any_host=not is_loopback(settings.host) and not settings.allow_host,
        )
        app = App(self.context, access, _site(self.context))
        self.lab = _lab(self.context, access, loop)
        plan = app.plan
        if self.lab is not None:
            app.mount("/lab", self.lab.plan)
            plan = partial(self.lab.metered, app.plan)
        self.http = ServerContext(
            access.identify, plan, counters, loop.time, time.time, secure=secure
        )
        self._timer: asyncio.TimerHandle | None = None
        self._sweep_at = loop.time() + SWEEP_SECONDS

    @property
    def durability(self) -> str:
        """What an acknowledged record survives."""
        return self.hub.durability

    async def start(self) -> None:
        """Read the log, and let the timers run. Raises OSError where the log cannot be read."""
        await self.hub.start()
        self._turn()

    def _turn(self) -> None:
        """Drive the timers of all connections."""
        self._timer = self._loop.call_later(self.http.timers.resolution, self._turn)
        self.http.tick()
        if self._loop.time() >= self._sweep_at:
            self._sweep_at = self._loop.time() + SWEEP_SECONDS
            self.context.sweep()

    async def drain(self) -> None:
        """End what is in progress (protocol 5.6), within the drain deadline, whoever stays."""
        deadline = self._loop.time() + max(0.0, self.settings.drain - DRAIN_MARGIN)
        http = self.http
        self.context.draining = http.draining = True
        self.context.publishes.drain(max(0.0, self.settings.drain / 2 - SWEEP_SECONDS))
        if self.lab is not None:
            await self.lab.stop()
        empty = asyncio.Event()
        http.on_empty = empty.set
        for connection in list(http.connections):
            connection.drain()
        if http.connections:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(empty.wait(), deadline - self._loop.time())
        for connection in list(http.connections):
            connection.transport.abort()
        if http.connections:
            await asyncio.wait_for(empty.wait(), DRAIN_MARGIN / 2)
        if self._timer is not None:
            self._timer.cancel()
        await self.hub.close()


def _site(context: Context) -> Site | None:
    """The site to serve. Raises ValueError where it cannot be."""
    if not context.settings.pages:
        return None
    try:
        from ..site import Site
    except ModuleNotFoundError as error:
        raise ValueError(f"{error.name} is missing for --pages; install hexcast[pages]") from None
    return Site(context.settings.pages, context)


def _lab(context: Context, access: Access, loop: asyncio.AbstractEventLoop) -> Lab | None:
    """The lab, if it is wanted. Raises ValueError where it cannot be served."""
    if not context.settings.lab:
        return None
    try:
        from ..lab import Lab
    except ModuleNotFoundError as error:
        raise ValueError(f"{error.name} is missing for --lab; install hexcast[lab]") from None
    return Lab(context, access, loop.call_later)
