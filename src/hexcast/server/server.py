"""The server: a node behind listening sockets, with the signals that stop it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import resource
import signal
import socket
from collections.abc import Callable, Coroutine
from typing import Any

from ..access import is_loopback
from ..http import ProtocolDetector, Tls, TlsTransport, dev_certificate
from ..settings import Settings
from .node import Node

__all__ = ["Server", "run"]

_log = logging.getLogger(__name__)

BACKLOG = 4096

Beside = Callable[["Server"], Coroutine[Any, Any, None]]


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
        self.tls = _tls(settings)
        self.node = Node(settings, secure=self.tls is not None)
        self._listeners: list[asyncio.Server] = []

    @property
    def url(self) -> str:
        """The base URL, for clients on this machine."""
        host = self.settings.host
        if host in ("0.0.0.0", "::", ""):
            host = "127.0.0.1"
        name = f"[{host}]" if ":" in host else host
        scheme = "http" if self.tls is None else "https"
        return f"{scheme}://{name}:{self.port}{self.settings.base_path}"

    async def start(self) -> None:
        """Read the log, then listen. Raises OSError where either cannot be."""
        await self.node.start()
        loop = asyncio.get_running_loop()
        for listener in await _listen(self.settings.host, self.settings.port):
            self.port = listener.getsockname()[1]
            self._listeners.append(
                await loop.create_server(self._connection, sock=listener, backlog=BACKLOG)
            )
        if self.node.lab is not None:
            self.node.lab.listening(self.url)

    def _connection(self) -> asyncio.Protocol:
        """The protocol of a new connection."""
        if self.tls is None:
            return ProtocolDetector(self.node.http)
        return TlsTransport(self.node.http, self.tls.context)

    async def drain(self) -> None:
        """Accept nothing more, and drain the node."""
        for listener in self._listeners:
            listener.close()
        await self.node.drain()


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
