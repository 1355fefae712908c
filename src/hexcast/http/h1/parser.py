"""HTTP/1.1 messages without I/O: bytes in, `Incoming` requests out, within limits.

Theory of operation. llhttp (through httptools) parses the grammar of RFC 9112 and calls back with
each part. It buffers a request line or a header line until the line ends, without a bound, and
reports nothing meanwhile; so the bounds are kept here, from outside. Rules:

1. A part that was reported is counted by its callback: the request line in `on_url`, headers in
   `on_header`, a body in `on_body`. Each refuses as soon as its own limit is passed.
2. A line that has not ended is not reported. `_unread` counts the bytes that were fed since the
   last place that is known to be reported: the end of the last whole line, or of the last body.
   A head is refused once `_unread` passes what a line and the headers may have together.
3. Of the head's beginning inside of what is fed, only an upper bound is known (its last line end,
   or the bodies before it), so a head may be refused late, by at most one read, never early.
4. A body in chunks has framing that is not data. What was fed for a body beyond its data is
   counted in `_framing`, and is bounded by `MAX_FRAMING` for each byte of data.
5. llhttp stops at the end of a head that asks for another protocol. Only a WebSocket is offered
   here; any other `Upgrade` is ignored (RFC 9110, 7.8), and a second parser reads on from there.
   It is fed a head of the same framing, whose callbacks are skipped (`_replaying`).
6. After a fault nothing more is fed. `fault` has the problem to answer with.

A reader lives only while a message is in progress.
"""

from __future__ import annotations

from collections.abc import Callable

import httptools

from ...model import Caller, Problem
from ..exchange import Body, Exchange, Plan
from ..problems import refusal
from ..request import Request

__all__ = ["MAX_HEADERS", "MAX_LINE", "Incoming", "MessageReader"]

MAX_LINE = 8 * 1024
MAX_HEADERS = 16 * 1024
MAX_FRAMING = 16
"""Bytes of chunk framing for each byte of data: chunks of one byte have five."""
MAX_UNWANTED = 4 * 2**20
"""Bytes of an unwanted body that are read all the same, to keep the connection."""


class Incoming:
    """One request that is being read."""

    __slots__ = (
        "caller", "complete", "exchange", "expects", "parts", "plan", "request", "size", "upgrade",
    )  # fmt: skip

    def __init__(self, request: Request, caller: Caller, plan: Plan) -> None:
        self.request = request
        self.caller = caller
        self.plan = plan
        self.parts: list[bytes] = []  # of the body, not yet taken
        self.size = 0  # of the body so far
        self.complete = False
        self.upgrade = False  # it asks for another protocol
        self.expects = request.version == "1.1" and "expect" in request.headers
        self.exchange: Exchange | None = None  # once it is run


class _Stop(Exception):
    """Ends parsing from inside a callback, after the reader's `fault` was set."""


