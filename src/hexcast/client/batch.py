"""Publishing many records: a stream of lines out, a stream of acknowledgements back.

Nothing is lost and nothing doubled when a connection breaks: each record has an idempotency key,
and what was not acknowledged is sent again with it. Records are acknowledged in the order they were
given. No more than a bounded number are held, so a slow server slows the source.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable
from functools import partial
from types import TracebackType
from typing import Self

from .backoff import Backoff
from .encoding import Message, encode_line
from .errors import ConnectionFailed, HexcastError, Refused
from .http1_stream import BatchRequest
from .messages import decode
from .pending import Acknowledged, Window
from .retry import Listener, Retrying
from .transport import Transport

__all__ = ["BatchPublisher"]

SEND_BYTES = 65536

# After so long without a record the request is ended, before anything on the path takes it for
# dead; the next record opens another.
IDLE_SECONDS = 20.0

# Answers come at once where lines go through at once. When none has come after so long, something
# on the path (a proxy that buffers) waits for the end of the request: it is given that.
LINGER_SECONDS = 1.5

# What a server may take to say why it closed, after a write failed.
LAST_WORDS_SECONDS = 2.0


class BatchPublisher:
    """An async iterator of acknowledgements, one for each message, in the messages' order.

    It ends when the messages do and all are acknowledged. A message that the server refuses comes
    back with its error; Refused is raised when the server refuses the batch as a whole, and the
    last failure when for `give_up` seconds nothing has come through and either nothing ever did
    or there are no more messages to come (None: never give up). Close it with `aclose()` or by
    `async with`.
    """

    def __init__(
        self,
        transport: Transport,
        messages: AsyncIterable[Message],
        *,
        unacknowledged: int = 1000,
        give_up: float | None = 60.0,
        listener: Listener | None = None,
        backoff: Backoff | None = None,
    ) -> None:
        self._transport = transport
        self._messages = messages
        self._window = Window(unacknowledged)
        self._give_up = give_up
        self._retrying = Retrying(listener, backoff)
        self._key = secrets.token_hex(8)  # what this publisher's keys begin with
        self._changed = asyncio.Event()
        self._input_over = False
        self._at_once = False  # something on the path buffers: end each request when it is sent
        self._ever_answered = False
        self._failing_since: float | None = None
        self._acknowledged = self._run()

    @property
    def unacknowledged(self) -> int:
        """Records that were taken from the source and are not acknowledged yet."""
        return self._window.held

    def __aiter__(self) -> AsyncIterator[Acknowledged]:
        return self

    async def __anext__(self) -> Acknowledged:
        return await anext(self._acknowledged)

    async def aclose(self) -> None:
        """Stop, without waiting for what is unacknowledged."""
        await self._acknowledged.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def _run(self) -> AsyncGenerator[Acknowledged, None]:
        feeding = asyncio.create_task(self._feed())
        serving = asyncio.create_task(self._serve())
        serving.add_done_callback(lambda _: self._changed.set())
        try:
            while not serving.done() or self._window.finished:
                for acknowledged in self._window.done():
                    yield acknowledged
                    self._changed.set()  # there is room
                await self._until(lambda: self._window.finished or serving.done())
            await serving  # raises what it failed with
            await feeding
        finally:
            feeding.cancel()
            serving.cancel()
            await asyncio.gather(feeding, serving, return_exceptions=True)

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._changed.clear()
            await self._changed.wait()

    # From the source into the window

    async def _feed(self) -> None:
        try:
            count = 0
            async for message in self._messages:
                await self._until(lambda: not self._window.full)
                count += 1
                try:
                    line = encode_line(message, message.key or f"{self._key}-{count}")
                except (TypeError, ValueError) as error:
                    self._window.add_failed(message, HexcastError(str(error)))
                else:
                    self._window.add(message, line)
                self._changed.set()
        finally:
            self._input_over = True
            self._changed.set()

    # From the window to the server, and the answers back

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._until(lambda: self._window.due or self._input_over)
            if not self._window.due:
                return
            failure: HexcastError | None = None
            try:
                request = await BatchRequest.open(self._transport)
                try:
                    failure = await self._exchange(request)
                finally:
                    await request.aclose()
            except ConnectionFailed as error:
                failure = error
            except Refused as error:
                if not error.transient:
                    raise
                failure = error
            self._window.lost(loop.time())
            self._changed.set()
            if failure is not None:
                self._despair(failure, loop.time())
                floor = failure.retry_after if isinstance(failure, Refused) else 0.0
                await self._retrying.pause("publish", str(failure), floor=floor)

    def _despair(self, failure: HexcastError, now: float) -> None:
        """Raise `failure` if nothing has come through for too long and there is no reason to
        hope."""
        if self._failing_since is None:
            self._failing_since = now
        if (
            self._give_up is not None
            and now - self._failing_since >= self._give_up
            and (self._input_over or not self._ever_answered)
        ):
            raise failure

    async def _exchange(self, request: BatchRequest) -> HexcastError | None:
        """Make one request of it; None when it came to a good end, else why to wait a little."""
        sending = asyncio.create_task(self._send(request))
        reading = asyncio.create_task(self._read(request))
        try:
            await asyncio.wait({sending, reading}, return_when=asyncio.FIRST_COMPLETED)
            if not reading.done() and sending.exception() is not None:
                # The server may have said why it does not listen any more.
                await asyncio.wait({reading}, timeout=LAST_WORDS_SECONDS)
                if not reading.done():
                    await sending
            await reading
        finally:
            sending.cancel()
            reading.cancel()
            await asyncio.gather(sending, reading, return_exceptions=True)
        if self._window.refused:
            return ConnectionFailed("the server asks to try again later")
        if self._window.unanswered or not request.finished:
            return ConnectionFailed("the server ended the connection")
        return None

    async def _send(self, request: BatchRequest) -> None:
        loop = asyncio.get_running_loop()
        window = self._window
        sent_at = begun = loop.time()
        while True:
            while window.due and not window.refused:
                sent_at = loop.time()
                await request.send(window.take(sent_at, SEND_BYTES))
            if window.refused or self._input_over or self._at_once:
                break
            lingering = not request.answered
            try:
                async with asyncio.timeout_at(
                    begun + LINGER_SECONDS if lingering else sent_at + IDLE_SECONDS
                ):
                    await self._until(partial(self._may_go_on, request, lingering))
            except TimeoutError:
                break
        request.finish()

    def _may_go_on(self, request: BatchRequest, lingering: bool) -> bool:
        return (
            self._window.due
            or self._window.refused
            or self._input_over
            or (lingering and request.answered)
        )

    async def _read(self, request: BatchRequest) -> None:
        first = True
        async for line in request.answers():
            if first:
                first = False
                # Here and not when the connection is made: something has come through.
                self._at_once = request.finished and not self._input_over
                self._ever_answered = True
                self._failing_since = None
                self._retrying.connected("publish")
            if line:
                self._window.answer(decode(line))
                if not self._window.refused:
                    self._retrying.progressed()
                self._changed.set()
