"""Takes connections and does their TLS handshakes, where a stop can end them.

A listener of the event loop keeps to itself which handshakes are under way. One that a client never
finishes would then hold up a stop, and on uvloop the end of the process.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
import ssl

from .opening import Opening
from .service import Service

__all__ = ["TlsListener"]

_log = logging.getLogger(__name__)

BACKLOG = 4096
HANDSHAKE_SECONDS = 10.0
SHUTDOWN_SECONDS = 2.0
RETRY_SECONDS = 0.5
_ACCEPTED_AT_ONCE = 64
_EXHAUSTED = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))


class TlsListener:
    """Listens on a bound socket, within the current event loop."""

    def __init__(self, service: Service, sock: socket.socket, context: ssl.SSLContext) -> None:
        """Raises OSError where the socket cannot listen."""
        self._service = service
        self._sock = sock
        self._context = context
        self._loop = asyncio.get_running_loop()
        self._retry: asyncio.TimerHandle | None = None
        sock.setblocking(False)
        sock.listen(BACKLOG)
        self._loop.add_reader(sock, self._accept)

    def _accept(self) -> None:
        for _ in range(_ACCEPTED_AT_ONCE):
            try:
                client, _address = self._sock.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in _EXHAUSTED:
                    raise
                # The connection stays in the queue, and the socket readable: wait instead of spin.
                _log.error("cannot take connections now: %s", error)
                self._loop.remove_reader(self._sock)
                self._retry = self._loop.call_later(RETRY_SECONDS, self._resume)
                return
            client.setblocking(False)
            _Handshake(self._service, client, self._context)

    def _resume(self) -> None:
        self._retry = None
        self._loop.add_reader(self._sock, self._accept)

    def close(self) -> None:
        """Take no more connections. What was accepted goes on."""
        if self._retry is not None:
            self._retry.cancel()
        else:
            self._loop.remove_reader(self._sock)
        self._sock.close()


class _Handshake:
    """A connection whose handshake is under way: the one time that it has a task."""

    __slots__ = ("_sock", "_task", "service")

    def __init__(self, service: Service, sock: socket.socket, context: ssl.SSLContext) -> None:
        self.service = service
        self._sock = sock
        service.connections.add(self)
        service.meters.connections += 1
        self._task = asyncio.get_running_loop().create_task(self._shake(context))

    async def _shake(self, context: ssl.SSLContext) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: Opening(self.service),
                self._sock,
                ssl=context,
                ssl_handshake_timeout=HANDSHAKE_SECONDS,
                ssl_shutdown_timeout=SHUTDOWN_SECONDS,
            )
        except OSError as error:
            _log.debug("no TLS with a client: %s", error)
        finally:
            self.service.meters.connections -= 1
            self.service.left(self)

    @property
    def transport(self) -> _Handshake:
        """There is none yet; what can be cut off is the socket."""
        return self

    def drain(self) -> None:
        """Nothing has been asked yet."""
        self.abort()

    def abort(self) -> None:
        with contextlib.suppress(OSError):  # closed already: the task is about to end
            self._sock.shutdown(socket.SHUT_RDWR)
