"""What a way sees of a request: an `Exchange`, never a socket.

A connection reads a request's head, gets a `Plan` for it, reads the body if the plan wants one, and
runs the plan with an exchange. A plan may answer at once or later. Until the answer is finished the
exchange reports to its `Handler`: the socket is full, has drained, the client has disconnected.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from enum import Enum
from typing import Protocol

import msgspec

from ..model import Caller, PerClient
from .request import Request
from .response import Headers, Preload, Response

__all__ = ["Body", "BodyReader", "Exchange", "Frame", "Handler", "Plan", "Tunnel", "chunk", "plain"]

Frame = Callable[[bytes], bytes]
Write = Callable[[bytes], None]


def chunk(data: bytes) -> bytes:
    """One chunk of a chunked body (RFC 9112, 7.1)."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def plain(data: bytes) -> bytes:
    """Part of a body that is framed elsewhere, or that ends with the connection."""
    return data


class Body(Enum):
    """What a plan does with the request's body."""

    NONE = "none"
    WHOLE = "whole"
    STREAM = "stream"


class BodyReader(Protocol):
    """Reads a body as it arrives."""

    def feed(self, data: bytes) -> None: ...

    def eof(self) -> None:
        """The body is complete."""
        ...


class Tunnel(Protocol):
    """Reads what a client sends after its connection was switched to another protocol."""

    def feed(self, data: bytes) -> None: ...

    def eof(self) -> None: ...


class Handler(Protocol):
    """Handles the events of an exchange whose answer is not finished."""

    def pause(self) -> None:
        """The socket is full: write nothing until `resume`."""
        ...

    def resume(self) -> None:
        """The socket has drained."""
        ...

    def disconnected(self) -> None:
        """The client has disconnected. Nothing can be written any more."""
        ...

    def timeout(self) -> None:
        """The deadline that was set with `Exchange.set_deadline` has passed."""
        ...

    def drain(self) -> None:
        """The server stops: end the answer in the way's own format."""
        ...


class Plan(msgspec.Struct, frozen=True, eq=False):
    """How a request is answered. A plan is a value: the same for equal requests.

    `run` is called with the exchange and the whole body (empty unless `body` is WHOLE), at most
    `limit` bytes of it. With STREAM it is called before the body has come, and sets
    `Exchange.body_reader`, then or later; until then it pauses reading.
    """

    run: Callable[[Exchange, bytes], None]
    body: Body = Body.NONE
    limit: int = 0
    headers: Headers = ()
    """Sent with the answer, whatever that is."""


class Exchange(PerClient, ABC):
    """One request and its answer. After the answer is finished, every call does nothing."""

    __slots__ = ("body_reader", "caller", "frame", "handler", "request")

    frame: Frame
    """How part of an open body is framed; equal for all exchanges that can share bytes."""

    def __init__(self, request: Request, caller: Caller, frame: Frame) -> None:
        self.request = request  # until the answer has begun
        self.caller = caller
        self.frame = frame
        self.handler: Handler | None = None
        self.body_reader: BodyReader | None = None

    @abstractmethod
    def respond(self, response: Response) -> None:
        """Send a complete answer."""

    @abstractmethod
    def start(self, status: int, headers: Headers) -> Write:
        """Begin an answer of open length; returns the function that writes framed parts of it."""

    @abstractmethod
    def finish(self) -> None:
        """End an answer of open length."""

    @abstractmethod
    def tunnel(self, headers: Headers, tunnel: Tunnel) -> Write:
        """Switch protocols; returns the function that writes bytes. Only where `can_tunnel`."""

    @property
    @abstractmethod
    def can_tunnel(self) -> bool:
        """Whether the request is for a WebSocket, and this connection could carry one."""

    @property
    def push_denied(self) -> str:
        """Why nothing can be pushed to this client (protocol 3); empty where it can."""
        return "http1"

    def push(self, target: str, response: Response) -> bool:
        """Promise a GET of `target` on this open answer and push it; False where it cannot be."""
        return False

    def cork(self) -> None:  # over HTTP/1.1 each write is whole already
        """Buffer what is written from here on until `uncork`, to send it with one write."""

    def uncork(self) -> None:  # as for cork
        """Send what was written since `cork`."""

    def ping(self) -> None:  # HTTP/1.1 has none
        """Show proxies and the client that the connection is alive."""

    def hint(self, preloads: tuple[Preload, ...]) -> None:  # not over HTTP/1.1
        """Before the answer: push what the client will request next, or announce it (103).

        HTTP/1.1 sends no 103: there are clients that take it for the answer (RFC 8297, 3).
        """

    @abstractmethod
    def set_deadline(self, seconds: float) -> None:
        """Call the handler's `timeout` after this time, in place of any set before; 0: never."""

    def set_buffered(self, size: int) -> None:  # one body alone has its own limit
        """Report how many received bytes are buffered because their rest has not arrived.

        All exchanges of a connection share a bound on these. Called whenever the number changes.
        """

    @abstractmethod
    def pause_reading(self) -> None:
        """Read no more of the body, or of the tunnel, until `resume_reading`."""

    @abstractmethod
    def resume_reading(self) -> None:
        """Read again."""

    @abstractmethod
    def abort(self) -> None:
        """Cut the connection at once."""

    @abstractmethod
    def close(self) -> None:
        """Close the connection once everything written has been sent."""
