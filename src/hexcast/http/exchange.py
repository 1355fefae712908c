"""What a way sees of a request: an `Exchange`, never a socket.

A connection settles how a request is answered (its `Plan`) once the head is read, brings the body
if the plan wants one, and runs the plan with an exchange. Whoever keeps an exchange open is its
`Handler` and is told when the socket is full, has drained, or is gone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from enum import Enum
from http import HTTPStatus
from typing import NamedTuple, Protocol

from .request import Request

__all__ = [
    "Body",
    "BodySink",
    "Exchange",
    "Frame",
    "Handler",
    "Headers",
    "Plan",
    "Preload",
    "Response",
    "Tunnel",
    "chunk",
    "head_block",
    "plain",
]  # fmt: skip

Headers = tuple[tuple[str, str], ...]
Frame = Callable[[bytes], bytes]
Write = Callable[[bytes], None]


def chunk(data: bytes) -> bytes:
    """One chunk of a chunked body (RFC 9112, 7.1)."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def plain(data: bytes) -> bytes:
    """A piece of a body that is framed elsewhere, or ends with the connection."""
    return data


def head_block(status: int, headers: Headers) -> bytes:
    """A status line and headers for HTTP/1.1, without the empty line that ends them."""
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}"]
    lines += [f"{name}: {value}" for name, value in headers]
    return ("\r\n".join(lines) + "\r\n").encode("latin-1")


class Response:
    """A complete answer. `block` is its status line and headers, ready for HTTP/1.1."""

    __slots__ = ("block", "body", "headers", "status")

    def __init__(self, status: int, headers: Headers = (), body: bytes = b"") -> None:
        self.status = status
        self.headers = headers
        self.body = body
        # RFC 9110, 8.6: no Content-Length in 1xx and 204; in 304 it would speak of the 200.
        if status not in (204, 304):
            headers = (*headers, ("Content-Length", str(len(body))))
        self.block = head_block(status, headers)


class Preload(NamedTuple):
    """What a client will ask for next, or may: its path, what it is (as `Link` has it: `script`;
    empty where only those are told that take push), the answer."""

    target: str
    kind: str
    response: Callable[[], Response]


class Body(Enum):
    """What a plan does with the request's body."""

    NONE = "none"
    WHOLE = "whole"
    STREAM = "stream"


class BodySink(Protocol):
    """Takes a body as it comes."""

    def feed(self, data: bytes) -> None: ...

    def eof(self) -> None:
        """The body is complete."""
        ...


class Tunnel(Protocol):
    """Takes what a client sends once its connection speaks another protocol."""

    def feed(self, data: bytes) -> None: ...

    def eof(self) -> None: ...


class Handler(Protocol):
    """Who keeps an exchange open."""

    def pause(self) -> None:
        """The socket is full: write no more for now."""
        ...

    def resume(self) -> None:
        """The socket has drained."""
        ...

    def gone(self) -> None:
        """The client is gone. Nothing can be written any more."""
        ...

    def timeout(self) -> None:
        """The time asked for with `Exchange.wake` has come."""
        ...

    def drain(self) -> None:
        """The server stops: say so in the way's own words and finish."""
        ...


class Plan:
    """How a request is answered.

    `run` is called with the exchange and the whole body (empty unless `body` is WHOLE), at most
    `limit` bytes of it. With STREAM it is called before the body and sets `Exchange.sink`.
    """

    __slots__ = ("body", "extra", "limit", "run")

    def __init__(
        self, run: Callable[[Exchange, bytes], None], body: Body = Body.NONE, limit: int = 0
    ) -> None:
        self.run = run
        self.body = body
        self.limit = limit
        self.extra: Headers = ()  # sent with whatever the answer is


class Exchange(ABC):
    """One request and its answer. After the answer is finished every call is void."""

    __slots__ = ("frame", "handler", "request", "sink")

    frame: Frame
    """How a piece of an open body is framed; equal for all exchanges that can share bytes."""

    def __init__(self, request: Request, frame: Frame) -> None:
        self.request = request  # until the answer has begun
        self.frame = frame
        self.handler: Handler | None = None
        self.sink: BodySink | None = None

    @abstractmethod
    def respond(self, response: Response) -> None:
        """Send a complete answer."""

    @abstractmethod
    def start(self, status: int, headers: Headers) -> Write:
        """Begin an answer of open length; returns what writes pieces, already framed."""

    @abstractmethod
    def finish(self) -> None:
        """End an answer of open length."""

    @abstractmethod
    def tunnel(self, headers: Headers, tunnel: Tunnel) -> Write:
        """Switch protocols; returns what writes bytes. Only where `can_tunnel`."""

    @property
    @abstractmethod
    def can_tunnel(self) -> bool:
        """Whether the request asks for another protocol that this connection could carry."""

    @property
    def push_denied(self) -> str:
        """Why nothing can be pushed to this client (contract 3); empty where it can."""
        return "http1"

    def push(self, target: str, response: Response) -> bool:
        """Promise a GET of `target` on this open answer and push it; False where it cannot be."""
        return False

    def cork(self) -> None:  # noqa: B027  # what is written over HTTP/1.1 is whole already
        """Let what is written from here on wait for `uncork`, to leave in one piece."""

    def uncork(self) -> None:  # noqa: B027  # as for cork
        """Send what was written since `cork`."""

    def ping(self) -> None:  # noqa: B027  # HTTP/1.1 has none
        """Show proxies and the client that the connection lives."""

    def hint(self, ahead: tuple[Preload, ...]) -> None:  # noqa: B027  # HTTP/1.1 has no way to
        """Before the answer: push what the client will ask for next, or tell it what that is.

        Over HTTP/1.1 nothing is told: there are clients that take 103 for the answer (RFC 8297, 3).
        """

    @abstractmethod
    def wake(self, seconds: float) -> None:
        """Call the owner's `timeout` after a time, instead of any set before; 0 for never."""

    def holds(self, size: int) -> None:  # noqa: B027  # one body alone is bounded by its limit
        """Of what came in, keep `size` bytes whose rest has not come: all who do so share a bound.

        Called whenever that may have changed.
        """

    @abstractmethod
    def pause_reading(self) -> None:
        """Take no more of the body, or of the tunnel, for now."""

    @abstractmethod
    def resume_reading(self) -> None:
        """Take more again."""

    @abstractmethod
    def abort(self) -> None:
        """Cut the connection at once."""

    @abstractmethod
    def close(self) -> None:
        """Close the connection once everything written has gone out."""
