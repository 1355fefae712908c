"""One client of a run, as the server sees it: what it asks, gets and costs, and how to harm it.

A request with `?client=RUN.WAY` is served through a `Metered` exchange, which counts and passes on.
Requests without pay nothing for it. The harms are those that a network does: `cut` aborts what is
open and whatever comes for a time, `slow` holds back writes as a socket would whose reader takes so
many bytes a second, `buffering` gathers open answers as a proxy does that was not told to stream.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import thread_time

import msgspec

from ..http import (
    Exchange,
    Handler,
    Headers,
    MessageReader,
    Plan,
    Preload,
    Request,
    Response,
    Tunnel,
    head_block,
    plain,
)
from ..model import Caller
from .cost import call_cost, footprint

__all__ = ["Client", "Metered"]

PROXY_BYTES = 16 * 1024
"""What the buffering proxy gathers before it passes anything on."""

_TAIL = 39
"""Bytes of the header Date and of the empty line after the headers."""

Later = Callable[[float, Callable[[], None]], object]
Run = Callable[[Exchange, bytes], None]


class _Batch(msgspec.Struct):
    records: list[msgspec.Raw] = []


_batch = msgspec.json.Decoder(_Batch)


class Client:
    """The counters of one client, and what is done to it. `clock` gives seconds, monotonic."""

    def __init__(self, way: str, clock: Callable[[], float], later: Later) -> None:
        self.way = way
        self.clock = clock
        self.later = later
        self.requests = 0
        self.vain = 0  # requests that brought nothing new
        self.received = 0  # bytes from the client, heads counted as HTTP/1.1 writes them
        self.sent = 0  # bytes to the client, likewise
        self.cpu = 0.0  # seconds
        self.exchanges: set[Metered] = set()  # what is open
        self.away_until = 0.0
        self.slow = 0  # bytes a second; 0 for as fast as it reads
        self.buffering = False
        self._paces: deque[tuple[float, int]] = deque(maxlen=12)  # when, and what was sent by then
        self._tag = ""
        self._timing = False

    def figures(self) -> dict[str, object]:
        """The counters as they stand: asked for now and then."""
        self._paces.append((self.clock(), self.sent))
        return {
            "requests": self.requests,
            "vain": self.vain,
            "in": self.received,
            "out": self.sent,
            "cpu": round(self.cpu * 1000, 3),
            "memory": sum(e.footprint() for e in self.exchanges),
            "open": len(self.exchanges),
            "away": self.away_until > self.clock(),
            "slow": self.slow,
            "proxy": self.buffering,
        }

    def pace(self) -> int:
        """Bytes a second that were sent to it lately."""
        if len(self._paces) < 2:
            return 0
        (began, before), (now, sent) = self._paces[0], self._paces[-1]
        return int((sent - before) / max(now - began, 0.001))

    def cut(self, seconds: float = 0.0) -> None:
        """Abort what is open, and for a time whatever comes."""
        self.away_until = self.clock() + seconds
        for exchange in list(self.exchanges):
            exchange.abort()
        self.exchanges.clear()

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Count the processor time of what is done inside; what is inside of that, only once."""
        if self._timing:
            yield
            return
        self._timing = True
        began = thread_time()
        try:
            yield
        finally:
            self.cpu += thread_time() - began
            self._timing = False

    def serve(self, run: Run, exchange: Exchange, body: bytes, *, fresh: bool) -> None:
        """Run a plan for this client. `fresh`: its head was parsed for this request."""
        if self.clock() < self.away_until:
            exchange.abort()
            return
        request = exchange.request
        head = _head(request)
        self.requests += 1
        self.received += len(head)
        self.cpu += call_cost().receive
        if fresh and request.version.startswith("1"):
            self.cpu += _reading(head)
        metered = Metered(exchange, self)
        self.exchanges.add(metered)
        with self.timed():
            run(metered, body)

    def answered(self, response: Response) -> None:
        """Note whether an answer brought anything."""
        tag = way = ""
        for name, value in response.headers:
            if name == "ETag":
                tag = value
            elif name == "Hexcast-Way":
                way = value
        if response.status == 304 or (response.status == 404):
            self.vain += 1
        elif tag:
            self.vain += tag == self._tag
            self._tag = tag
        elif way in ("poll", "long-poll") and response.status == 200:
            try:
                self.vain += not _batch.decode(response.body).records
            except msgspec.DecodeError:
                return  # compressed, and so not empty: nobody compresses that little


def _head(request: Request) -> bytes:
    """A request's head as HTTP/1.1 writes it."""
    lines = [f"{request.method} {request.target.decode('latin-1')} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in request.headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")


def _reading(head: bytes) -> float:
    """Seconds of processor time that it takes to read a head: by reading it once more."""
    began = thread_time()
    MessageReader(lambda request: _UNUSED, lambda message: None).feed(head)
    return thread_time() - began


_UNUSED = Caller(), Plan(lambda exchange, body: None)