class MessageReader:
    """Reads messages and hands each to `begin` as soon as its head is complete.

    `judge` decides who makes a request and how it is answered. After `feed`: `in_head` is whether
    a head is in progress, `fault` is why nothing more can be read, `rest` is what followed a
    request that switches to another protocol.
    """

    def __init__(
        self,
        judge: Callable[[Request], tuple[Caller, Plan]],
        begin: Callable[[Incoming], None],
        *,
        secure: bool = False,
    ) -> None:
        self.in_head = False
        self.fault: Problem | None = None
        self.rest: bytes | None = None
        self._judge = judge
        self._begin = begin
        self._secure = secure
        self._message: Incoming | None = None  # the newest
        self._parser = httptools.HttpRequestParser(self)
        self._url = b""
        self._fields: list[tuple[str, str]] = []
        self._fields_size = 0
        self._unread = 0  # rule 2
        self._began = False  # in the bytes being fed
        self._body_fed = 0  # of the bytes being fed, those of bodies
        self._line_over = False  # the request line in progress has ended
        self._framing = 0  # rule 4
        self._replaying = False  # rule 5
        self._upgrade_ignored = False  # of the newest message: rule 5

    @property
    def idle(self) -> bool:
        """Whether no message is in progress."""
        return not self.in_head and (self._message is None or self._message.complete)

    def feed(self, data: bytes) -> None:
        """Read more. Nothing must be fed after a fault, or a request for another protocol."""
        self._began = False
        self._body_fed = 0
        in_body = None if self.idle or self.in_head else self._message
        before = in_body.size if in_body is not None else 0
        try:
            self._parse(data)
        except httptools.HttpParserError as error:
            if self.fault is None:
                self.fault = self._malformed(data, error)
        else:
            # Rules 2 and 3.
            line = data.rfind(self._url[-64:]) if self._began else 0
            self._line_over = self._line_over or data.find(b"\n", line) >= 0
            started = self._unread
            if self._began:
                started = -max(data.rfind(b"\n") + 1, self._body_fed)
            self._unread = started + len(data)
            if self.in_head and self._unread > MAX_HEADERS + (0 if self._began else MAX_LINE):
                self.fault = _too_long(line=not self._line_over)
            elif in_body is not None and in_body is self._message and not in_body.complete:
                self._framing += len(data) - (in_body.size - before)
                if self._framing > MAX_HEADERS + MAX_FRAMING * in_body.size:
                    self.fault = Problem(400, "the chunks are mostly framing", close=True)

    def _parse(self, data: bytes) -> None:
        while True:
            try:
                self._parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                rest = data[upgrade.args[0] :]
                if not self._upgrade_ignored:
                    self.rest = rest
                    if self._message is not None:
                        self._message.upgrade = True
                    return
                self._ignore_upgrade()
                if not rest:
                    return
                data = rest
            else:
                return

    def _ignore_upgrade(self) -> None:
        """Read on behind a head as if it had no `Upgrade`: rule 5."""
        framing = [
            f"{name}: {value}\r\n"
            for name, value in self._fields
            if name in ("content-length", "transfer-encoding")
        ]
        close = self._message is not None and not self._message.request.keep_alive
        self._upgrade_ignored = False
        self._parser = httptools.HttpRequestParser(self)
        self._replaying = True
        head = ["POST / HTTP/1.1\r\n", *framing, "Connection: close\r\n" if close else "", "\r\n"]
        self._parser.feed_data("".join(head).encode("latin-1"))
        self._replaying = False

    def _malformed(self, data: bytes, error: Exception) -> Problem | None:
        last = self._message
        if self.idle and last is not None and not last.request.keep_alive:
            return None  # bytes after a connection's last request are ignored
        if isinstance(error, httptools.HttpParserInvalidMethodError) and data[:1].isalpha():
            return Problem(501, "there is no such method", close=True)
        return Problem(400, f"the request is malformed: {error}", close=True)

    # Callbacks of llhttp

    def on_message_begin(self) -> None:
        if self._replaying:
            return
        self._url = b""
        self._fields = []
        self._fields_size = 0
        self._began = True
        self._line_over = False
        self._framing = 0
        self.in_head = True

    def on_url(self, url: bytes) -> None:
        if self._replaying:
            return
        self._url += url
        if len(self._parser.get_method()) + len(self._url) + len("  HTTP/1.1") > MAX_LINE:
            self._stop(_too_long(line=True))

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._replaying:
            return
        self._fields_size += len(name) + len(value) + len(": \r\n")
        if self._fields_size > MAX_HEADERS:
            self._stop(_too_long(line=False))
        if self.in_head:  # else it is a trailer
            self._fields.append(
                (name.decode("ascii").lower(), value.decode("latin-1").strip(" \t"))
            )

    def on_headers_complete(self) -> None:
        if self._replaying:
            return
        self.in_head = False
        parser = self._parser
        version = parser.get_http_version()
        if version not in ("1.1", "1.0"):
            self._stop(Problem(400, "only HTTP/1.1 and HTTP/1.0 are spoken here", close=True))
        method = parser.get_method().decode("ascii")
        keep = parser.should_keep_alive()
        coding = [value.lower() for name, value in self._fields if name == "transfer-encoding"]
        if coding and coding != ["chunked"]:
            self._stop(Problem(501, "chunked is the only transfer coding here", close=True))
        try:
            request = Request(
                method,
                self._url,
                self._fields,
                version=version,
                keep_alive=keep,
                secure=self._secure,
            )
            expect = request.header("expect").lower()
            if expect and version == "1.1" and expect != "100-continue":
                raise Problem(417, "only 100-continue can be expected")
            caller, plan = self._judge(request)
        except Problem as problem:
            if problem.close:
                self._stop(problem)
            # The head has no meaning, but its end is known.
            request = Request(method, b"/", self._fields, version=version, keep_alive=keep)
            caller, plan = Caller(), refusal(problem)
        length = request.header("content-length")
        if plan.limit and length and int(length) > plan.limit:
            self._stop(_too_large(plan.limit))
        self._upgrade_ignored = parser.should_upgrade() and not _switches(request)
        self._message = Incoming(request, caller, plan)
        self._begin(self._message)

    def on_body(self, data: bytes) -> None:
        message = self._message
        assert message is not None
        message.size += len(data)
        self._body_fed += len(data)
        plan = message.plan
        if plan.body is Body.NONE:
            if message.size > MAX_UNWANTED:
                self._stop(_too_large(MAX_UNWANTED))
        elif plan.body is Body.WHOLE and message.size > plan.limit:
            self._stop(_too_large(plan.limit))
        else:
            message.parts.append(data)

    def on_message_complete(self) -> None:
        assert self._message is not None
        if not self._upgrade_ignored:
            self._message.complete = True

    def _stop(self, problem: Problem) -> None:
        self.fault = problem
        raise _Stop


def _switches(request: Request) -> bool:
    """Whether a request may switch protocols: to a tunnel, or to a WebSocket (RFC 6455, 4.1)."""
    if request.method == "CONNECT":
        return True
    return (
        request.version == "1.1"
        and request.method == "GET"
        and request.header("upgrade").lower() == "websocket"
    )


def _too_long(line: bool) -> Problem:
    if line:
        return Problem(414, f"the request line is longer than {MAX_LINE} bytes", close=True)
    return Problem(431, f"the headers are longer than {MAX_HEADERS} bytes", close=True)


def _too_large(limit: int) -> Problem:
    return Problem(413, f"the body is larger than {limit} bytes", close=True)
