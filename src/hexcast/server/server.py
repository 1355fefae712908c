"""The server: listeners, the clock that drives the timers, and the drain."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import resource
import secrets
import signal
import socket
import string
import time
from collections.abc import Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any

from ..access import Access, canonical_origin, is_loopback
from ..feed import Feeds
from ..http import (
    ProtocolDetector,
    ServerContext,
    Tls,
    TlsTransport,
    dev_certificate,
)
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

__all__ = ["Server", "run"]

_log = logging.getLogger(__name__)

SWEEP_SECONDS = 1.0
BACKLOG = 4096
DRAIN_MARGIN = 0.5
"""Seconds of the drain deadline kept for the last steps after clients were cut off."""

Beside = Callable[["Server"], Coroutine[Any, Any, None]]


def new_epoch() -> str:
    """The name of a new epoch: random, so that a cursor of another log's life is never taken."""
    return "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(8))


def milliseconds() -> int:
    """The time in milliseconds since 1970 UTC."""
    return time.time_ns() // 1_000_000


class Server:
    """One server, run inside the current event loop."""

    def __init__(self, settings: Settings) -> None:
        """Raises ValueError where the settings are refused."""
        if not is_loopback(settings.host) and not settings.open:
            raise ValueError(
                f"{settings.host} can be reached by others and there are no keys: "
                "give --open to let everyone read and publish"
            )
        self.settings = settings
        self.port = settings.port
        loop = asyncio.get_running_loop()
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
        self.tls = _tls(settings)
        self.http = ServerContext(
            access.identify,
            plan,
            counters,
            loop.time,
            time.time,
            secure=self.tls is not None,
        )
        self._loop = loop
        self._listeners: list[asyncio.Server] = []
        self._timer: asyncio.TimerHandle | None = None
        self._sweep_at = loop.time() + SWEEP_SECONDS

    @property
    def url(self) -> str:
        """The base URL, for clients on this machine."""
        host = self.settings.host
        if host in ("0.0.0.0", "::", ""):
            host = "127.0.0.1"
        name = f"[{host}]" if ":" in host else host
        scheme = "http" if self.tls is None else "https"
        return f"{scheme}://{name}:{self.port}{self.settings.base_path}"

    @property
    def durability(self) -> str:
        """What an acknowledged record survives."""
        return self.hub.durability

    async def start(self) -> None:
        """Read the log, then listen. Raises OSError where either cannot be."""
        await self.hub.start()
        for listener in await _listen(self.settings.host, self.settings.port):
            self.port = listener.getsockname()[1]
            self._listeners.append(
                await self._loop.create_server(self._connection, sock=listener, backlog=BACKLOG)
            )
        if self.lab is not None:
            self.lab.listening(self.url)
        self._turn()

    def _connection(self) -> asyncio.Protocol:
        """What a new client is met with."""
        if self.tls is None:
            return ProtocolDetector(self.http)
        return TlsTransport(self.http, self.tls.context)

    def _turn(self) -> None:
        """Drive the timers of all connections."""
        self._timer = self._loop.call_later(self.http.timers.resolution, self._turn)
        self.http.tick()
        if self._loop.time() >= self._sweep_at:
            self._sweep_at = self._loop.time() + SWEEP_SECONDS
            self.context.sweep()

    async def drain(self) -> None:
        """Stop cleanly (protocol 5.6), within the drain deadline, whoever stays."""
        deadline = self._loop.time() + max(0.0, self.settings.drain - DRAIN_MARGIN)
        http = self.http
        self.context.draining = http.draining = True
        self.context.publishes.drain(max(0.0, self.settings.drain / 2 - SWEEP_SECONDS))
        if self.lab is not None:
            await self.lab.stop()
        for listener in self._listeners:
            listener.close()
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


def _tls(settings: Settings) -> Tls | None:
    """The TLS to serve with. Raises ValueError where the certificate cannot be used."""
    if settings.tls_dev:
        if settings.tls_cert or settings.tls_key:
            raise ValueError("give either a certificate and its key, or --tls-dev")
        return Tls(*dev_certificate())
    if bool(settings.tls_cert) != bool(settings.tls_key):
        raise ValueError("TLS needs both: --tls-cert and --tls-key")
    return Tls(settings.tls_cert, settings.tls_key) if settings.tls_cert else None


async def _listen(host: str, port: int) -> list[socket.socket]:
    """Sockets bound to every address of `host`, on one port."""
    found = await asyncio.get_running_loop().getaddrinfo(
        host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    listeners: list[socket.socket] = []
    try:
        for family, kind, protocol, _, address in dict.fromkeys(found):
            listener = socket.socket(family, kind, protocol)
            listeners.append(listener)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            # Accepted sockets inherit this: a client that vanished is noticed in the end.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            if family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listener.bind((address[0], port, *address[2:]))
            port = listener.getsockname()[1]
    except OSError:
        for listener in listeners:
            listener.close()
        raise
    return listeners


def raise_open_files() -> None:
    """Allow this process as many open sockets as the system does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _reload(tls: Tls | None) -> None:
    if tls is not None:
        tls.reload()
    else:
        _log.info("SIGHUP: there is no certificate to read again")


async def _serve(
    settings: Settings, announce: Callable[[Server], None] | None, beside: Beside | None
) -> int:
    server = Server(settings)
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    # Handled without TLS too: by default it would end the process without a drain.
    loop.add_signal_handler(signal.SIGHUP, _reload, server.tls)
    await server.start()
    if announce is not None:
        announce(server)
    task = asyncio.create_task(beside(server)) if beside is not None else None
    stopped = asyncio.create_task(stop.wait())
    waited = {stopped} if task is None else {stopped, task}
    done, _ = await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
    failed = task is not None and task in done and task.exception() is not None
    if task is not None and task in done and not failed:
        await stopped
    stopped.cancel()
    if task is not None and not task.done():
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait_for(task, settings.drain / 2)
    await server.drain()
    # A second signal while the process ends asks for what has been done.
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGINT))
    if failed and task is not None:
        _log.error("stopped because of %r", task.exception(), exc_info=task.exception())
    return 1 if failed else 0


def run(
    settings: Settings,
    *,
    announce: Callable[[Server], None] | None = None,
    beside: Beside | None = None,
) -> int:
    """Serve until SIGTERM or SIGINT, then drain; returns the code for the process to end with.

    `announce` is called once the server listens; `beside` runs as a task for as long as it does.
    Raises OSError where the address cannot be bound, ValueError where the settings are refused.
    """
    raise_open_files()
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(_serve(settings, announce, beside))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop, where it is to be had."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
