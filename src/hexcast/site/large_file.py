"""Large files: read a piece at a time, off the event loop, no faster than the client takes them."""

from __future__ import annotations

import asyncio
from io import FileIO

from ..http import Exchange, Headers

__all__ = ["send_file"]

PIECE = 2**16
STALLED_SECONDS = 60.0
"""How long a client may take nothing before it is given up."""


def send_file(exchange: Exchange, file: FileIO, headers: Headers) -> None:
    """Answer with a file, and close it."""
    sending = _Sending(exchange)
    exchange.handler = sending
    sending.begin(file, headers)


class _Sending:
    """One file on its way to one client."""

    __slots__ = ("_exchange", "_gone", "_may_write", "_task")

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._gone = False
        self._may_write = asyncio.Event()
        self._may_write.set()
        self._task: asyncio.Task[None] | None = None

    def begin(self, file: FileIO, headers: Headers) -> None:
        exchange = self._exchange
        write, frame = exchange.start(200, headers), exchange.frame

        async def send() -> None:
            # Not cancelled when the client goes: a read that is under way needs the open file.
            with file:
                try:
                    while data := await asyncio.to_thread(file.read, PIECE):
                        await self._may_write.wait()
                        if self._gone:
                            return
                        write(frame(data))
                except OSError:
                    exchange.abort()  # a body cut short must not look whole
                else:
                    exchange.finish()

        self._task = asyncio.get_running_loop().create_task(send())

    def pause(self) -> None:
        self._may_write.clear()
        self._exchange.set_deadline(STALLED_SECONDS)

    def resume(self) -> None:
        self._exchange.set_deadline(0)
        self._may_write.set()

    def disconnected(self) -> None:
        self._gone = True
        self._may_write.set()

    def timeout(self) -> None:
        self._exchange.abort()

    def drain(self) -> None:
        """What is on its way may come to its end; the drain's deadline bounds it."""