class Metered(Exchange):
    """Another exchange, with a meter. Its owner is told of everything through this."""

    __slots__ = (
        "_client",
        "_full",
        "_gathered",
        "_held",
        "_inner",
        "_out",
        "_owner",
        "_pushed",
        "_tunnel",
    )

    def __init__(self, inner: Exchange, client: Client) -> None:
        self._inner = inner
        self._client = client
        self._owner: Handler | None = None
        self._tunnel: Tunnel | None = None
        self._out: Callable[[bytes], None] | None = None
        self._pushed = 0  # bytes of answers pushed before the lines that tell of them
        self._full = False  # the socket is
        self._held = False  # by us, because its reader is slow
        self._gathered: list[bytes] | None = [] if client.buffering else None
        super().__init__(inner.request, inner.caller, inner.frame)

    def footprint(self) -> int:
        """Bytes that are kept for this client."""
        return footprint(self._inner, self._owner, self._tunnel)

    # Who keeps it open

    @property
    def handler(self) -> Handler | None:
        return self._owner

    @handler.setter
    def handler(self, handler: Handler | None) -> None:
        self._owner = handler
        self._inner.handler = None if handler is None else self

    def pause(self) -> None:
        self._full = True
        if self._owner is not None and not self._held:
            self._owner.pause()

    def resume(self) -> None:
        self._full = False
        if self._owner is not None and not self._held:
            with self._client.timed():
                self._owner.resume()

    def disconnected(self) -> None:
        self._over()
        handler, self._owner = self._owner, None
        if handler is not None:
            handler.disconnected()

    def timeout(self) -> None:
        if self._owner is not None:
            with self._client.timed():
                self._owner.timeout()

    def drain(self) -> None:
        if self._owner is not None:
            self._owner.drain()

    def _over(self) -> None:
        self._client.exchanges.discard(self)
        self._gathered = None

    # The tunnel's other end

    def feed(self, data: bytes) -> None:
        client = self._client
        client.received += len(data)
        client.cpu += call_cost().receive
        if self._tunnel is not None:
            with client.timed():
                self._tunnel.feed(data)

    def eof(self) -> None:
        if self._tunnel is not None:
            self._tunnel.eof()

    # What goes out

    def respond(self, response: Response) -> None:
        client = self._client
        client.answered(response)
        client.sent += len(response.block) + _TAIL + len(response.body)
        client.cpu += call_cost().send
        self._owner = None
        self._over()
        wait = len(response.body) / client.slow if client.slow else 0.0
        if wait > 0.01:
            client.later(wait, lambda: self._inner.respond(response))
            return
        with client.timed():
            self._inner.respond(response)

    def start(self, status: int, headers: Headers) -> Callable[[bytes], None]:
        return self._opened(status, headers, self._inner.start(status, headers))

    def tunnel(self, headers: Headers, tunnel: Tunnel) -> Callable[[bytes], None]:
        self._tunnel = tunnel
        return self._opened(101, headers, self._inner.tunnel(headers, self))

    def _opened(
        self, status: int, headers: Headers, out: Callable[[bytes], None]
    ) -> Callable[[bytes], None]:
        client = self._client
        if status == 200 and self.frame is not plain:
            headers = (*headers, ("Transfer-Encoding", "chunked"))
        client.sent += len(head_block(status, headers)) + _TAIL
        client.cpu += call_cost().send
        self.request = Request.spent()
        self._out = out
        return self._write

    def _write(self, data: bytes) -> None:
        client = self._client
        if self._gathered is not None:
            self._gathered.append(data)
            if sum(map(len, self._gathered)) < PROXY_BYTES:
                return
            data, self._gathered = b"".join(self._gathered), []
        self._send(data)
        if client.slow and not self._held:
            self._hold((len(data) + self._pushed) / client.slow)
        self._pushed = 0

    def _send(self, data: bytes) -> None:
        client = self._client
        client.sent += len(data)
        client.cpu += call_cost().send
        if self._out is not None:
            with client.timed():
                self._out(data)

    def _hold(self, seconds: float) -> None:
        """Be full until the slow reader has taken what was written."""
        self._held = True
        if self._owner is not None and not self._full:
            self._owner.pause()
        self._client.later(seconds, self._let_on)

    def _let_on(self) -> None:
        self._held = False
        if self._owner is not None and not self._full:
            with self._client.timed():
                self._owner.resume()

    def finish(self) -> None:
        if self._gathered:
            data, self._gathered = b"".join(self._gathered), None
            self._send(data)
        if self._inner.frame is not plain:
            self._client.sent += 5  # the last chunk
        self._owner = None
        self._over()
        self._inner.finish()

    @property
    def can_tunnel(self) -> bool:
        return self._inner.can_tunnel and self._gathered is None

    @property
    def push_denied(self) -> str:
        return self._inner.push_denied if self._gathered is None else "http1"

    def push(self, target: str, response: Response) -> bool:
        client = self._client
        pushed = self._inner.push(target, response)
        if pushed:
            size = len(response.block) + len(response.body)
            client.sent += size
            self._pushed += size
            client.cpu += call_cost().send
        return pushed

    # Passed on

    def set_buffered(self, size: int) -> None:
        self._inner.set_buffered(size)

    def cork(self) -> None:
        self._inner.cork()

    def uncork(self) -> None:
        self._inner.uncork()

    def ping(self) -> None:
        self._inner.ping()

    def hint(self, preloads: tuple[Preload, ...]) -> None:
        self._inner.hint(preloads)

    def set_deadline(self, seconds: float) -> None:
        self._inner.set_deadline(seconds)

    def pause_reading(self) -> None:
        self._inner.pause_reading()

    def resume_reading(self) -> None:
        self._inner.resume_reading()

    def abort(self) -> None:
        self._inner.abort()

    def close(self) -> None:
        self._inner.close()
